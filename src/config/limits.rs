//! `[limits]`: how much one apply may do.

use toml::de::DeTable;

use super::codes;
use super::problem::Problem;
use super::reader::{FileReader, Item};
use crate::keyset::{Bounded, Budget, Origin};

impl FileReader<'_> {
    /// Numbers, or shares of what is managed: `delete = 2`, `update = "10%"`.
    pub(super) fn limits(&mut self, at: Origin, table: &DeTable<'_>) {
        for (row, _, item) in self.entries("limits", at, table).known {
            let Some(bounded) = Bounded::find(row.name()) else { continue };
            if let Some(budget) = self.budget(row.shown(), item) {
                let at = self.at(item.span());
                self.out.head.limits.insert(bounded, (budget, at));
            }
        }
    }

    fn budget(&mut self, path: &str, item: &Item<'_>) -> Option<Budget> {
        let budget = match item.get_ref().as_str() {
            Some(text) => match Budget::parse(text) {
                Some(Budget::Count(_)) => {
                    let fix = Some(text.to_owned());
                    self.wrong_type(path, "an integer or a percentage", item, fix);
                    return None;
                }
                share => share,
            },
            None => usize::try_from(self.integer(path, item)?).ok().map(Budget::Count),
        };
        if budget.is_none() {
            let problem = Problem::new(
                codes::OUT_OF_RANGE,
                self.at(item.span()),
                format!("wrong value for `{path}`"),
                "allowed: 0 or more",
            );
            self.report(problem.help("or a share of the keysets that the state records: \"10%\""));
        }
        budget
    }
}
