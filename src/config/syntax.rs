//! What can be said of a text before its tables are read: nesting, and errors of TOML itself.

use std::ops::Range;

use toml_parser::lexer::TokenKind;

use super::codes;
use super::problem::Problem;
use super::reader::origin;

/// Levels of tables and arrays. The tree is dropped recursively, so this also bounds the stack.
pub(super) const MAX_DEPTH: u32 = 32;

/// Where a text first nests deeper than [`MAX_DEPTH`], counting dotted keys. Asked before the
/// parser is: its own limits (80 levels of brackets, 80 parts in each key) multiply, and a tree of
/// 6,400 levels overflows a thread's stack when dropped.
pub(super) fn too_deep(text: &str) -> Option<Range<usize>> {
    let mut open: Vec<u32> = Vec::new();
    let (mut header, mut level, mut dots, mut key_dots) = (0, 0, 0, 0);
    let (mut in_header, mut in_value) = (false, false);
    for token in toml_parser::Source::new(text).lex() {
        match token.kind() {
            TokenKind::Dot if in_header => header += 1,
            TokenKind::Dot => dots += 1,
            TokenKind::Equals => {
                in_value = true;
                key_dots = dots;
                dots = 0;
            }
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                if open.is_empty() && !in_value {
                    in_header = true;
                    header = 0;
                }
                let levels = 1 + key_dots + dots;
                open.push(levels);
                level += levels;
                (dots, key_dots) = (0, 0);
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                level -= open.pop().unwrap_or(0);
                (dots, key_dots) = (0, 0);
                in_header &= !open.is_empty();
            }
            TokenKind::Comma => (dots, key_dots) = (0, 0),
            TokenKind::Newline => {
                (dots, key_dots) = (0, 0);
                in_value &= !open.is_empty();
            }
            _ => continue,
        }
        if header + level + dots > MAX_DEPTH {
            return Some(token.span().start()..token.span().end());
        }
    }
    None
}

/// The parser's word for a key or header that is there already.
const DUPLICATE: &str = "duplicate key";
/// Most syntax errors shown of one file.
const MAX_SYNTAX: usize = 1000;

pub(super) fn syntax_problems(file: u32, text: &str, errors: &[toml::de::Error]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    let (mut last_line_end, mut repeated) = (0, None);
    let mut sorted: Vec<(Range<usize>, &str)> =
        errors.iter().map(|e| (e.span().unwrap_or(0..0), e.message())).collect();
    sorted.sort_by_key(|(span, _)| span.start);
    for (n, (span, message)) in sorted.iter().enumerate() {
        // One slip often makes the parser stumble twice in its line.
        if n > 0 && span.start < last_line_end {
            continue;
        }
        // Under a header that is there already, each key that is there already follows from it.
        if repeated.as_ref().is_some_and(|end| span.start < *end) && *message == DUPLICATE {
            continue;
        }
        let header = text.get(..span.start).is_some_and(|before| {
            before.rsplit('\n').next().is_some_and(|line| line.trim_start().starts_with('['))
        });
        repeated = (*message == DUPLICATE && header).then(|| {
            text.get(span.end..)
                .and_then(|after| after.find("\n["))
                .map_or(text.len(), |at| span.end + at)
        });
        last_line_end = text
            .get(span.end..)
            .and_then(|rest| rest.find('\n'))
            .map_or(text.len(), |end| span.end + end);
        let problem = Problem::new(
            codes::SYNTAX,
            origin(file, span.clone()),
            "not valid TOML",
            message.trim().replace('\n', ", "),
        );
        if problems.len() + 1 == MAX_SYNTAX {
            problems.push(problem.help(format!(
                "there are up to {} syntax errors more in this file",
                sorted.len() - n - 1
            )));
            break;
        }
        problems.push(problem);
    }
    problems
}

/// The tables in which syntax errors stand, as ranges: from a header to the next.
pub(super) fn broken_blocks(text: &str, errors: &[toml::de::Error]) -> Vec<Range<usize>> {
    // Each block is searched from its error on, so a file full of errors counts as broken
    // throughout.
    const MANY: usize = 100;
    if errors.len() > MANY {
        return std::iter::once(0..text.len() + 1).collect();
    }
    errors
        .iter()
        .map(|error| {
            let span = error.span().unwrap_or(0..text.len());
            let start = text
                .get(..span.start)
                .and_then(|before| before.rfind("\n["))
                .map_or(0, |at| at + 1);
            let end = text
                .get(span.end..)
                .and_then(|after| after.find("\n["))
                .map_or(text.len() + 1, |at| span.end + at + 1);
            start..end
        })
        .collect()
}
