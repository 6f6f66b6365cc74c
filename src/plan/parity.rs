//! Where two sides that are to be the same are not: what is declared for them, and what the account
//! has.
//!
//! What makes a keyset itself (its name, app, ids and keys) is never compared, nor what only the
//! server writes.

use std::collections::BTreeSet;

use crate::keyset::parity::{Between, ParityRule};
use crate::keyset::views::{Desired, DesiredKeyset, Live, LiveKeyset, Recorded};
use crate::keyset::{FieldId, Label, Life, Origin, Value};

use super::moves::relabelled;

/// Comparisons, in the order in which they were asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parity {
    pub comparisons: Vec<Comparison>,
    /// Whether the account was looked at.
    pub live: bool,
}

/// Two sides compared. Pairs by what pairs them, fields in the order of the table; what has no
/// partner last.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub between: Between,
    pub pairs: Vec<[Label; 2]>,
    pub findings: Vec<Disparity>,
    /// Differences that are meant to be.
    pub ignored: Vec<IgnoredDisparity>,
    /// What could not be compared in the account.
    pub notes: Vec<NotLive>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Disparity {
    Field(FieldDisparity),
    /// A keyset of one side that has no partner on the other.
    OnlyOn {
        label: Label,
        /// 0 or 1: of the comparison's sides.
        side: usize,
        /// The part of the label, or the name, that nothing on the other side has.
        key: Box<str>,
        origin: Origin,
    },
}

/// A field that differs in what is declared, in the account, or in both.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldDisparity {
    pub pair: [Label; 2],
    pub field: FieldId,
    /// `None`: declared alike, or not at all; `None` in it: that one does not declare it.
    pub declared: Option<[Option<Value>; 2]>,
    /// `None`: alike, or not looked at, or not shown of both.
    pub live: Option<[Value; 2]>,
    /// Where the values are declared.
    pub origins: [Option<Origin>; 2],
}

/// A field that may differ, and does.
#[derive(Clone, Debug, PartialEq)]
pub struct IgnoredDisparity {
    pub differs: FieldDisparity,
    pub reason: Option<Box<str>>,
}

/// Why a declared keyset is not compared in the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotLive {
    /// It is not created yet.
    NotCreated { label: Label },
    /// It was recorded, and is gone.
    Gone { label: Label },
}

/// Compares what each rule names. `live`: `None`, declared values only.
pub fn parity<'r>(
    rules: impl IntoIterator<Item = &'r ParityRule>,
    desired: &Desired,
    recorded: &Recorded,
    live: Option<&Live>,
) -> Parity {
    let recorded = &*relabelled(desired, recorded);
    let account = live.map(|live| Account { recorded, live });
    let comparisons =
        rules.into_iter().map(|rule| compare(rule, desired, account.as_ref())).collect();
    Parity { comparisons, live: live.is_some() }
}

/// The account, by label.
struct Account<'a> {
    recorded: &'a Recorded,
    live: &'a Live,
}

impl<'a> Account<'a> {
    fn keyset(&self, label: &Label) -> Result<&'a LiveKeyset, NotLive> {
        let Some(known) = self.recorded.keysets.get(label) else {
            return Err(NotLive::NotCreated { label: label.clone() });
        };
        self.live.keysets.get(&known.id).ok_or_else(|| NotLive::Gone { label: label.clone() })
    }
}

fn compare(rule: &ParityRule, desired: &Desired, account: Option<&Account<'_>>) -> Comparison {
    let pairs = rule.between.pairs(&desired.keysets);
    let mut comparison = Comparison {
        between: rule.between.clone(),
        pairs: Vec::new(),
        findings: Vec::new(),
        ignored: Vec::new(),
        notes: Vec::new(),
    };
    for pair in pairs.both {
        let [Some(a), Some(b)] = pair.map(|label| desired.keysets.get(label)) else { continue };
        let live = account.and_then(|account| {
            both(pair.map(|label| account.keyset(label)), &mut comparison.notes)
        });
        let pair = pair.map(Clone::clone);
        for differs in FieldId::all()
            .filter(compared)
            .filter_map(|field| disparity(&pair, field, [a, b], live))
        {
            match rule.ignores(differs.field) {
                Some(ignored) => comparison
                    .ignored
                    .push(IgnoredDisparity { differs, reason: ignored.reason.clone() }),
                None => comparison.findings.push(Disparity::Field(differs)),
            }
        }
        comparison.pairs.push(pair);
    }
    for (side, alone) in [pairs.only_a, pairs.only_b].into_iter().enumerate() {
        for (key, label) in alone {
            let Some(keyset) = desired.keysets.get(label) else { continue };
            comparison.findings.push(Disparity::OnlyOn {
                label: label.clone(),
                side,
                key: key.into(),
                origin: keyset.origin,
            });
        }
    }
    comparison
}

/// Both keysets of the account, or a note for each that is not there.
fn both<'a>(
    found: [Result<&'a LiveKeyset, NotLive>; 2],
    notes: &mut Vec<NotLive>,
) -> Option<[&'a LiveKeyset; 2]> {
    let [a, b] = found.map(|found| found.map_err(|note| notes.push(note)).ok());
    Some([a?, b?])
}

/// What can be set, but for the name: that is to differ.
fn compared(field: &FieldId) -> bool {
    matches!(field.field().life, Life::Mutable | Life::OnceSet)
        && Some(*field) != FieldId::find("keyset", "name")
}

fn disparity(
    pair: &[Label; 2],
    field: FieldId,
    keysets: [&DesiredKeyset; 2],
    live: Option<[&LiveKeyset; 2]>,
) -> Option<FieldDisparity> {
    let settings = keysets.map(|keyset| keyset.settings.get(field));
    let declared = settings.map(|setting| setting.map(|setting| setting.value.clone()));
    let declared = (declared[0] != declared[1]).then_some(declared);
    let live = live.map(|live| live.map(|keyset| keyset.observed.get(field)));
    let live = live
        .and_then(|[a, b]| Some([a?, b?]))
        .filter(|[a, b]| a != b)
        .map(|live| live.map(Clone::clone));
    if declared.is_none() && live.is_none() {
        return None;
    }
    let origins = settings.map(|setting| setting.map(|setting| setting.origin));
    Some(FieldDisparity { pair: pair.clone(), field, declared, live, origins })
}

impl Parity {
    /// Whether nothing differs but what may.
    pub fn is_empty(&self) -> bool {
        self.comparisons.iter().all(|comparison| comparison.findings.is_empty())
    }
}

impl Comparison {
    /// Pairs in which nothing differs but what may.
    pub fn alike(&self) -> usize {
        let differing: BTreeSet<&[Label; 2]> =
            self.findings.iter().filter_map(Disparity::pair).collect();
        self.pairs.iter().filter(|pair| !differing.contains(pair)).count()
    }
}

impl Disparity {
    fn pair(&self) -> Option<&[Label; 2]> {
        match self {
            Disparity::Field(differs) => Some(&differs.pair),
            Disparity::OnlyOn { .. } => None,
        }
    }

    /// Where it is declared: the first place there is.
    pub fn origin(&self) -> Option<Origin> {
        match self {
            Disparity::Field(differs) => differs.origins.into_iter().flatten().next(),
            Disparity::OnlyOn { origin, .. } => Some(*origin),
        }
    }
}
