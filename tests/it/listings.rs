//! Listings that cannot be true: short, empty, repeated, in another order, changing while they are
//! read. Nothing is sent that changes the account, nothing is written, and the error says what is
//! wrong. What is complete in another order is complete, and what settles down by the next pass is
//! taken.

use crate::support::{Place, read_tree};

const LABELS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn declared(labels: &[&str], more: &str) -> String {
    let apps = "[app.one]\nname = \"One\"\n[app.two]\nname = \"Two\"\n[app.three]\nname = \"Three\"\n[limits]\ndelete = 9\n";
    let keysets = labels
        .iter()
        .map(|label| format!("[keyset.{label}]\napp = \"one\"\ntype = \"testing\"\n{more}"));
    format!("{apps}{}", keysets.collect::<String>())
}

/// Five keysets in one of three apps, two entries a page, and something of every kind to do: to
/// create, to update, to delete.
fn place() -> Place {
    let mut place = Place::new();
    place.declare(&declared(&LABELS, ""));
    place.ends(&["apply", "--yes"], 0, "5 keysets created");
    place.declare(&declared(&["a", "b", "c", "d", "new"], "presence.enabled = true\n"));
    place.restart(&["--page-limit", "2"]);
    place
}

const COMMANDS: [&[&str]; 7] = [
    &["plan", "--delete"],
    &["apply", "--yes", "--delete"],
    &["drift"],
    &["drift", "--accept", "a"],
    &["adopt", "--all"],
    &["parity", "a", "b"],
    &["apply", "--approve", "0000000000000000000000000000000000000000000000000000000000000000"],
];

fn files(place: &Place) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let ours = |path: &std::path::Path| {
        ["keyform.toml", "keyform.json", ".age"]
            .iter()
            .any(|end| path.to_string_lossy().ends_with(end))
    };
    read_tree(place.dir()).into_iter().filter(|(path, _)| ours(path)).collect()
}

fn changes(place: &Place) -> usize {
    place.requests().iter().filter(|line| !line.starts_with("GET ")).count()
}

#[test]
fn no_listing_that_cannot_be_true_leads_to_anything() {
    let mut place = place();
    let faults = [
        ("keysets", "short-list", "empty after"),
        ("keysets", "repeat-page", "repeats an entry"),
        ("keysets", "reorder-list", "repeats an entry"),
        ("keysets", "grow-list", "says 6 in all, an earlier one said 5"),
        ("keysets", "shrink-list", "says 4 in all, an earlier one said 5"),
        ("keysets", "total-high", "empty after 5 entries"),
        ("apps", "short-list", "empty after"),
        ("apps", "repeat-page", "repeats an entry"),
        ("apps", "reorder-list", "repeats an entry"),
        ("apps", "grow-list", "says 4 in all"),
        ("apps", "shrink-list", "says 2 in all"),
        ("apps", "total-high", "empty after 3 entries"),
    ];
    let (before, sent) = (files(&place), changes(&place));
    for (what, fault, says) in faults {
        place.restart(&["--page-limit", "2", "--fault", &format!("GET /v2/{what}$={fault}")]);
        for command in COMMANDS {
            let told = place.ends(command, 1, "the listing cannot be trusted");
            assert!(
                told.contains(says) && told.contains(&format!("GET /v2/{what}")),
                "{what} {fault} {command:?}: {told}"
            );
            assert_eq!(changes(&place), sent, "{what} {fault} {command:?}");
            assert!(files(&place) == before, "{what} {fault} {command:?}");
        }
    }
}

#[test]
fn what_a_listing_hides_is_not_missing() {
    // Totals that agree with what is shown: only asking for a keyset by its id tells.
    let mut place = place();
    let (before, sent) = (files(&place), changes(&place));
    // Each looks several times, for some seconds.
    for (fault, commands) in [
        ("empty-list", &[COMMANDS[1], COMMANDS[3], COMMANDS[4]][..]),
        ("total-low", &COMMANDS[1..2]),
    ] {
        place.restart(&["--page-limit", "2", "--fault", &format!("GET /v2/keysets$={fault}")]);
        for command in commands {
            let told = place.run(command);
            let text = format!(
                "{}{}",
                String::from_utf8_lossy(&told.stdout),
                String::from_utf8_lossy(&told.stderr)
            );
            assert!(matches!(told.status.code(), Some(1)), "{fault} {command:?}: {text}");
            assert!(text.contains("the listing cannot be trusted"), "{fault} {command:?}: {text}");
            assert_eq!(changes(&place), sent, "{fault} {command:?}");
            assert!(files(&place) == before, "{fault} {command:?}");
        }
    }
    // No app is shown: it looks like another account, and is refused as that.
    place.restart(&["--page-limit", "2", "--fault", "GET /v2/apps$=empty-list"]);
    for command in [&["apply", "--yes", "--delete"][..], &["plan"]] {
        let told = place.ends(command, 3, "app one:");
        assert!(
            told.contains("app two:") && told.contains("app three:"),
            "an app that holds nothing is not made again either: {told}"
        );
    }
    assert_eq!(changes(&place), sent);
}

#[test]
fn another_order_is_no_fault_and_a_change_that_settles_is_taken() {
    let mut place = place();
    place.restart(&[
        "--page-limit",
        "2",
        "--fault",
        "GET /v2/keysets$=reverse-list",
        "--fault",
        "GET /v2/apps$=reverse-list",
    ]);
    place.ends(&["plan"], 0, "1 keyset to create, 4 to update");
    for fault in ["grow-list", "shrink-list", "reorder-list", "repeat-page", "short-list"] {
        // Wrong in the first pass, right in the second.
        place.restart(&["--page-limit", "2", "--fault", &format!("GET /v2/keysets$#2={fault}")]);
        place.ends(&["plan"], 0, "1 keyset to create, 4 to update");
    }
    place.ends(&["apply", "--yes", "--delete"], 0, "1 keyset deleted");
    place.is_settled();
}
