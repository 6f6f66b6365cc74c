//! The live account, complete and consistent, or an error: a short listing must never look like "missing".

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::keyset::KeysetId;
use crate::keyset::views::{Live, LiveApp, LiveKeyset, Recorded};
use crate::ports::{Api, ApiError, ApiErrorKind};

/// Listings read before an account that changes under our eyes is given up: people do create keysets while we read.
const PASSES: u32 = 3;

/// Pages of one listing; at 100 entries a page this is ten million keysets. A server that never ends is an error.
const MOST_PAGES: u64 = 100_000;

/// Reads all apps and keysets, and the configuration of every recorded keyset that still exists.
///
/// `parallelism`: requests in flight, at least 1.
pub async fn refresh<A: Api>(api: &A, recorded: &Recorded, parallelism: usize) -> Result<Live, ApiError> {
    let (apps, keysets) = tokio::try_join!(apps(api), keysets(api))?;
    let mut live = Live { apps, keysets };
    let wanted: Vec<KeysetId> = recorded.keysets.values().map(|k| &k.id).filter(|id| live.keysets.contains_key(*id)).cloned().collect();
    let configs: Vec<_> = stream::iter(wanted)
        .map(|id| async move { api.config(&id).await.map(|config| (id, config)) })
        .buffer_unordered(parallelism.max(1))
        .try_collect()
        .await?;
    for (id, config) in configs {
        if let Some(keyset) = live.keysets.get_mut(&id) {
            keyset.observed.absorb(&config);
            keyset.with_config = true;
        }
    }
    Ok(live)
}

/// All apps of the account, by id.
pub async fn apps<A: Api>(api: &A) -> Result<BTreeMap<crate::keyset::AppId, LiveApp>, ApiError> {
    let list =
        complete("/v2/apps", |page| async move { api.apps_page(page).await.map(|p| (p.apps, p.total)) }, |app: &LiveApp| app.id.clone());
    Ok(list.await?.into_iter().map(|app| (app.id.clone(), app)).collect())
}

/// All keysets of the account, by id, without configuration.
pub async fn keysets<A: Api>(api: &A) -> Result<BTreeMap<KeysetId, LiveKeyset>, ApiError> {
    let list = complete(
        "/v2/keysets",
        |page| async move { api.keysets_page(page).await.map(|p| (p.keysets, p.total)) },
        |k: &LiveKeyset| k.id.clone(),
    );
    Ok(list.await?.into_iter().map(|keyset| (keyset.id.clone(), keyset)).collect())
}

/// Reads pages until `total` entries are there, and proves the listing: one total on all pages, no entry twice, none
/// missing. A pass that fails the proof is repeated; the last failure is the error.
async fn complete<T, K: Ord, F>(path: &str, page: impl Fn(u64) -> F, key: impl Fn(&T) -> K) -> Result<Vec<T>, ApiError>
where
    F: Future<Output = Result<(Vec<T>, u64), ApiError>>,
{
    let mut doubt = String::new();
    for _ in 0..PASSES {
        match pass(&page, &key).await? {
            Ok(list) => return Ok(list),
            Err(why) => doubt = why,
        }
    }
    Err(ApiError { method: "GET", path: path.to_owned(), tries: PASSES, kind: ApiErrorKind::Inconsistent(doubt) })
}

async fn pass<T, K: Ord, F>(page: impl Fn(u64) -> F, key: impl Fn(&T) -> K) -> Result<Result<Vec<T>, String>, ApiError>
where
    F: Future<Output = Result<(Vec<T>, u64), ApiError>>,
{
    let mut seen = BTreeSet::new();
    let mut list = Vec::new();
    let mut expected = None;
    for number in 1..=MOST_PAGES {
        let (entries, total) = page(number).await?;
        let before = *expected.get_or_insert(total);
        if before != total {
            return Ok(Err(format!("page {number} says {total} in all, an earlier one said {before}")));
        }
        let last = entries.is_empty();
        for entry in entries {
            if !seen.insert(key(&entry)) {
                return Ok(Err(format!("page {number} repeats an entry of an earlier page")));
            }
            list.push(entry);
        }
        let have = list.len() as u64;
        if have > total {
            return Ok(Err(format!("there are {have} entries, and the pages say {total} in all")));
        }
        if have == total {
            return Ok(Ok(list));
        }
        if last {
            return Ok(Err(format!("page {number} is empty after {have} entries, and the pages say {total} in all")));
        }
    }
    Ok(Err(format!("it did not end after {MOST_PAGES} pages")))
}
