//! A plan shown: by `plan`, and by `apply` before it asks.

use super::Global;
use super::error::Exit;
use super::output::Output;
use crate::ops::Workspace;
use crate::ops::plan::Planned;
use crate::render::view;

/// What a plan is shown with.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub workspace: &'a Workspace,
    pub global: &'a Global,
    pub output: &'a Output,
}

impl<'a> View<'a> {
    /// Prints the plan as the user wants it. `exit`: what the command will exit with; `changed`:
    /// what the next steps of a workflow hear.
    pub fn show(self, planned: &Planned, changed: bool, exit: Exit) {
        let view = self.output.format().view();
        self.output.show(view.plan(), self.of(planned, changed, exit));
    }
    /// The same for `apply`, whose formats are others.
    pub fn show_of_apply(self, planned: &Planned, exit: Exit) {
        let view = self.output.format().view();
        self.output.show(view.plan_of_apply(), self.of(planned, false, exit));
    }

    fn of<'p>(&self, planned: &'p Planned, changed: bool, exit: Exit) -> view::Planned<'p>
    where
        'a: 'p,
    {
        let workspace = self.workspace;
        view::Planned {
            plan: &planned.plan,
            sources: &workspace.sources,
            project: &workspace.project.desired.project,
            desired: &workspace.project.desired,
            recorded: &planned.snapshot.recorded,
            policy: &planned.policy,
            verbose: self.global.verbose > 0,
            changed,
            exit_code: exit as u8,
        }
    }
}
