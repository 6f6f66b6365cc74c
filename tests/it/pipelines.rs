//! The pipelines of examples/pipelines, walked through as a team does: a branch, its plan in the
//! pull request, the merge, the apply, a change in the portal, drift at night, and its acceptance.
//! A real git repository, the scripts that the pipelines run, the sandbox as the account, a
//! stand-in for the forge, and no private key on any runner.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ::keyform::secrets::Envelope;
use serde_json::json;

use crate::support::forge::{BOT, Forge, Pull, TOKEN};
use crate::support::{Sandbox, keyform, read_tree};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    GitHub,
    GitLab,
}

struct Team {
    kind: Kind,
    folder: tempfile::TempDir,
    sandbox: Sandbox,
    forge: Forge,
    identity: String,
    jobs: std::cell::Cell<u32>,
    /// Of the default branch's last push by a person.
    pulls: u64,
}

/// A pull request that is open.
struct Branch {
    number: u64,
    name: String,
}

const ONE: &str = "[keyset.chat]\napp = \"chat\"\ntype = \"testing\"\npresence = { enabled = true, interval = 10 }\n";

impl Team {
    fn new(kind: Kind) -> Team {
        let identity = Envelope::new_key().expect("a key").expose_secret().to_owned();
        let folder = tempfile::tempdir().expect("a folder");
        let team = Team {
            kind,
            folder,
            sandbox: Sandbox::start(&[]),
            forge: Forge::start(),
            identity,
            jobs: 0.into(),
            pulls: 0,
        };
        let desk = team.desk();
        git(team.folder.path(), &["init", "-q", "--bare", "-b", "main", "origin"]);
        git(team.folder.path(), &["clone", "-q", "origin", "desk"]);
        git(&desk, &["checkout", "-q", "-B", "main"]);
        let public =
            team.identity.parse::<age::x25519::Identity>().expect("an identity").to_public();
        let toml = format!(
            "[project]\nname = \"acme\"\ninclude = [\"keysets/*.toml\"]\n[secrets]\nsinks = [\"age\"]\n[secrets.age]\nrecipients = [\"{public}\"]\n\
             [app.chat]\nname = \"Chat\"\n"
        );
        write(&desk, "keys/keyform.toml", &toml);
        write(&desk, "keys/keysets/README", "one file a keyset\n");
        team.commit("a project");
        git(&desk, &["push", "-q", "origin", "main"]);
        team
    }
    fn desk(&self) -> PathBuf {
        self.folder.path().join("desk")
    }
    fn commit(&self, what: &str) {
        git(&self.desk(), &["add", "-A"]);
        git(&self.desk(), &["commit", "-q", "-m", what]);
    }
    /// A branch from main as it is now, with this file, pushed, and a pull request for it.
    fn open(&mut self, name: &str, files: &[(&str, &str)]) -> Branch {
        git(&self.desk(), &["checkout", "-q", "main"]);
        git(&self.desk(), &["pull", "-q", "--ff-only", "origin", "main"]);
        git(&self.desk(), &["checkout", "-q", "-b", name]);
        self.pulls += 1;
        let branch = Branch { number: self.pulls, name: name.to_owned() };
        self.forge.with(|world| {
            world.pulls.push(Pull {
                number: branch.number,
                head: String::new(),
                merged: None,
                target: "main".to_owned(),
            })
        });
        self.push(&branch, files);
        branch
    }
    fn push(&self, branch: &Branch, files: &[(&str, &str)]) {
        git(&self.desk(), &["checkout", "-q", &branch.name]);
        files.iter().for_each(|(path, text)| write(&self.desk(), path, text));
        self.commit(&branch.name);
        git(&self.desk(), &["push", "-q", "origin", &branch.name]);
        let head = git(&self.desk(), &["rev-parse", "HEAD"]);
        self.forge.with(|world| world.pulls[branch.number as usize - 1].head = head);
    }
    /// Somebody approves it, and merges.
    fn merge(&self, branch: &Branch) -> String {
        git(&self.desk(), &["checkout", "-q", "main"]);
        git(&self.desk(), &["pull", "-q", "--ff-only", "origin", "main"]);
        git(&self.desk(), &["merge", "-q", "--no-ff", "--no-edit", &branch.name]);
        git(&self.desk(), &["push", "-q", "origin", "main"]);
        let commit = git(&self.desk(), &["rev-parse", "HEAD"]);
        self.forge
            .with(|world| world.pulls[branch.number as usize - 1].merged = Some(commit.clone()));
        commit
    }
    /// A new runner with a checkout of this, and the script in it.
    fn job(&self, script: &str, at: &str, more: &[(&str, &str)]) -> Command {
        self.jobs.set(self.jobs.get() + 1);
        let runner = self.folder.path().join(format!("runner-{}", self.jobs.get()));
        git(self.folder.path(), &["clone", "-q", "origin", runner.to_str().expect("UTF-8")]);
        git(&runner, &["checkout", "-q", at]);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pipelines").join(script);
        let mut command = Command::new(script);
        keyform::environment(&mut command, self.folder.path(), None);
        let commit = git(&runner, &["rev-parse", "HEAD"]);
        command.current_dir(&runner).envs(self.sandbox.env()).env_remove("KEYFORM_SANDBOX_SEED");
        command
            .env("CI", "true")
            .env("KEYFORM_DIR", "keys")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        match self.kind {
            Kind::GitHub => {
                command
                    .env("GITHUB_ACTIONS", "true")
                    .env("GITHUB_API_URL", &self.forge.served.url)
                    .env("GITHUB_REPOSITORY", "acme/keys");
                command
                    .env("GITHUB_SHA", &commit)
                    .env("KEYFORM_FORGE_TOKEN", TOKEN)
                    .env("GITHUB_RUN_ID", "7")
                    .env("GITHUB_REF_NAME", "main");
                command
                    .env("GITHUB_WORKSPACE", &runner)
                    .env("GITHUB_STEP_SUMMARY", runner.join("../summary"))
                    .env("GITHUB_OUTPUT", runner.join("../outputs"));
            }
            Kind::GitLab => {
                command
                    .env("GITLAB_CI", "true")
                    .env("CI_API_V4_URL", &self.forge.served.url)
                    .env("CI_PROJECT_ID", "7");
                command
                    .env("CI_COMMIT_SHA", &commit)
                    .env("KEYFORM_GITLAB_TOKEN", TOKEN)
                    .env("CI_COMMIT_BRANCH", "main");
                command
                    .env("CI_PROJECT_DIR", &runner)
                    .env("CI_JOB_URL", "https://gitlab.example.test/job/7");
            }
        }
        command.envs(more.iter().copied());
        command
    }
    fn run(&self, mut job: Command, code: i32, says: &str) -> String {
        let output: Output = job.output().expect("the script runs");
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(says), "no {says:?} in {text}");
        assert!(!keyform::holds_secret(text.as_bytes()) && !text.contains(TOKEN), "{text}");
        text
    }
    fn plan(&self, branch: &Branch, code: i32, more: &[(&str, &str)]) -> String {
        let event = self.folder.path().join("event.json");
        let head = self.forge.with(|world| world.pulls[branch.number as usize - 1].head.clone());
        std::fs::write(
            &event,
            json!({"pull_request": {"number": branch.number, "head": {"sha": head}}}).to_string(),
        )
        .expect("written");
        let mut job = self.job("plan", &branch.name, &[]);
        match self.kind {
            Kind::GitHub => job.env("GITHUB_EVENT_PATH", event),
            Kind::GitLab => job.env("CI_MERGE_REQUEST_IID", branch.number.to_string()),
        };
        job.envs(more.iter().copied());
        self.run(job, code, "")
    }
    fn apply(&self, commit: &str, code: i32, says: &str) -> String {
        self.run(self.job("apply", commit, &[]), code, says)
    }
    fn drift(&self, code: i32, says: &str) -> String {
        self.run(self.job("drift", "main", &[]), code, says)
    }
    /// Somebody adds a keyset at their desk, applies it alone, and pushes all of it to main.
    fn by_hand(&self, label: &str) {
        git(&self.desk(), &["checkout", "-q", "main"]);
        git(&self.desk(), &["pull", "-q", "--ff-only", "origin", "main"]);
        write(&self.desk(), &format!("keys/keysets/{label}.toml"), &keyset(label));
        let mut apply = keyform::command(
            &["apply", "--yes", "--target", label],
            &self.desk().join("keys"),
            None,
        );
        apply.envs(self.sandbox.env());
        self.run(apply, 0, "1 keyset created");
        self.commit(label);
        git(&self.desk(), &["push", "-q", "origin", "main"]);
    }
    /// As everybody sees it: a fresh clone of main.
    fn main(&self) -> PathBuf {
        self.jobs.set(self.jobs.get() + 1);
        let clone = self.folder.path().join(format!("clone-{}", self.jobs.get()));
        git(self.folder.path(), &["clone", "-q", "origin", clone.to_str().expect("UTF-8")]);
        clone
    }
    /// The owner of the private key looks at main.
    fn owner(&self, args: &[&str], code: i32) -> String {
        let mut command = keyform::command(args, &self.main().join("keys"), None);
        command.envs(self.sandbox.env()).env("KEYFORM_AGE_IDENTITY", &self.identity);
        self.run(command, code, "")
    }
    #[track_caller]
    fn is_sound(&self, names: &[&str]) {
        let mut there = self.sandbox.keysets();
        there.sort();
        assert_eq!(there, names);
        let clone = self.main();
        for (path, bytes) in read_tree(&clone) {
            assert!(!keyform::holds_secret(&bytes), "{} holds a secret", path.display());
        }
        for leftover in ["keyform.journal", "keyform.lock", "keyform.json.backup"] {
            assert!(!clone.join("keys/state").join(leftover).exists(), "{leftover} is committed");
        }
        self.owner(&["plan", "--detailed-exitcode"], 0);
        self.owner(&["secrets", "doctor", "--check", "--live"], 0);
        self.owner(&["log"], 0);
    }
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("it is made");
    std::fs::write(path, text).expect("it is written");
}

