//! The log as bytes: a line a record, each naming the hash of the one before. So nothing can be
//! changed or taken out unseen as long as something follows it that is known to be right: another
//! record, or the hash that the state file keeps.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;

use super::{Record, RecordHash};

/// A log, read.
#[derive(Default)]
pub struct Chain {
    pub lines: Vec<Line>,
    pub flaws: Vec<Flaw>,
    /// What nothing follows yet, in the order of the file.
    pub heads: Vec<RecordHash>,
    /// Bytes up to the end of the last whole line; what follows was torn by a crash.
    pub whole: u64,
}

/// One whole line. `None`: a record of a keyform that knows more, or none at all, which is a flaw
/// too.
pub struct Line {
    pub number: usize,
    pub hash: RecordHash,
    pub record: Option<Record>,
}

/// What shows that the log is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The line is no record.
    NoRecord { line: usize },
    /// A line follows a record that is not before it.
    Unlinked { line: usize },
    /// The state file, or somebody, knows a record that is not here.
    Absent { hash: RecordHash },
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::NoRecord { line } => write!(f, "line {line} is no record: it was changed"),
            Flaw::Unlinked { line } => {
                write!(
                    f,
                    "line {line} follows a record that is not there: what stood before it was \
                     changed, moved or taken out"
                )
            }
            Flaw::Absent { hash } => write!(
                f,
                "record {hash} is known, and not there: the end of the log was changed or taken out"
            ),
        }
    }
}

impl Chain {
    pub fn read(bytes: &[u8]) -> Chain {
        #[derive(Deserialize)]
        struct Link {
            prev: Vec<RecordHash>,
        }
        let mut chain = Chain::default();
        let (mut seen, mut followed) = (HashSet::new(), HashSet::new());
        for (n, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
            let Some(text) = line.strip_suffix(b"\n") else { break };
            let number = n + 1;
            chain.whole += line.len() as u64;
            let hash = RecordHash::of(text);
            match serde_json::from_slice::<Link>(text) {
                Ok(Link { prev }) => {
                    if prev.iter().any(|hash| !seen.contains(hash)) {
                        chain.flaws.push(Flaw::Unlinked { line: number });
                    }
                    followed.extend(prev);
                }
                Err(_) => chain.flaws.push(Flaw::NoRecord { line: number }),
            }
            seen.insert(hash);
            chain.lines.push(Line { number, hash, record: serde_json::from_slice(text).ok() });
        }
        chain.heads = chain
            .lines
            .iter()
            .map(|line| line.hash)
            .filter(|hash| !followed.contains(hash))
            .collect();
        chain
    }

    /// What is known to have been written has to be here.
    pub fn expect(&mut self, known: &[RecordHash]) {
        let there: HashSet<RecordHash> = self.lines.iter().map(|line| line.hash).collect();
        self.flaws.extend(
            known
                .iter()
                .filter(|hash| !there.contains(hash))
                .map(|hash| Flaw::Absent { hash: *hash }),
        );
    }

    /// A record as a line, and the hash that the next one names.
    pub fn line(record: &Record) -> serde_json::Result<(Vec<u8>, RecordHash)> {
        let mut line = serde_json::to_vec(record)?;
        let hash = RecordHash::of(&line);
        line.push(b'\n');
        Ok((line, hash))
    }
}
