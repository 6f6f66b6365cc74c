//! The texts of a project, and places in them.

use std::ops::Range;
use std::sync::OnceLock;

use super::private;
use crate::keyset::Origin;

/// The files of a project, in the order in which they were read; [`Origin::file`] is an index into
/// it.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub files: Vec<Source>,
}

#[derive(Clone, Debug)]
pub struct Source {
    /// Relative to the project's folder, with `/`.
    pub path: String,
    pub text: String,
    marks: OnceLock<Box<[Mark]>>,
    /// Where private keys stand.
    private: OnceLock<Box<[Range<usize>]>>,
}

/// A place as people name it. Line and column from 1; the column counts characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    pub path: &'a str,
    pub line: usize,
    pub column: usize,
}

/// A known place: every start of a line, and every few KiB of a long one, so that no look-up counts
/// far.
#[derive(Clone, Copy, Debug)]
struct Mark {
    byte: u32,
    line: u32,
    column: u32,
}

const MARK_EVERY: usize = 4096;

impl Source {
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Source {
        Source {
            path: path.into(),
            text: text.into(),
            marks: OnceLock::new(),
            private: OnceLock::new(),
        }
    }

    /// Whether these bytes hold a part of a private key, which is not to be shown.
    pub fn is_private(&self, bytes: Range<usize>) -> bool {
        let private = self.private.get_or_init(|| private::places(&self.text).into());
        let after = private.partition_point(|place| place.end <= bytes.start);
        private.get(after).is_some_and(|place| place.start < bytes.end)
    }

    /// Line and column of a byte, both from 1. A byte inside a character counts as its start, one
    /// past the end as the end.
    fn position(&self, byte: usize) -> (usize, usize) {
        let byte = self.text.floor_char_boundary(byte);
        let marks = self.marks.get_or_init(|| marks(&self.text));
        let after = marks.partition_point(|mark| mark.byte as usize <= byte);
        let mark = after.checked_sub(1).and_then(|at| marks.get(at)).copied().unwrap_or(Mark {
            byte: 0,
            line: 1,
            column: 1,
        });
        let between = self.text.get(mark.byte as usize..byte).unwrap_or("");
        (mark.line as usize, mark.column as usize + between.chars().count())
    }
}

impl Sources {
    /// Where the first file, `keyform.toml`, is; `None` if there is none.
    pub fn main(&self) -> Option<&str> {
        self.files.first().map(|source| source.path.as_str())
    }

    /// Names every file as seen from a folder further up: `folder` is the project's own, seen from
    /// there, with `/` at its end.
    pub fn below(&mut self, folder: &str) {
        self.files.iter_mut().for_each(|source| source.path.insert_str(0, folder));
    }

    pub fn place(&self, origin: Origin) -> Option<Place<'_>> {
        let source = self.files.get(origin.file as usize)?;
        let (line, column) = source.position(origin.start as usize);
        Some(Place { path: &source.path, line, column })
    }
}

fn marks(text: &str) -> Box<[Mark]> {
    let mut marks = Vec::new();
    let mut start = 0;
    for (n, line) in text.split_inclusive('\n').enumerate() {
        let (mut at, mut column) = (0, 1);
        loop {
            marks.push(Mark { byte: (start + at) as u32, line: n as u32 + 1, column });
            let next = line.floor_char_boundary(at + MARK_EVERY);
            if next >= line.len() {
                break;
            }
            column += line.get(at..next).unwrap_or("").chars().count() as u32;
            at = next;
        }
        start += line.len();
    }
    // The end of a text that ends with a newline stands on a line of its own.
    if text.ends_with('\n') {
        marks.push(Mark {
            byte: start as u32,
            line: text.bytes().filter(|b| *b == b'\n').count() as u32 + 1,
            column: 1,
        });
    }
    marks.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters() {
        let long = "ü".repeat(10_000);
        let source = Source::new("a.toml", format!("a = 1\nüb = 2\n{long}x\n"));
        let naive = |byte: usize| {
            let before = &source.text[..byte];
            (
                before.matches('\n').count() + 1,
                before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1,
            )
        };
        for (byte, _) in source.text.char_indices().step_by(97).chain([(source.text.len(), ' ')]) {
            assert_eq!(source.position(byte), naive(byte), "byte {byte}");
        }
        assert_eq!(source.position(usize::MAX), (4, 1));
        assert_eq!(Source::new("", "").position(0), (1, 1));
    }
}
