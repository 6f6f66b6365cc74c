//! `[api]`: which API is spoken to, and on which plan.

use toml::de::DeTable;

use super::codes;
use super::endpoint::check_endpoint;
use super::problem::{Problem, Quoted};
use super::reader::{FileReader, Item};
use crate::keyset::{ApiVersion, Origin, Tier};

impl FileReader<'_> {
    pub(super) fn api(&mut self, at: Origin, table: &DeTable<'_>) {
        for (row, _, item) in self.entries("api", at, table).known {
            match row.name() {
                "endpoint" => self.endpoint(item),
                "version" => self.version(item),
                _ => {
                    if let Some((text, at)) = self.word(row, item) {
                        self.out.head.api.tier = Tier::parse(text);
                        self.out.head.tier = Some(at);
                    }
                }
            }
        }
    }

    fn endpoint(&mut self, item: &Item<'_>) {
        let Some((text, at)) = self.string("api.endpoint", item) else { return };
        match check_endpoint(text) {
            Ok(endpoint) => self.out.head.api.endpoint = Some((endpoint, at)),
            Err(why) => {
                self.report(Problem::new(codes::BAD_ENDPOINT, at, "bad endpoint", why).help(
                    "an endpoint is `https://host`, or `http://127.0.0.1:PORT` on this machine, \
                 without path",
                ))
            }
        }
    }

    fn version(&mut self, item: &Item<'_>) {
        let Some((text, at)) = self.string("api.version", item) else { return };
        let known = ApiVersion::KNOWN.join(", ");
        match ApiVersion::parse(text) {
            Ok(version) => {
                if !ApiVersion::KNOWN.contains(&text) {
                    let title = format!("unknown API version {}", Quoted(text));
                    let help = format!("known: {known}; the default is {}", ApiVersion::DEFAULT);
                    self.report(
                        Problem::new(codes::UNKNOWN_VERSION, at, title, "not seen so far")
                            .help(help),
                    );
                }
                self.out.head.api.version = version;
            }
            Err(bad) => {
                let title = format!("bad API version {}", Quoted(text));
                let problem = Problem::new(codes::BAD_VERSION, at, title, bad.to_string());
                self.report(problem.help(format!("known: {known}")));
            }
        }
    }
}
