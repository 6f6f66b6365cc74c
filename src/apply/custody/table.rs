//! The truth table: may a sink's entry be written, or removed?
//!
//! A secret that nobody else has must never be overwritten. Three facts decide: what is to be done
//! with the entry, what the sink has there (as far as it tells, or gives back), and whose the entry
//! is by state and journal. `decide` is the only place that combines them.

/// What is to be done with the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The secret key of a keyset that is created now, or whose create was sealed in the journal.
    Create,
    /// The present secret key of a recorded keyset: by a rotation, or confirmed by the account.
    Renew,
    /// A secret that is in hand, of a recorded keyset: imported, copied from another sink, or put
    /// back.
    Store,
    /// A recorded secret goes to the entry of a new label.
    Move,
    /// The entry of a keyset that is gone is removed.
    Discard,
}

/// What the sink has under the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    /// The secret that is to be put, or the one that is recorded for this keyset.
    Ours,
    /// A secret that is safe elsewhere: another keyset has it, in another entry of this sink.
    Copy,
    /// A secret that the state does not know here.
    Other,
    /// Something that cannot be read here.
    Unreadable,
    /// The sink cannot be read, and does not tell whether there is an entry.
    NotTold,
    /// The sink failed when it was asked.
    Failed,
}

/// Whose entry it is, by state and journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// The state records this keyset's secret in it.
    Own,
    /// This keyset's create or rotation got as far as putting a secret there, or may have.
    Begun,
    /// State and journal know nothing of it.
    Unrecorded,
    /// It is in use for another keyset.
    InUse,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Go,
    /// It is as it is to be already.
    NoNeed,
    /// What is there is copied to a name beside it first.
    KeepBeside,
    /// Only with `--overwrite`.
    IfTold,
    Refuse,
}

pub fn decide(purpose: Purpose, found: Found, known: Known) -> Decision {
    use Decision::{Go, IfTold, KeepBeside, NoNeed, Refuse};
    use Found::{Copy, Failed, NotTold, Nothing, Other, Ours, Unreadable};
    use Known::{Begun, InUse, Own, Unrecorded};
    use Purpose::{Create, Discard, Move, Renew, Store};
    match (purpose, found, known) {
        (Create | Renew | Store | Move, Nothing, Own | Begun | Unrecorded | InUse) => Go,
        (Discard, Nothing, Own | Begun | Unrecorded | InUse) => NoNeed,

        (Create | Renew | Store | Discard, Ours, Own | Begun | Unrecorded | InUse) => Go,
        (Move, Ours, Own | Begun | Unrecorded | InUse) => NoNeed,

        // The same secret stays in the other entry.
        (Create, Copy, Own | Begun | Unrecorded) => Go,
        // Under this name it would be read as this keyset's; who put it there may look for it.
        (Renew, Copy | Other, Own | Begun | Unrecorded) => KeepBeside,
        (Store, Copy | Other, Own | Begun | Unrecorded) => IfTold,
        (Create, Other, Own | Begun | Unrecorded) => Refuse,

        // Whose it is, only state and journal tell.
        (Create | Renew | Store, Unreadable | NotTold, Own) => Go,
        (Create | Renew, Unreadable | NotTold, Begun) => Go,
        (Store, Unreadable | NotTold, Begun | Unrecorded) => IfTold,
        (Renew, Unreadable | NotTold, Unrecorded) => IfTold,
        // There is something, and it is nobody's that is known here.
        (Create, Unreadable, Unrecorded) => Refuse,
        // The first create under a name: otherwise nothing could ever be created in such a sink.
        (Create, NotTold, Unrecorded) => Go,

        // What is damaged is repaired by the key that takes its place.
        (Renew, Failed, Own | Begun) => Go,
        (Renew, Failed, Unrecorded) => Refuse,
        (Create | Store, Failed, Own | Begun | Unrecorded) => Refuse,

        // The secret of another keyset is never written over, whatever is said.
        (Create | Renew | Store, Copy | Other | Unreadable | NotTold | Failed, InUse) => Refuse,
        (
            Move | Discard,
            Copy | Other | Unreadable | NotTold | Failed,
            Own | Begun | Unrecorded | InUse,
        ) => Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row: found and known, then Create, Renew, Store, Move and Discard. `go`, `-` for
    /// nothing to do, `beside`, `told` for only with `--overwrite`, `no`.
    const ROWS: &str = "
        Nothing    Own         go  go      go    go  -
        Nothing    Begun       go  go      go    go  -
        Nothing    Unrecorded  go  go      go    go  -
        Nothing    InUse       go  go      go    go  -
        Ours       Own         go  go      go    -   go
        Ours       Begun       go  go      go    -   go
        Ours       Unrecorded  go  go      go    -   go
        Ours       InUse       go  go      go    -   go
        Copy       Own         go  beside  told  no  no
        Copy       Begun       go  beside  told  no  no
        Copy       Unrecorded  go  beside  told  no  no
        Copy       InUse       no  no      no    no  no
        Other      Own         no  beside  told  no  no
        Other      Begun       no  beside  told  no  no
        Other      Unrecorded  no  beside  told  no  no
        Other      InUse       no  no      no    no  no
        Unreadable Own         go  go      go    no  no
        Unreadable Begun       go  go      told  no  no
        Unreadable Unrecorded  no  told    told  no  no
        Unreadable InUse       no  no      no    no  no
        NotTold    Own         go  go      go    no  no
        NotTold    Begun       go  go      told  no  no
        NotTold    Unrecorded  go  told    told  no  no
        NotTold    InUse       no  no      no    no  no
        Failed     Own         no  go      no    no  no
        Failed     Begun       no  go      no    no  no
        Failed     Unrecorded  no  no      no    no  no
        Failed     InUse       no  no      no    no  no
    ";
    const FOUND: [Found; 7] = [
        Found::Nothing,
        Found::Ours,
        Found::Copy,
        Found::Other,
        Found::Unreadable,
        Found::NotTold,
        Found::Failed,
    ];
    const KNOWN: [Known; 4] = [Known::Own, Known::Begun, Known::Unrecorded, Known::InUse];
    const PURPOSES: [Purpose; 5] =
        [Purpose::Create, Purpose::Renew, Purpose::Store, Purpose::Move, Purpose::Discard];

    fn word(decision: Decision) -> &'static str {
        match decision {
            Decision::Go => "go",
            Decision::NoNeed => "-",
            Decision::KeepBeside => "beside",
            Decision::IfTold => "told",
            Decision::Refuse => "no",
        }
    }

    #[test]
    fn every_row_decides_as_written() {
        let mut rows = ROWS.lines().map(str::trim).filter(|line| !line.is_empty());
        for found in FOUND {
            for known in KNOWN {
                let row = rows.next().expect("a row for each");
                let mut words = vec![format!("{found:?}"), format!("{known:?}")];
                words.extend(PURPOSES.map(|purpose| word(decide(purpose, found, known)).into()));
                assert_eq!(words.join(" "), row.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
        assert_eq!(rows.next(), None);
    }

    #[test]
    fn nothing_that_may_be_the_only_copy_goes_without_a_word() {
        for purpose in PURPOSES {
            for known in KNOWN {
                assert_ne!(decide(purpose, Found::Other, known), Decision::Go);
            }
            for found in [Found::Other, Found::Unreadable, Found::NotTold, Found::Failed] {
                assert_eq!(decide(purpose, found, Known::InUse), Decision::Refuse);
            }
        }
    }
}
