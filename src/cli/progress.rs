//! How an apply goes, on stderr: a bar at a terminal, a line per finished step elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Output;
use crate::apply::Event;
use crate::render::{events, report};

pub struct Progress<'a> {
    output: &'a Output,
    bar: Option<ProgressBar>,
}

impl<'a> Progress<'a> {
    /// `steps`: how many the plan has.
    pub fn new(output: &'a Output, steps: usize) -> Progress<'a> {
        let bar = (!output.is_quiet() && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(
                Some(steps as u64),
                ProgressDrawTarget::stderr_with_hz(10),
            );
            if let Ok(style) = ProgressStyle::with_template(
                "{spinner} {pos}/{len} [{bar:30}] {elapsed} {wide_msg}",
            ) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Progress { output, bar }
    }

    pub fn event(&self, event: &Event) {
        self.output.event(|| events::step(event));
        let line = report::event(event);
        match (&self.bar, event) {
            (Some(bar), Event::Started { step }) => bar.set_message(step.label.to_string()),
            (Some(bar), Event::Finished { .. }) => {
                bar.inc(1);
                if let Some(line) = line {
                    bar.suspend(|| self.output.say(&line));
                }
            }
            (Some(bar), Event::Searching { .. }) => {
                if let Some(line) = line {
                    bar.suspend(|| self.output.say(&line));
                }
            }
            (None, _) => {
                if let Some(line) = line {
                    self.output.say(&line);
                }
            }
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
