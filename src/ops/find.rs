//! Something recorded by the label that somebody typed, and its secret.

use super::error::{Cause, Failure};
use crate::apply::Custody;
use crate::apply::custody::ReadError;
use crate::keyset::views::{Recorded, RecordedApp, RecordedKeyset};
use crate::keyset::{Label, Secret};
use crate::render::text::nearest;
use crate::secrets::AnySink;

/// What to do about the secret of an adopted keyset.
pub const ADOPTED: &str = "its secret key is in other hands: `keyform secrets import` takes one \
                           that you have, `keyform secrets rotate LABEL \
                           --overlap 24h` makes a new one and keeps the present one alive for a \
                           day";

/// The keyset of that label, or the nearest there is.
pub fn find<'a>(
    recorded: &'a Recorded,
    text: &str,
) -> anyhow::Result<(&'a Label, &'a RecordedKeyset)> {
    recorded.keysets.iter().find(|(label, _)| label.as_str() == text).ok_or_else(|| {
        let failure = Failure::new(Cause::Error, format!("no keyset `{text}` in the state"));
        anyhow::anyhow!(match nearest(text, recorded.keysets.keys().map(Label::as_str)) {
            Some(near) => failure.help(format!("did you mean `{near}`?")),
            None => failure.help("`keyform secrets list` shows what there is"),
        })
    })
}

/// The app of that label, or the nearest there is.
pub fn find_app<'a>(
    recorded: &'a Recorded,
    text: &str,
) -> anyhow::Result<(&'a Label, &'a RecordedApp)> {
    recorded.apps.iter().find(|(label, _)| label.as_str() == text).ok_or_else(|| {
        let failure = Failure::new(Cause::Error, format!("no app `{text}` in the state"));
        anyhow::anyhow!(match nearest(text, recorded.apps.keys().map(Label::as_str)) {
            Some(near) => failure.help(format!("did you mean `{near}`?")),
            None => failure.help("`keyform state list` shows what there is"),
        })
    })
}

/// The keyset's secret key, the very one that was stored; or why it is not to be had.
pub async fn secret_of(
    custody: &Custody<'_, AnySink>,
    label: &Label,
    keyset: &RecordedKeyset,
) -> anyhow::Result<Secret> {
    custody.read(label, keyset).await.map_err(|error| not_read(error, label))
}

fn not_read(error: ReadError, label: &Label) -> anyhow::Error {
    let failed = |told: String, help: &str| Failure::new(Cause::Error, told).help(help).into();
    match error {
        ReadError::NeverHad => failed(
            format!("the keyset `{label}` was adopted, and keyform never had its secret key"),
            ADOPTED,
        ),
        ReadError::Missing(why) => failed(
            format!("the secret of `{label}` was never stored: {why}"),
            "`keyform apply` makes a new secret key for it, since nobody can be using the one that \
             is lost",
        ),
        ReadError::NoSink(missing) => Failure::new(Cause::Error, missing.why).into(),
        ReadError::NotThere(sink) => failed(
            format!("the {sink} sink has no secret for `{label}`"),
            "it was stored on another machine or by another user, or it was removed; `keyform \
             secrets doctor` looks further",
        ),
        ReadError::Another(sink) => failed(
            format!("the {sink} sink holds another secret for `{label}` than the state records"),
            "another clone of this project may have written it; nothing was printed",
        ),
        ReadError::Sink(error) => error.into(),
    }
}
