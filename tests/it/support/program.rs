//! A program for the sink `exec`: keeps what it is given in `vault.json` beside it, complains at
//! length while there is a file `complain`, is down while there is one `down`, gives nothing back
//! while there is one `blind`, and tells whether it has an entry while there is one `tells`. What an
//! adapter has to do, in a few lines; what it is asked without knowing it, it takes for a deletion.

use std::path::Path;
use std::process::Command;

const PROGRAM: &str = r#"#!/usr/bin/env python3
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
path = os.path.join(here, "vault.json")
asked = json.load(sys.stdin)
kept = json.load(open(path)) if os.path.exists(path) else {}
name = asked.get("item", "") + ":" + asked.get("label", "")
answer = {"ok": True}
blind = os.path.exists(os.path.join(here, "blind"))
if os.path.exists(os.path.join(here, "down")):
    print(json.dumps({"ok": False, "error": "down"}))
    sys.exit(1)
if asked["op"] == "probe":
    answer.update(readable=not blind, persistent=True)
    if os.path.exists(os.path.join(here, "tells")):
        answer.update(exists=True)
elif asked["op"] == "put":
    if os.path.exists(os.path.join(here, "complain")) and asked["item"] == "keyset":
        print("Traceback: put(secret=%s) env=%s" % (asked["secret"][6:], sorted(os.environ.items())), file=sys.stderr)
        sys.exit(1)
    kept[name] = asked["secret"][::-1]
elif name not in kept:
    print(json.dumps({"ok": False, "error": "not found"}))
    sys.exit(3)
elif asked["op"] == "get" and blind:
    print(json.dumps({"ok": False, "error": "write only"}))
    sys.exit(1)
elif asked["op"] == "get":
    answer["secret"] = kept[name][::-1]
elif asked["op"] == "exists" and os.path.exists(os.path.join(here, "tells")):
    pass
else:
    del kept[name]
json.dump(kept, open(path, "w"))
print(json.dumps(answer))
"#;

/// Puts it into the folder as `program`.
pub fn write(folder: &Path) {
    let program = folder.join("program");
    std::fs::write(&program, PROGRAM).expect("the program is written");
    assert!(Command::new("chmod").arg("+x").arg(&program).status().expect("chmod runs").success());
}
