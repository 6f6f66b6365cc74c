//! Tells a webhook what was found or done. That it could not is said, and changes nothing else: not
//! the exit code either.

use zeroize::Zeroizing;

use super::environment::variable;
use super::error::Exit;
use super::output::Output;
use crate::api::webhook;
use crate::config::{Form, Occasion};
use crate::documents::to_json;
use crate::keyset::Secret;
use crate::ops::SystemClock;
use crate::ops::Workspace;
use crate::ops::origin;
use crate::ports::Clock as _;
use crate::render::notify::Notice;
use crate::render::style::WARN;

/// `told`: one line, and a line for each thing.
pub async fn notify(
    workspace: &Workspace,
    occasion: Occasion,
    exit: Exit,
    output: &Output,
    told: impl FnOnce() -> (String, Vec<String>),
) {
    let Some(notify) = workspace
        .project
        .notify
        .as_ref()
        .filter(|notify| notify.on.contains(&occasion) && !workspace.sandbox)
    else {
        return;
    };
    let address = match variable(&notify.variable) {
        Some(text) => {
            Secret::parse(Zeroizing::new(text)).map_err(|_| "it is not an address".to_owned())
        }
        None => Err("it is not set".to_owned()),
    };
    let sent = match address {
        Err(why) => Err(why),
        Ok(address) => {
            let (origin, run) = (origin(workspace)(), &workspace.environment.run_page);
            let (summary, entries) = told();
            let project = workspace.project.desired.project.as_str();
            let (at, exit_code) = (SystemClock.now(), exit as u8);
            let notice = Notice {
                occasion,
                project,
                at,
                origin: &origin,
                run: run.as_deref(),
                exit_code,
                summary,
                entries,
            };
            let body = match notify.form {
                Form::Json => to_json(&notice.document()),
                Form::Slack => to_json(&notice.slack()),
            };
            webhook::post(&address, &body).await
        }
    };
    if let Err(why) = sent {
        output.error(&format!(
            "{WARN}warning{WARN:#}: no notification was sent ({}): {why}",
            notify.variable
        ));
    }
}
