//! What is asked of custody.

use super::table::Purpose;
use crate::keyset::views::RecordedKeyset;
use crate::keyset::{Fingerprint, Label};

/// Whose entry is asked for, and what for.
pub struct Request<'a> {
    pub purpose: Purpose,
    pub label: &'a Label,
    /// What was recorded under the label so far.
    pub keyset: Option<&'a RecordedKeyset>,
    /// The secret that is to be put, where it is known by now: an earlier run may have put it there
    /// already.
    pub coming: Option<Fingerprint>,
    /// `--overwrite`
    pub overwrite: bool,
}
