//! The live account, complete and consistent, or an error: a short listing must never look like
//! "missing".

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::keyset::KeysetId;
use crate::keyset::views::{Live, LiveApp, LiveKeyset, Recorded};
use crate::ports::{Api, ApiError, ApiErrorKind, Clock};

/// Listings read before an account that changes under our eyes is given up: people do create
/// keysets while we read.
const PASSES: u32 = 3;

/// Pages of one listing; at 100 entries a page this is ten million keysets. A server that never
/// ends is an error.
const MOST_PAGES: u64 = 100_000;

/// Listings read until a keyset shows up that exists and is not listed.
const LOOKS: u32 = 6;
/// Between two of them at first; it doubles.
const PAUSE: Duration = Duration::from_millis(250);
/// Keysets that are asked for by themselves when the listing does not show them. Where more are
/// gone, another account is the likelier story, and the plan says so.
const ASKED: usize = 50;

/// Reads all apps and keysets, and the configuration of every recorded keyset that still exists.
///
/// `parallelism`: requests in flight, at least 1.
pub async fn refresh<A: Api, C: Clock>(
    api: &A,
    clock: &C,
    recorded: &Recorded,
    parallelism: usize,
) -> Result<Live, ApiError> {
    let mut live = listed(api, clock, recorded, parallelism).await?;
    let wanted: Vec<KeysetId> = recorded
        .keysets
        .values()
        .map(|k| &k.id)
        .filter(|id| live.keysets.contains_key(*id))
        .cloned()
        .collect();
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

/// Reads all apps and keysets, without configurations.
///
/// A recorded keyset that the listing does not show is asked for by its id before it counts as
/// gone: what was made a moment ago may not be listed yet, and would be made a second time.
///
/// `parallelism`: requests in flight, at least 1.
pub async fn listed<A: Api, C: Clock>(
    api: &A,
    clock: &C,
    recorded: &Recorded,
    parallelism: usize,
) -> Result<Live, ApiError> {
    let (apps, mut keysets) = tokio::try_join!(apps(api), keysets(api))?;
    let mut hidden = hidden(api, recorded, &keysets, parallelism).await?;
    let mut pause = PAUSE;
    for _ in 1..LOOKS {
        if hidden.iter().all(|id| keysets.contains_key(id)) {
            break;
        }
        clock.sleep(pause).await;
        pause *= 2;
        keysets = self::keysets(api).await?;
    }
    hidden.retain(|id| !keysets.contains_key(id));
    if let Some(id) = hidden.first() {
        let doubt = format!("keyset {id} exists and is not listed");
        return Err(ApiError {
            method: "GET",
            path: "/v2/keysets".to_owned(),
            tries: LOOKS,
            kind: ApiErrorKind::Inconsistent(doubt),
        });
    }
    Ok(Live { apps, keysets })
}

/// Recorded keysets that exist and that the listing does not show.
async fn hidden<A: Api>(
    api: &A,
    recorded: &Recorded,
    listed: &BTreeMap<KeysetId, LiveKeyset>,
    parallelism: usize,
) -> Result<Vec<KeysetId>, ApiError> {
    let missing: Vec<KeysetId> = recorded
        .keysets
        .values()
        .map(|keyset| &keyset.id)
        .filter(|id| !listed.contains_key(*id))
        .cloned()
        .collect();
    let ask = async |ids: &[KeysetId]| {
        let asked = stream::iter(ids.to_vec())
            .map(|id| async move { exists(api, &id).await.map(|there| there.then_some(id)) });
        let found: Vec<Option<KeysetId>> =
            asked.buffer_unordered(parallelism.max(1)).try_collect().await?;
        Ok::<_, ApiError>(found.into_iter().flatten().collect::<Vec<_>>())
    };
    let (some, others) = missing.split_at(missing.len().min(ASKED));
    let mut found = ask(some).await?;
    if !found.is_empty() {
        // So the listing is late, and none of the others counts as gone unasked.
        found.extend(ask(others).await?);
    }
    Ok(found)
}

/// Asks for a keyset by its id, which tells of it also where the listing is late.
pub async fn exists<A: Api>(api: &A, id: &KeysetId) -> Result<bool, ApiError> {
    match api.config(id).await {
        Ok(_) => Ok(true),
        // Which status a keyset that is gone gets is not documented (400, 403 or 404). A key that
        // may read no configuration at all fails at those that are listed, and apps that it may not
        // see are refused by the plan.
        Err(ApiError {
            kind: ApiErrorKind::Status { status: 400 | 403 | 404 | 410, .. }, ..
        }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// All apps of the account, by id.
pub async fn apps<A: Api>(api: &A) -> Result<BTreeMap<crate::keyset::AppId, LiveApp>, ApiError> {
    let list = complete(
        "/v2/apps",
        |page| async move { api.apps_page(page).await.map(|p| (p.apps, p.total)) },
        |app: &LiveApp| app.id.clone(),
    );
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

/// Reads pages until `total` entries are there, and proves the listing: one total on all pages, no
/// entry twice, none missing. A pass that fails the proof is repeated; the last failure is the
/// error.
async fn complete<T, K: Ord, F>(
    path: &str,
    page: impl Fn(u64) -> F,
    key: impl Fn(&T) -> K,
) -> Result<Vec<T>, ApiError>
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
    Err(ApiError {
        method: "GET",
        path: path.to_owned(),
        tries: PASSES,
        kind: ApiErrorKind::Inconsistent(doubt),
    })
}

async fn pass<T, K: Ord, F>(
    page: impl Fn(u64) -> F,
    key: impl Fn(&T) -> K,
) -> Result<Result<Vec<T>, String>, ApiError>
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
            return Ok(Err(format!(
                "page {number} says {total} in all, an earlier one said {before}"
            )));
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
            return Ok(Err(format!(
                "page {number} is empty after {have} entries, and the pages say {total} in all"
            )));
        }
    }
    Ok(Err(format!("it did not end after {MOST_PAGES} pages")))
}
