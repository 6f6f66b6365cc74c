//! Problems of a project for people, with the line they stand in.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin as Header, Patch, Renderer, Snippet};

use super::comment::Comment;
use super::text::{count, markdown, terminal};
use crate::config::{Fix, Place, Problem, Severity, Sources};
use crate::keyset::Origin;
use crate::keyset::settings::is_format;

/// More are counted, not shown: nobody reads them before the first ones are mended.
const SHOWN: usize = 100;
/// Characters shown before and after a marked place in a long line.
const AROUND: usize = 80;

/// Every problem with its place, its line and, where one is certain, the edit that mends it. Ends
/// with a newline.
pub fn human(problems: &[Problem], sources: &Sources, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for problem in problems.iter().take(SHOWN) {
        out.push_str(&renderer.render(&groups(problem, sources)));
        out.push_str("\n\n");
    }
    if let Some(more @ 1..) = problems.len().checked_sub(SHOWN) {
        out.push_str(&format!("{} more not shown\n", count(more, "problem")));
    }
    out
}

/// For a comment: where, which, and what to do. Everything foreign is in code spans.
pub fn for_markdown(problems: &[Problem], sources: &Sources, summary: &str) -> String {
    let mut comment = Comment::new(summary);
    let rows =
        problems.iter().map(|Problem { code, severity, title, origin, label, help, fix: _ }| {
            let place = origin.and_then(|origin| sources.place(origin));
            let at = place.map_or_else(String::new, |at| {
                markdown(&format!("{}:{}:{}", at.path, at.line, at.column))
            });
            let severity = match severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let help = help.as_deref().map_or_else(String::new, markdown);
            vec![
                format!("{severity} {code}"),
                at,
                format!("{}<br>{}", markdown(title), markdown(label)),
                help,
            ]
        });
    comment.table("", &["", "where", "what", "help"], rows);
    comment.finish()
}

fn groups<'a>(problem: &'a Problem, sources: &'a Sources) -> Vec<Group<'a>> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(terminal(&problem.title)).id(problem.code);
    let place = problem.origin.and_then(|origin| sources.place(origin));
    let line = problem.origin.and_then(|origin| Line::of(sources, origin));
    let Some((place, line)) = place.as_ref().zip(line) else {
        let mut group = Group::with_title(title);
        if let Some(place) = place {
            group = group.element(
                Header::path(terminal(place.path)).line(place.line).char_column(place.column),
            );
        }
        group = group.element(Level::NOTE.message(terminal(&problem.label)));
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(terminal(help)));
        }
        return vec![group];
    };

    let fix = problem.fix.as_ref().and_then(|fix| patch(fix, sources));
    let mark = AnnotationKind::Primary.span(line.marked.clone()).label(terminal(&problem.label));
    let snippet = Snippet::source(line.text).line_start(place.line).annotation(mark);
    let mut main = if line.verbatim {
        title.element(snippet.path(terminal(place.path)))
    } else {
        // The renderer would count columns in what is left of the line.
        title
            .element(Header::path(terminal(place.path)).line(place.line).char_column(place.column))
            .element(snippet)
    };
    let help = problem.help.as_deref().map(terminal);
    let Some((snippet, place)) = fix else {
        if let Some(help) = help {
            main = main.element(Level::HELP.message(help));
        }
        return vec![main];
    };
    let title = Level::HELP.secondary_title(help.unwrap_or_else(|| "write".into()));
    vec![main, Group::with_title(title).element(snippet.line_start(place.line))]
}

/// `None`: the line cannot be shown as it is, so neither can an edit of it.
fn patch<'a>(fix: &'a Fix, sources: &'a Sources) -> Option<(Snippet<'a, Patch<'a>>, Place<'a>)> {
    let line = Line::of(sources, fix.at)?;
    let plain = line.verbatim && !fix.with.chars().any(hostile);
    plain.then(|| {
        Some((
            Snippet::source(line.text).patch(Patch::new(line.marked, fix.with.as_str())),
            sources.place(fix.at)?,
        ))
    })?
}

/// The line in which a place begins, safe to print: clipped around the place, and without
/// characters that move others.
struct Line {
    text: String,
    /// The place in `text`, up to the end of the line.
    marked: Range<usize>,
    /// Nothing was cut or escaped.
    verbatim: bool,
}

impl Line {
    /// `None`: it does not exist, or holds a private key.
    fn of(sources: &Sources, origin: Origin) -> Option<Line> {
        let source = sources.files.get(origin.file as usize)?;
        let start = source.text.floor_char_boundary(origin.start as usize);
        let (before, after) = source.text.split_at(start);
        let before = before.get(before.rfind('\n').map_or(0, |at| at + 1)..)?;
        let after = after.get(..after.find('\n').unwrap_or(after.len()))?;
        if source.is_private(start - before.len()..start + after.len()) {
            return None;
        }
        let after = after.strip_suffix('\r').unwrap_or(after);
        let length = (origin.end as usize).saturating_sub(start).min(after.len());
        let (place, after) = after.split_at(after.floor_char_boundary(length));

        let mut line = Line { text: String::new(), marked: 0..0, verbatim: true };
        let cut = before.char_indices().rev().nth(AROUND - 1).map_or(0, |(at, _)| at);
        if cut > 0 {
            line.text.push('…');
            line.verbatim = false;
        }
        line.push(before.get(cut..)?);
        line.marked.start = line.text.len();
        line.push(place);
        line.marked.end = line.text.len();
        line.push(after);
        Some(line)
    }

    /// Appends at most [`AROUND`] characters.
    fn push(&mut self, text: &str) {
        for (n, c) in text.chars().enumerate() {
            if n == AROUND {
                self.verbatim = false;
                // Text that was cut before may go on; one mark says it.
                if !self.text.ends_with('…') {
                    self.text.push('…');
                }
                return;
            }
            // What would be a workflow command of GitHub Actions in a log.
            let command = c == '[' && self.text.ends_with("##");
            if c != '\t' && (hostile(c) || command) {
                self.verbatim = false;
                self.text.extend(c.escape_unicode());
            } else {
                self.text.push(c);
            }
        }
    }
}

fn hostile(c: char) -> bool {
    c.is_control() || is_format(c)
}
