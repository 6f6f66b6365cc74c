//! A pull request from somebody who means harm: `validate` and `plan --refresh=none` on it cost
//! bounded time and memory, read nothing outside the project, run nothing, and what they print does
//! nothing to whoever reads it. The limits are the operating system's.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::keyform;

/// Stands in files outside of the project.
const CANARY: &str = "canary-outside-of-the-project-7c1f";
/// Bytes of address space, and seconds of processor time, for one command in a debug build. No
/// command needs a tenth of it for an ordinary project.
const MEMORY_KIB: u64 = 4 << 20;
const SECONDS: u64 = 120;
/// Bytes that a command may print.
const OUTPUT: usize = 16 << 20;

const HEAD: &str = "[project]\nname = \"acme\"\n";

struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new(toml: &str) -> Project {
        let folder = tempfile::tempdir().expect("a folder");
        let project = Project { folder };
        std::fs::create_dir(project.dir()).expect("a folder");
        project.write("keyform.toml", toml);
        let canary = format!("[app.{CANARY}]\nname = \"{CANARY}\"\n");
        std::fs::write(project.folder.path().join("outside.toml"), canary).expect("written");
        project
    }
    fn dir(&self) -> std::path::PathBuf {
        self.folder.path().join("project")
    }
    fn write(&self, path: &str, text: &str) {
        let path = self.dir().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
        std::fs::write(path, text).expect("it is written");
    }
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = Command::new("bash");
        keyform::environment(&mut command, self.folder.path(), None);
        let limits = format!("ulimit -v {MEMORY_KIB}; ulimit -t {SECONDS}; exec keyform \"$@\"");
        command
            .args(["-c", &limits, "keyform"])
            .args(args)
            .current_dir(self.dir())
            .stdin(Stdio::null());
        // Nobody is to be asked: there is no key, and nothing listens there.
        command.env("KEYFORM_ENDPOINT", "http://127.0.0.1:1");
        let output = command.output().expect("keyform runs");
        let code =
            output.status.code().unwrap_or_else(|| panic!("{args:?} ended by {:?}", output.status));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        (code, text(&output.stdout), text(&output.stderr))
    }
    /// In these formats of both commands.
    fn judge(&self, what: &str, formats: &[&str]) {
        for command in [&["validate"][..], &["plan", "--refresh=none"]] {
            for format in formats {
                if matches!(
                    (command[0], *format),
                    ("validate", "terraform-json") | ("plan", "sarif")
                ) {
                    continue;
                }
                let (code, stdout, stderr) = self.run(&[command, &["--format", format]].concat());
                let about = format!("{what}, {command:?} {format}");
                assert!(matches!(code, 0 | 1 | 3), "{about}: exit {code}: {stderr:.2000}");
                for text in [&stdout, &stderr] {
                    assert!(text.len() <= OUTPUT, "{about}: {} bytes", text.len());
                    assert!(
                        !text.contains("panicked") && !text.contains(CANARY),
                        "{about}: {text:.2000}"
                    );
                    let bad = |c: char| {
                        (c.is_control() && c != '\n') || ::keyform::keyset::settings::is_format(c)
                    };
                    assert!(!text.contains(bad), "{about}: {:?}", text.chars().find(|c| bad(*c)));
                    assert!(!text.contains("##["), "{about}");
                }
                match *format {
                    "markdown" => {
                        assert!(stdout.len() <= 65_536, "{about}: {} bytes", stdout.len())
                    }
                    "github" => {
                        let ours = |line: &str| {
                            ["::error ", "::warning ", "::notice "]
                                .iter()
                                .any(|own| line.starts_with(own))
                        };
                        assert!(stdout.lines().all(ours), "{about}: {stdout:.2000}");
                    }
                    "json" | "gitlab" | "sarif" | "terraform-json" => {
                        assert!(
                            stdout.is_empty()
                                || serde_json::from_str::<serde_json::Value>(&stdout).is_ok(),
                            "{about}"
                        );
                    }
                    _ => {}
                }
            }
        }
    }
}

const ALL: &[&str] = &["human", "json", "markdown", "github", "gitlab", "sarif", "terraform-json"];
const SOME: &[&str] = &["human", "markdown", "github"];

fn many(n: usize, line: impl Fn(usize) -> String) -> String {
    (0..n).fold(String::from(HEAD), |mut text, at| {
        let _ = writeln!(text, "{}", line(at));
        text
    })
}

