//! How much of what a plan does.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::kind::{OpKind, ROWS};
use super::model::Plan;
use super::step::Op;

/// Counts of the steps by kind, and of what is no step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    steps: [usize; OpKind::COUNT],
    /// Once-set fields that updates set; what a create sets is part of the create.
    pub irreversible: usize,
    pub refused: usize,
    pub orphans: usize,
    pub unchanged: usize,
}

impl Summary {
    pub fn of(plan: &Plan) -> Summary {
        let mut summary = Summary {
            refused: plan.refusals.len(),
            orphans: plan.orphans.len(),
            unchanged: plan.unchanged,
            ..Summary::default()
        };
        for step in &plan.steps {
            summary.steps[step.kind() as usize] += 1;
            if let Op::UpdateKeyset { changes } = &step.op {
                summary.irreversible += changes.iter().filter(|c| c.is_irreversible()).count();
            }
        }
        summary
    }

    /// Steps of that kind.
    pub fn count(&self, kind: OpKind) -> usize {
        self.steps[kind as usize]
    }

    /// Every count under its name in JSON, in the order of the table; kinds of the same name
    /// together. Outputs of a GitHub step have the same names.
    pub fn named(&self) -> Vec<(&'static str, usize)> {
        let mut named: Vec<(&'static str, usize)> = Vec::new();
        for row in ROWS.iter().filter(|row| row.planned.is_some()) {
            let n = self.count(row.kind);
            match named.iter_mut().find(|(name, _)| *name == row.summary) {
                Some((_, sum)) => *sum += n,
                None => named.push((row.summary, n)),
            }
        }
        let Summary { steps: _, irreversible, refused, orphans, unchanged } = *self;
        named.extend([
            ("irreversible", irreversible),
            ("refused", refused),
            ("orphans", orphans),
            ("unchanged", unchanged),
        ]);
        named
    }
}

impl Serialize for Summary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let named = self.named();
        let mut map = serializer.serialize_map(Some(named.len()))?;
        for (name, n) in &named {
            map.serialize_entry(name, n)?;
        }
        map.end()
    }
}

impl Plan {
    pub fn summary(&self) -> Summary {
        Summary::of(self)
    }
}