#[track_caller]
fn git(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command
        .args([
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=ada@localhost",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(args);
    let done = command
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .expect("git runs");
    assert!(
        done.status.success(),
        "git {args:?}: {}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

fn keyset(label: &str) -> String {
    format!("[keyset.{label}]\napp = \"chat\"\ntype = \"testing\"\n")
}

fn the_whole_walk(kind: Kind) {
    let mut team = Team::new(kind);
    // A branch: its plan stands in one comment, which follows the branch.
    let branch = team.open("chat", &[("keys/keysets/chat.toml", ONE)]);
    team.plan(&branch, 0, &[]);
    let said = team.forge.said(branch.number);
    assert!(
        said.len() == 1
            && said[0].contains("keyset chat in app chat")
            && said[0].contains("interval: 10 seconds"),
        "{said:?}"
    );
    team.push(&branch, &[("keys/keysets/chat.toml", &ONE.replace("10", "15"))]);
    team.plan(&branch, 0, &[]);
    let said = team.forge.said(branch.number);
    assert!(
        said.len() == 1
            && said[0].contains("interval: 15 seconds")
            && !said[0].contains("10 seconds"),
        "{said:?}"
    );
    assert!(team.sandbox.keysets().is_empty(), "a plan changes nothing");

    // It is approved and merged: exactly that is done, the state and the sealed secret are pushed,
    // the pull request hears of it.
    let commit = team.merge(&branch);
    team.apply(&commit, 0, "");
    let said = team.forge.said(branch.number);
    assert!(said.len() == 2 && said[1].contains("1 keyset created"), "{said:?}");
    assert!(team.main().join("keys/secrets/chat.age").exists());
    team.is_sound(&["chat"]);
    // Once more, as after a click on "run again": nothing.
    team.apply("main", 0, "Nothing to do");
    let log = team.owner(&["log", "--format", "json"], 0);
    let log: serde_json::Value = serde_json::from_str(&log).expect("JSON");
    assert_eq!(
        log["records"]
            .as_array()
            .expect("records")
            .iter()
            .filter(|record| record["event"] == "run")
            .count(),
        1
    );
    assert_eq!(
        (&log["records"][0]["commit"], &log["records"][1]["consent"]),
        (&commit.as_str().into(), &"hash".into())
    );

    // All is well at night; then somebody clicks in the portal: one issue, kept up to date.
    team.drift(0, "");
    assert!(team.forge.with(|world| world.issues.is_empty()));
    let state: serde_json::Value = serde_json::from_slice(
        &std::fs::read(team.main().join("keys/state/keyform.json")).expect("a state"),
    )
    .expect("JSON");
    let id = state["keysets"]["chat"]["id"].as_str().expect("an id").to_owned();
    let portal = |interval: u32| {
        team.sandbox.patch(
            &format!("/v2/keysets/{id}/config"),
            &json!({"presence": {"interval": interval}}),
        )
    };
    portal(30);
    team.drift(0, "");
    portal(45);
    team.drift(0, "");
    let issues = team.forge.with(|world| world.issues.clone());
    assert!(
        issues.len() == 1
            && issues[0].open
            && issues[0].title.contains("drift")
            && issues[0].body.contains("the account has 45"),
        "{issues:?}"
    );

    // It was meant: accepted on a branch, whose plan has nothing to change in the account.
    git(&team.desk(), &["checkout", "-q", "main"]);
    git(&team.desk(), &["pull", "-q", "--ff-only", "origin", "main"]);
    let mut accept = keyform::command(
        &["drift", "--accept", "chat.presence.interval"],
        &team.desk().join("keys"),
        None,
    );
    accept.envs(team.sandbox.env());
    team.run(accept, 0, "1 value accepted");
    let accepted =
        std::fs::read_to_string(team.desk().join("keys/keysets/chat.toml")).expect("readable");
    git(&team.desk(), &["checkout", "-q", "--", "keys"]);
    let branch = team.open("meant", &[("keys/keysets/chat.toml", &accepted)]);
    team.plan(&branch, 0, &[]);
    assert!(
        team.forge.said(branch.number)[0].contains("Nothing to do"),
        "{:?}",
        team.forge.said(branch.number)
    );
    let commit = team.merge(&branch);
    team.apply(&commit, 0, "");
    team.drift(0, "");
    let issues = team.forge.with(|world| world.issues.clone());
    assert!(issues.len() == 1 && !issues[0].open, "{issues:?}");
    assert!(team.forge.said(issues[0].number)[0].contains("as declared again"));
    team.is_sound(&["chat"]);
}

#[test]
fn a_team_on_github() {
    the_whole_walk(Kind::GitHub);
}

#[test]
fn a_team_on_gitlab() {
    the_whole_walk(Kind::GitLab);
}

#[test]
fn what_was_not_reviewed_is_not_applied() {
    for kind in [Kind::GitHub, Kind::GitLab] {
        let mut team = Team::new(kind);
        // A last commit that nobody planned.
        let branch = team.open("late", &[("keys/keysets/a.toml", &keyset("a"))]);
        team.plan(&branch, 0, &[]);
        team.push(&branch, &[("keys/keysets/b.toml", &keyset("b"))]);
        let commit = team.merge(&branch);
        team.apply(&commit, 3, "nobody approved this plan: nothing was applied");
        assert!(team.sandbox.keysets().is_empty());
        // Somebody looks at it, and approves what is there now.
        let said = team.apply(&commit, 3, "run this job by hand with its hash: ");
        let hash = said
            .split("with its hash: ")
            .nth(1)
            .and_then(|rest| rest.get(..64))
            .expect("a hash")
            .to_owned();
        team.run(
            team.job("apply", &commit, &[("KEYFORM_APPROVE", &"0".repeat(64))]),
            3,
            "is not the approved one",
        );
        team.run(team.job("apply", &commit, &[("KEYFORM_APPROVE", "0123")]), 1, "");
        assert!(team.sandbox.keysets().is_empty());
        team.run(team.job("apply", &commit, &[("KEYFORM_APPROVE", &hash)]), 0, "");
        team.is_sound(&["a", "b"]);

        // Somebody else writes a comment as the bot does, with the hash of what they want.
        let branch = team.open("forged", &[("keys/keysets/c.toml", &keyset("c"))]);
        let head = team.forge.with(|world| world.pulls[branch.number as usize - 1].head.clone());
        let hash = plan_of(&team, &branch);
        let forged = format!(
            "<!-- keyform plan: keys -->\n<!-- head={head} hash={hash} -->\nNothing to see.\n"
        );
        team.forge.with(|world| world.comment(branch.number, "mallory", &forged));
        let commit = team.merge(&branch);
        team.apply(&commit, 3, "nobody approved this plan");
        assert_eq!(team.sandbox.keysets().len(), 2);

        // The account is another one than at the time of the review.
        let branch = team.open("changed", &[("keys/keysets/d.toml", &keyset("d"))]);
        team.plan(&branch, 0, &[]);
        let app = team.sandbox.get("/v2/apps?page=1&limit=10")["apps"][0]["id"].clone();
        team.sandbox.post(
            "/v2/keysets",
            &json!({"keyset": {"appId": app, "name": "d", "type": "testing"}}),
        );
        let commit = team.merge(&branch);
        team.apply(&commit, 3, "");
        assert_eq!(team.sandbox.keysets().len(), 3);
    }
}

/// The hash of a branch's plan, as whoever has a key can have it.
fn plan_of(team: &Team, branch: &Branch) -> String {
    git(&team.desk(), &["checkout", "-q", &branch.name]);
    let mut plan = keyform::command(&["plan", "--format", "json"], &team.desk().join("keys"), None);
    let plan = plan.envs(team.sandbox.env()).output().expect("keyform runs").stdout;
    let plan: serde_json::Value = serde_json::from_slice(&plan).expect("JSON");
    plan["hash"].as_str().expect("a hash").to_owned()
}

#[test]
fn a_comment_that_is_gone_or_cannot_be_written() {
    for kind in [Kind::GitHub, Kind::GitLab] {
        let mut team = Team::new(kind);
        let branch = team.open("a", &[("keys/keysets/a.toml", &keyset("a"))]);
        // A hundred others before it.
        team.forge.with(|world| {
            (0..130).for_each(|n| _ = world.comment(branch.number, "ada", &format!("comment {n}")))
        });
        team.plan(&branch, 0, &[]);
        team.plan(&branch, 0, &[]);
        assert_eq!(team.forge.said(branch.number).len(), 1);
        team.forge.with(|world| world.comments.retain(|comment| comment.author != BOT));
        team.plan(&branch, 0, &[]);
        assert_eq!(team.forge.said(branch.number).len(), 1);
        team.forge.with(|world| world.comments.retain(|comment| comment.author != BOT));

        team.forge.with(|world| world.read_only = true);
        let said = team.plan(&branch, 1, &[]);
        let next = if kind == Kind::GitHub {
            "pull-requests: write"
        } else {
            "KEYFORM_GITLAB_TOKEN has to be"
        };
        assert!(
            said.contains("does not let this job write a comment (status 403)")
                && said.contains(next),
            "{said}"
        );
        // Of a fork's job nothing else is expected: it has no key and may not write.
        let fork = [("PUBNUB_API_KEY", "")];
        let said = team.plan(&branch, 0, &fork);
        assert!(said.contains("The comment could not be written"), "{said}");
        let none =
            if kind == Kind::GitHub { "KEYFORM_FORGE_TOKEN" } else { "KEYFORM_GITLAB_TOKEN" };
        team.plan(&branch, 0, &[("PUBNUB_API_KEY", ""), (none, "")]);
        team.plan(&branch, 1, &[(none, "")]);
        team.plan(&branch, 1, &[(none, "another")]);
        // It was planned against what is recorded, without a word to the account.
        team.forge.with(|world| world.read_only = false);
        team.plan(&branch, 0, &fork);
        assert!(
            team.forge.said(branch.number)[0].contains("no API key"),
            "{:?}",
            team.forge.said(branch.number)
        );
        // The report of an apply cannot be written: that changes nothing in what was done.
        team.plan(&branch, 0, &[]);
        let commit = team.merge(&branch);
        team.forge.with(|world| world.read_only = true);
        team.apply(&commit, 0, "The comment could not be written");
        team.is_sound(&["a"]);
    }
}

#[test]
fn without_credentials_nothing_is_done() {
    let mut team = Team::new(Kind::GitHub);
    let branch = team.open("a", &[("keys/keysets/a.toml", &keyset("a"))]);
    team.plan(&branch, 0, &[]);
    let commit = team.merge(&branch);
    let without = [("PUBNUB_API_KEY", "")];
    team.run(team.job("apply", &commit, &without), 1, "there is no API key: nothing was applied");
    team.run(team.job("drift", "main", &without), 1, "there is no API key: nothing was compared");
    team.run(
        team.job("drift", "main", &[("KEYFORM_FORGE_TOKEN", "")]),
        1,
        "there is no token to write the issue with",
    );
    team.run(
        team.job("apply", &commit, &[("KEYFORM_FORGE_TOKEN", "")]),
        1,
        "does not let this job tell which pull request",
    );
    team.run(team.job("apply", &commit, &[("PUBNUB_API_KEY", "another-key")]), 1, "401");
    team.run(team.job("drift", "main", &[("PUBNUB_API_KEY", "another-key")]), 1, "401");
    team.run(
        team.job("apply", &commit, &[("KEYFORM_DIR", "../keys")]),
        1,
        "is not a folder of this repository",
    );
    assert!(team.sandbox.keysets().is_empty());
    assert!(team.forge.with(|world| world.issues.is_empty()));
    team.apply(&commit, 0, "");
    team.is_sound(&["a"]);
}

#[test]
fn a_refused_plan_and_a_mistake_fail_the_check() {
    let mut team = Team::new(Kind::GitHub);
    let branch =
        team.open("a", &[("keys/keysets/a.toml", &keyset("a").replace("testing", "testig"))]);
    let said = team.plan(&branch, 1, &[]);
    assert!(said.contains("::error file=keys/keysets/a.toml,line=3"), "{said}");
    assert!(
        team.forge.said(branch.number)[0].contains("KF021"),
        "{:?}",
        team.forge.said(branch.number)
    );
    team.push(
        &branch,
        &[("keys/keysets/a.toml", &format!("{}freeze = \"until Monday\"\n", keyset("a")))],
    );
    team.plan(&branch, 3, &[]);
    assert!(
        team.forge.said(branch.number)[0].contains("until Monday"),
        "{:?}",
        team.forge.said(branch.number)
    );
    let commit = team.merge(&branch);
    team.apply(&commit, 3, "nobody approved this plan");
    assert!(team.sandbox.keysets().is_empty());
}

#[test]
fn states_of_two_branches_meet_on_main() {
    let mut team = Team::new(Kind::GitHub);
    let first = team.open("first", &[("keys/keysets/first.toml", &keyset("first"))]);
    team.plan(&first, 0, &[]);
    let commit = team.merge(&first);
    // The job of the first merge has checked out; before it pushes, somebody else applies and
    // pushes from their desk.
    let slow = team.job("apply", &commit, &[]);
    team.by_hand("second");
    // The app is there by now, so it is another plan than the one that was reviewed.
    team.run(slow, 3, "is not the approved one");
    assert_eq!(team.sandbox.keysets(), ["second"]);
    // On top of what is pushed now it goes on.
    let third = team.open("third", &[("keys/keysets/third.toml", &keyset("third"))]);
    team.plan(&third, 0, &[]);
    let commit = team.merge(&third);
    // What was left is in the plan of the third one, and so approved with it.
    let slow = team.job("apply", &commit, &[]);
    team.by_hand("fourth");
    team.run(slow, 0, "2 keysets created");
    team.is_sound(&["first", "fourth", "second", "third"]);
}

#[test]
fn a_merge_does_not_have_to_wait_for_the_apply_of_the_one_before() {
    for kind in [Kind::GitHub, Kind::GitLab] {
        let mut team = Team::new(kind);
        let base = team.open("base", &[("keys/keysets/base.toml", &keyset("base"))]);
        team.plan(&base, 0, &[]);
        let commit = team.merge(&base);
        team.apply(&commit, 0, "");
        let one = team.open("one", &[("keys/keysets/one.toml", &keyset("one"))]);
        team.plan(&one, 0, &[]);
        let two = team.open("two", &[("keys/keysets/two.toml", &keyset("two"))]);
        team.plan(&two, 0, &[]);
        let (first, second) = (team.merge(&one), team.merge(&two));
        // Each job has a checkout of its own merge; what the one before wrote is not in it.
        team.apply(&first, 0, "");
        team.apply(&second, 0, "");
        team.is_sound(&["base", "one", "two"]);
        // "Run again" finds nothing left to do.
        team.apply(&second, 0, "Nothing is left to do");
        team.apply(&first, 0, "Nothing is left to do");
        team.is_sound(&["base", "one", "two"]);
    }
}

#[test]
fn a_sealed_secret_is_pushed_wherever_it_is_and_whatever_is_ignored() {
    let mut team = Team::new(Kind::GitHub);
    let toml = std::fs::read_to_string(team.desk().join("keys/keyform.toml")).expect("a project");
    let toml = toml.replace("[secrets.age]\n", "[secrets.age]\ndir = \"deep/sealed\"\n");
    let branch = team.open(
        "a",
        &[
            ("keys/keyform.toml", &toml),
            (".gitignore", "*.age\n*.json\n*.jsonl\n"),
            ("keys/keysets/a.toml", &keyset("a")),
        ],
    );
    team.plan(&branch, 0, &[]);
    let commit = team.merge(&branch);
    team.apply(&commit, 0, "");
    assert!(team.main().join("keys/deep/sealed/a.age").exists());
    team.is_sound(&["a"]);
}

#[test]
fn a_request_merged_elsewhere_approves_nothing_here() {
    for kind in [Kind::GitHub, Kind::GitLab] {
        let mut team = Team::new(kind);
        let branch = team.open("a", &[("keys/keysets/a.toml", &keyset("a"))]);
        team.plan(&branch, 0, &[]);
        team.forge.with(|world| world.pulls[0].target = "next".to_owned());
        let commit = team.merge(&branch);
        team.apply(&commit, 3, "nobody approved this plan");
        assert!(team.sandbox.keysets().is_empty());
    }
}

#[test]
fn links_of_a_merge_request_lead_nowhere() {
    let mut team = Team::new(Kind::GitLab);
    let outside = team.folder.path().join("outside");
    std::fs::create_dir(&outside).expect("a folder");
    write(&outside, "keyform.toml", "[project]\nname = \"other\"\n");
    write(&outside, "precious", "precious\n");
    let branch = team.open("links", &[("keys/keysets/a.toml", &keyset("a"))]);
    for name in ["keyform-quality.json", "keyform-plan.json"] {
        std::os::unix::fs::symlink(outside.join("precious"), team.desk().join("keys").join(name))
            .expect("a link");
    }
    std::os::unix::fs::symlink(&outside, team.desk().join("away")).expect("a link");
    team.push(&branch, &[]);
    team.plan(&branch, 0, &[]);
    assert_eq!(
        std::fs::read_to_string(outside.join("precious")).expect("it is there"),
        "precious\n"
    );
    let said = team.plan(&branch, 1, &[("KEYFORM_DIR", "away")]);
    assert!(said.contains("leads out of this repository"), "{said}");
    assert_eq!(read_tree(&outside).len(), 2);
}

#[test]
fn programs_of_the_project_get_no_token() {
    let mut team = Team::new(Kind::GitHub);
    let toml = "[project]\nname = \"acme\"\n[secrets]\nsinks = [\"exec\"]\n[secrets.exec]\ncommand = [\"./program\"]\n\
                [app.chat]\nname = \"Chat\"\n[keyset.a]\napp = \"chat\"\ntype = \"testing\"\n";
    let said = team.folder.path().join("environment");
    let program = format!(
        "#!/bin/sh\ntr '\\0' '\\n' </proc/$PPID/environ >>{0}\nenv >>{0}\nexit 1\n",
        said.display()
    );
    let branch = team.open("exec", &[("keys/keyform.toml", toml), ("keys/program", &program)]);
    let path = team.desk().join("keys/program");
    assert!(Command::new("chmod").arg("+x").arg(path).status().expect("chmod runs").success());
    team.push(&branch, &[]);
    team.plan(&branch, 0, &[]);
    let commit = team.merge(&branch);
    team.apply(&commit, 5, "");
    let said = std::fs::read_to_string(said).expect("the program ran");
    assert!(said.contains("HOME=") && !said.contains(TOKEN), "{said}");
}

#[test]
fn a_job_that_is_cancelled_pushes_what_it_did() {
    let mut team = Team::new(Kind::GitHub);
    team.sandbox = Sandbox::start(&["--fault", "POST /v2/keysets$#2=delay:2000"]);
    let files: Vec<(String, String)> =
        ["a", "b", "c"].map(|label| (format!("keys/keysets/{label}.toml"), keyset(label))).into();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let branch = team.open("three", &files);
    team.plan(&branch, 0, &[]);
    let commit = team.merge(&branch);
    let mut job = team.job("apply", &commit, &[]);
    let child = job
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the script runs");
    let begun = std::time::Instant::now();
    while team.sandbox.keysets().is_empty() {
        assert!(begun.elapsed().as_secs() < 30, "nothing was created");
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
    assert!(
        Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()
            .expect("kill runs")
            .success()
    );
    let output = child.wait_with_output().expect("it ends");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(matches!(output.status.code(), Some(0 | 130)), "{text}");
    let made = team.sandbox.keysets().len();
    let log = team.owner(&["secrets", "doctor", "--check", "--live"], 0);
    assert!(log.contains("0 not as they should be"), "{log}");
    let state: serde_json::Value = serde_json::from_slice(
        &std::fs::read(team.main().join("keys/state/keyform.json")).expect("pushed"),
    )
    .expect("JSON");
    assert_eq!(state["keysets"].as_object().expect("keysets").len(), made);
    if made < 3 {
        // What is left is another plan than the one that was approved.
        team.apply(&commit, 3, "");
    }
}

#[test]
fn what_is_ready_runs_these_scripts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = |path: &str| {
        std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    assert!(
        text("action.yml").contains("exec \"$GITHUB_ACTION_PATH/examples/pipelines/$COMMAND\"")
    );
    for command in ["plan", "apply", "drift"] {
        assert!(
            text(&format!("examples/pipelines/github/{command}.yml"))
                .contains(&format!("command: {command}\n"))
        );
        assert!(
            text("examples/pipelines/gitlab/keyform.gitlab-ci.yml")
                .contains(&format!("- ci/keyform/{command}\n"))
        );
    }
    // A pull request's own code never runs with the repository's secrets, and no text of others
    // becomes a part of a script.
    for path in [
        "action.yml",
        "examples/pipelines/github/plan.yml",
        "examples/pipelines/github/apply.yml",
        "examples/pipelines/github/drift.yml",
    ] {
        let text = text(path);
        assert!(!text.contains("pull_request_target"), "{path}");
        for line in text.lines().filter(|line| line.contains("${{")) {
            assert!(
                !line.contains("run:") && !line.contains("exec") && !line.contains("export"),
                "{path}: {line}"
            );
        }
    }
}