#[test]
fn bombs_of_nesting() {
    let deep = 100_000;
    for (what, text) in [
        ("arrays", format!("{HEAD}include = {}{}\n", "[".repeat(deep), "]".repeat(deep))),
        ("arrays without an end", format!("{HEAD}include = {}\n", "[".repeat(deep))),
        (
            "inline tables",
            format!("{HEAD}[app.a]\nname = {}1{}\n", "{a=".repeat(deep), "}".repeat(deep)),
        ),
        ("dotted keys", format!("{HEAD}[app]\n{}a = 1\n", "a.".repeat(deep))),
        ("headers", format!("{HEAD}[{}a]\n", "app.".repeat(deep))),
        ("arrays of tables", format!("{HEAD}[[{}a]]\n", "app.".repeat(deep))),
        ("quotes", format!("{HEAD}x = {}\n", "\"".repeat(deep))),
        ("brackets in a text", format!("{HEAD}[app.a]\nname = \"{}\"\n", "[".repeat(deep))),
    ] {
        Project::new(&text).judge(what, SOME);
    }
}

#[test]
fn bombs_of_number_and_size() {
    let long = "x".repeat(4 << 20);
    for (what, text) in [
        ("a value of 4 MiB", format!("{HEAD}[app.a]\nname = \"{long}\"\n")),
        ("a label of 4 MiB", format!("{HEAD}[app.{long}]\nname = \"a\"\n")),
        ("an unknown key of 4 MiB", format!("{HEAD}{long} = 1\n")),
        ("an integer of 4 MiB", format!("{HEAD}[limits]\ncreate = {}\n", "9".repeat(4 << 20))),
        ("a comment of 4 MiB", format!("{HEAD}# {long}\n[limits]\ncreate = -1\n")),
        (
            "a line of many mistakes",
            format!(
                "{HEAD}[app.a]\nname = \"A\"\n[keyset]\n{}",
                "a = { app = \"b\" }, ".repeat(6_000)
            ),
        ),
        ("a long line of many mistakes", {
            let tables: Vec<String> =
                (0..6_000).map(|n| format!("k{n} = {{ app = \"none\" }}")).collect();
            format!("{HEAD}keyset = {{ {} }}\n", tables.join(", "))
        }),
        ("many unknown tables", many(12_000, |n| format!("[unknown{n}]"))),
        (
            "many keysets without an app",
            many(12_000, |n| format!("[keyset.k{n}]\ntype = \"testing\"")),
        ),
        (
            "many keysets of one wrong profile",
            many(8_000, |n| {
                format!("[keyset.k{n}]\napp = \"a\"\ntype = \"testing\"\nprofiles = [\"p\"]")
            }),
        ),
        ("one key many times", format!("{HEAD}{}", "freeze = \"a\"\n".repeat(12_000))),
        ("one table many times", format!("{HEAD}{}", "[app.a]\nname = \"A\"\n".repeat(8_000))),
        ("many limits", format!("{HEAD}[limits]\n{}", "create = 1\n".repeat(12_000))),
        ("many recipients", {
            let recipients =
                vec!["\"age1cy0su9fwf3gf9mw868g5yut09p6nytfmmnktexz2ya5uqg9vl9sss4euqm\""; 8_000]
                    .join(",");
            format!(
                "{HEAD}[secrets]\nsinks = [\"age\"]\n[secrets.age]\nrecipients = [{recipients}]\n"
            )
        }),
        ("many profiles of one keyset", {
            let profiles: String = (0..6_000)
                .fold(String::new(), |text, n| text + &format!("[profile.p{n}]\nprotect = true\n"));
            let names: Vec<String> = (0..6_000).map(|n| format!("\"p{n}\"")).collect();
            format!("{HEAD}{profiles}[keyset.k]\napp = \"a\"\nprofiles = [{}]\n", names.join(","))
        }),
    ] {
        Project::new(&text).judge(what, SOME);
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let project = Project::new(HEAD);
    // Holes: it takes no room here, and would take all of it there.
    let file = std::fs::File::options()
        .write(true)
        .open(project.dir().join("keyform.toml"))
        .expect("it is there");
    file.set_len(40 << 30).expect("a hole");
    project.judge("a file of 40 GiB", ALL);
    let (code, _, stderr) = project.run(&["validate"]);
    assert!(code == 1 && stderr.contains("KF006"), "{stderr}");
}

#[test]
fn values_of_the_strangest_kind() {
    for value in [
        "nan",
        "-inf",
        "1e999999999",
        "0x7fffffffffffffff",
        "99999999999999999999",
        "1979-05-27T00:32:00.999999-07:00",
        "'''\n'''",
        "{}",
        "[]",
        "true",
    ] {
        for key in [
            "[limits]\ncreate = ",
            "[api]\nversion = ",
            "[project]\nname = ",
            "[app.a]\nname = ",
            "[secrets]\nsinks = ",
            "[notify]\nurl = ",
            "[[parity]]\nbetween = ",
            "[keyset.k]\napp = ",
            "[keyset.k]\nfiles = ",
            "[keyset.k.files]\nretention = ",
            "[keyset.k]\nrotate = ",
            "[keyset.k]\nmoved = ",
            "[keyset.k.push.apns]\nfile = ",
        ] {
            let text = if key.starts_with("[project]") {
                format!("{key}{value}\n")
            } else {
                format!("{HEAD}{key}{value}\n")
            };
            Project::new(&text).judge(&format!("{key}{value}"), &["human"]);
        }
    }
}

#[test]
fn nothing_outside_is_read() {
    let with = |include: &str| Project::new(&format!("{HEAD}include = [\"{include}\"]\n"));
    let outside = |project: &Project| project.folder.path().join("outside.toml");
    for include in [
        "../outside.toml",
        "../*.toml",
        "../**/*.toml",
        "/etc/passwd",
        "/**",
        "keysets/../../outside.toml",
        "./../outside.toml",
        "//etc/passwd",
    ] {
        let project = with(include);
        project.judge(include, ALL);
        assert_eq!(project.run(&["validate"]).0, 1, "{include}");
    }
    let passwd = with("/etc/passwd");
    assert!(!passwd.run(&["validate"]).2.contains("root:"));

    let project = with("keysets/*.toml");
    std::fs::create_dir(project.dir().join("keysets")).expect("a folder");
    symlink(outside(&project), project.dir().join("keysets/a.toml")).expect("a link");
    project.judge("a link to a file outside", ALL);
    assert_eq!(project.run(&["validate"]).0, 1);

    let project = with("keysets/*.toml");
    symlink(project.folder.path(), project.dir().join("keysets")).expect("a link");
    project.judge("a link to a folder outside", ALL);
    assert_eq!(project.run(&["validate"]).0, 1);

    let project = with("**/*.toml");
    symlink(".", project.dir().join("loop")).expect("a link");
    symlink("b", project.dir().join("a")).expect("a link");
    symlink("a", project.dir().join("b")).expect("a link");
    project.judge("links in a ring", ALL);

    for device in ["/dev/zero", "/dev/stdin", "/proc/self/environ", "/proc/self/mem"] {
        let project = Project::new(HEAD);
        std::fs::remove_file(project.dir().join("keyform.toml")).expect("it is there");
        symlink(device, project.dir().join("keyform.toml")).expect("a link");
        project.judge(device, ALL);
        assert_eq!(project.run(&["validate"]).0, 1, "{device}");
        let project = with("keysets/*.toml");
        std::fs::create_dir(project.dir().join("keysets")).expect("a folder");
        symlink(device, project.dir().join("keysets/a.toml")).expect("a link");
        project.judge(device, ALL);
    }

    let project = with("keysets/*.toml");
    std::fs::create_dir(project.dir().join("keysets")).expect("a folder");
    assert!(
        Command::new("mkfifo")
            .arg(project.dir().join("keysets/a.toml"))
            .status()
            .expect("mkfifo runs")
            .success()
    );
    project.judge("a pipe that nobody writes to", ALL);
    assert_eq!(project.run(&["validate"]).0, 1);

    // The state of a project is as foreign as its TOML.
    for file in ["state/keyform.json", "state/keyform.journal", "state/keyform.audit.jsonl"] {
        let project = Project::new(HEAD);
        std::fs::create_dir(project.dir().join("state")).expect("a folder");
        symlink("/dev/zero", project.dir().join(file)).expect("a link");
        project.judge(file, ALL);
        project.run(&["show"]);
        project.run(&["log"]);
    }

    // What secrets and credentials are written to or read from.
    let keyset = "[app.a]\nname = \"A\"\n[keyset.k]\napp = \"a\"\ntype = \"testing\"\n";
    for more in [
        "[keyset.k.push.fcm]\nfile = \"../outside.toml\"\n",
        "[keyset.k.push.fcm]\nfile = \"/etc/passwd\"\n",
        "[keyset.k.push.fcm]\nfile = \"link\"\n",
        "[secrets]\nsinks = [\"age\"]\n[secrets.age]\nrecipients = [\"age1cy0su9fwf3gf9mw868g5yut09p6nytfmmnktexz2ya5uqg9vl9sss4euqm\"]\ndir = \"../outside\"\n",
    ] {
        let project = Project::new(&format!("{HEAD}{keyset}{more}"));
        symlink(outside(&project), project.dir().join("link")).expect("a link");
        project.judge(more, ALL);
    }
}

#[test]
fn nothing_is_run() {
    let project = Project::new(&format!(
        "{HEAD}[secrets]\nsinks = [\"exec\"]\n[secrets.exec]\ncommand = [\"./program\"]\n[app.a]\nname = \"A\"\n[keyset.k]\napp = \"a\"\ntype = \"testing\"\n"
    ));
    let ran = project.folder.path().join("ran");
    project.write("program", &format!("#!/bin/sh\ntouch {}\n", ran.display()));
    project.write(
        ".git/config",
        &format!("[core]\n\tfsmonitor = \"touch {}\"\n\thooksPath = .\n", ran.display()),
    );
    assert!(
        Command::new("chmod")
            .arg("+x")
            .arg(project.dir().join("program"))
            .status()
            .expect("chmod runs")
            .success()
    );
    project.judge("a program as a sink", ALL);
    for command in [&["show"][..], &["log"], &["state", "list"], &["secrets", "list"], &["schema"]]
    {
        project.run(command);
    }
    assert!(!Path::new(&ran).exists(), "somebody's program was run");
}

#[test]
fn patterns_that_could_take_for_ever() {
    let project = Project::new(&format!(
        "{HEAD}include = [\"**/**/**/**/**/**/*.toml\", \"{}\", \"**/[a-z][a-z]*{}.toml\"]\n",
        "*/".repeat(500) + "*.toml",
        "*a".repeat(500)
    ));
    for n in 0..400 {
        project.write(&format!("d{}/d{}/d{}/{}.txt", n % 4, n % 20, n % 100, "a".repeat(100)), "");
        project.write(&format!("d{}/d{}/{}{n}.toml", n % 4, n % 20, "a".repeat(60)), "");
    }
    project.judge("patterns", SOME);
}

#[test]
fn names_that_want_to_be_more() {
    let names = [
        "\\u001b[31mred\\u001b[0m",
        "\\u202egnp.exe",
        "a\\n::error::b",
        "a\\r##[set-output name=x;]y",
        "@everyone [x](https://x.test) <b>",
        "` `` ```",
        "| a | b |",
        "-->",
        "\\u0000",
        "\\u200b\\u2066",
        "%0A::set-env name=A::B",
        "$(touch x) `touch x` ${{ secrets.KEY }}",
        "'; touch x; '",
        "--format=json",
        "a\\u0085b\\u2028c",
    ];
    let mut keysets = String::new();
    for (n, name) in names.iter().enumerate() {
        let _ = write!(
            keysets,
            "[app.a{n}]\nname = \"{name}\"\n[keyset.k{n}]\napp = \"a{n}\"\ntype = \"testing\"\nname = \"{name}\"\nfreeze = \"{name}\"\n"
        );
        let text = format!(
            "{HEAD}[app.\"{name}\"]\nname = \"a\"\n[keyset.\"{name}\"]\napp = \"{name}\"\n\"{name}\" = 1\n[\"{name}\"]\n"
        );
        Project::new(&text).judge(name, ALL);
        let one = format!(
            "{HEAD}[app.a]\nname = \"{name}\"\n[keyset.k]\napp = \"a\"\ntype = \"testing\"\nname = \"{name}\"\nfreeze = \"{name}\"\n"
        );
        Project::new(&one).judge(name, ALL);
    }
    Project::new(&format!("{HEAD}{keysets}")).judge("all names at once", ALL);
    // The names of files.
    let project = Project::new(&format!("{HEAD}include = [\"keysets/*.toml\"]\n"));
    for name in [
        "\u{1b}[31mred",
        "\u{202e}x",
        "a\n::error::b",
        "##[group]x",
        "@team",
        "` `",
        "$(x)",
        "--flag",
    ] {
        project.write(&format!("keysets/{name}.toml"), "[app.a]\nname = 1\n");
    }
    project.judge("names of files", ALL);
}
