//! What a field of the Admin API is: kind, life, unit, limits, where the fact comes from.
//!
//! Rows are built with `const fn`s so that [`super::table`] is checked at compile time.

use std::fmt;

/// The values a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number from `min` to `max`, both included; no `max` where none is known.
    Int { min: i64, max: Option<i64> },
    /// One whole number of a list.
    OneOf(&'static [i64]),
    /// One word of a list.
    Choice(&'static [&'static str]),
    /// Any text of 1 to `max` characters.
    Text { max: usize },
}

/// How a field may change over a keyset's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Changes at any time.
    Mutable,
    /// `null` until it is set, then never again.
    OnceSet,
    /// Given at creation, never changed.
    Fixed,
    /// Only the server writes it.
    ReadOnly,
}

/// The call that carries a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// `PATCH /v2/keysets/{id}`
    Keyset,
    /// `PATCH /v2/keysets/{id}/config`
    Config,
}

/// How sure a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Stated on a vendor documentation page.
    Documented,
    /// Taken from the vendor's own client.
    VendorClient,
    /// Inferred from the two above; a rule of this kind warns and never refuses.
    Inferred,
}

impl Certainty {
    pub const fn name(self) -> &'static str {
        match self {
            Certainty::Documented => "documented",
            Certainty::VendorClient => "vendor client",
            Certainty::Inferred => "inferred",
        }
    }
}

/// A billing plan of the vendor, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    Free,
    Starter,
    Pro,
}

impl Tier {
    pub const ALL: [Tier; 3] = [Tier::Free, Tier::Starter, Tier::Pro];

    pub const fn name(self) -> &'static str {
        match self {
            Tier::Free => "free",
            Tier::Starter => "starter",
            Tier::Pro => "pro",
        }
    }

    pub fn parse(text: &str) -> Option<Tier> {
        Tier::ALL.into_iter().find(|t| t.name() == text)
    }
}

/// What a value needs: the lowest tier on which it is allowed. Values that no row names are allowed
/// on every tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierRule {
    Ints(&'static [i64], Tier),
    Above(i64, Tier),
    Words(&'static [&'static str], Tier),
}

/// One row of the table.
#[derive(Debug)]
pub struct Field {
    /// The API's own name.
    pub name: &'static str,
    pub kind: Kind,
    /// Whether the API may answer `null`.
    pub nullable: bool,
    pub life: Life,
    pub unit: Option<&'static str>,
    /// What a value means that a reader would misread, such as `0 = unlimited`.
    pub note: Option<&'static str>,
    /// First API version that is known to have it, where that is not the first.
    pub since: Option<&'static str>,
    pub tiers: &'static [TierRule],
    pub doc: &'static str,
    /// Where the row comes from, and how sure it is.
    pub source: Source,
}

/// Where a fact comes from, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    pub certainty: Certainty,
    /// The page, or the files of the vendor's client.
    pub place: &'static str,
}

impl Source {
    /// A page of the vendor's documentation says so.
    pub const fn documented(page: &'static str) -> Source {
        Source { certainty: Certainty::Documented, place: page }
    }
    /// The vendor's own client has it, and no page says it.
    pub const fn vendor_client(files: &'static str) -> Source {
        Source { certainty: Certainty::VendorClient, place: files }
    }
    /// Nothing says it; it is concluded from `place`.
    pub const fn inferred(place: &'static str) -> Source {
        Source { certainty: Certainty::Inferred, place }
    }
}

impl fmt::Display for Source {
    /// `Admin API: create a new keyset (documented)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.place, self.certainty.name())
    }
}

impl Field {
    /// A row cannot be written without saying where it comes from.
    const fn new(name: &'static str, source: Source, kind: Kind, doc: &'static str) -> Field {
        Field {
            name,
            kind,
            nullable: false,
            life: Life::Mutable,
            unit: None,
            note: None,
            since: None,
            tiers: &[],
            doc,
            source,
        }
    }
    pub const fn nullable(mut self) -> Field {
        self.nullable = true;
        self
    }
    /// Once set it never changes; such a field is always `null` before.
    pub const fn once_set(mut self) -> Field {
        self.nullable = true;
        self.life = Life::OnceSet;
        self
    }
    pub const fn fixed(mut self) -> Field {
        self.life = Life::Fixed;
        self
    }
    pub const fn read_only(mut self) -> Field {
        self.life = Life::ReadOnly;
        self
    }
    pub const fn unit(mut self, unit: &'static str) -> Field {
        self.unit = Some(unit);
        self
    }
    pub const fn note(mut self, note: &'static str) -> Field {
        self.note = Some(note);
        self
    }
    pub const fn since(mut self, version: &'static str) -> Field {
        self.since = Some(version);
        self
    }
    pub const fn tiers(mut self, rules: &'static [TierRule]) -> Field {
        self.tiers = rules;
        self
    }
}

/// Every row says where it comes from:
///
/// ```compile_fail
/// keyform::keyset::field::flag("enabled", "Turns it on.");
/// ```
/// ```
/// use keyform::keyset::field::{Source, flag};
/// let field = flag("enabled", Source::inferred("an example of the page"), "Turns it on.");
/// assert_eq!(field.source.to_string(), "an example of the page (inferred)");
/// ```
pub const fn flag(name: &'static str, source: Source, doc: &'static str) -> Field {
    Field::new(name, source, Kind::Flag, doc)
}
pub const fn int(
    name: &'static str,
    source: Source,
    min: i64,
    max: Option<i64>,
    doc: &'static str,
) -> Field {
    Field::new(name, source, Kind::Int { min, max }, doc)
}
pub const fn one_of(
    name: &'static str,
    source: Source,
    values: &'static [i64],
    doc: &'static str,
) -> Field {
    Field::new(name, source, Kind::OneOf(values), doc)
}
pub const fn choice(
    name: &'static str,
    source: Source,
    words: &'static [&'static str],
    doc: &'static str,
) -> Field {
    Field::new(name, source, Kind::Choice(words), doc)
}
pub const fn text(name: &'static str, source: Source, max: usize, doc: &'static str) -> Field {
    Field::new(name, source, Kind::Text { max }, doc)
}

/// A rule between sections: while this section is enabled, another section's flag has to be on.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    pub section: &'static str,
    pub field: &'static str,
    pub why: &'static str,
    /// A rule that is only inferred warns.
    pub certainty: Certainty,
}

/// A group of fields, as the API nests them.
#[derive(Debug)]
pub struct Section {
    pub name: &'static str,
    pub call: Call,
    pub doc: &'static str,
    pub fields: &'static [Field],
    /// Fields that `enabled = true` cannot do without, in the state that results from a write.
    pub when_enabled: &'static [&'static str],
    pub when_enabled_certainty: Certainty,
    pub needs: &'static [Need],
}

impl Section {
    pub const fn config(
        name: &'static str,
        doc: &'static str,
        fields: &'static [Field],
    ) -> Section {
        Section {
            name,
            call: Call::Config,
            doc,
            fields,
            when_enabled: &[],
            when_enabled_certainty: Certainty::Documented,
            needs: &[],
        }
    }
    /// The section of a keyset's own fields, carried by the keyset calls.
    pub const fn identity(
        name: &'static str,
        doc: &'static str,
        fields: &'static [Field],
    ) -> Section {
        let mut section = Section::config(name, doc, fields);
        section.call = Call::Keyset;
        section
    }
    pub const fn when_enabled(
        mut self,
        fields: &'static [&'static str],
        certainty: Certainty,
    ) -> Section {
        self.when_enabled = fields;
        self.when_enabled_certainty = certainty;
        self
    }
    pub const fn needs(mut self, needs: &'static [Need]) -> Section {
        self.needs = needs;
        self
    }
    /// The row called `enabled`, where the section has one.
    pub fn switch(&self) -> Option<&'static Field> {
        self.fields.iter().find(|f| f.name == "enabled")
    }
}

/// Compile-time check of a table: names unique, every companion and need exists. Panics, which
/// fails the build.
pub const fn check(sections: &[Section]) {
    let mut s = 0;
    while s < sections.len() {
        let section = &sections[s];
        let mut other = s + 1;
        while other < sections.len() {
            assert!(!same(section.name, sections[other].name), "two sections of one name");
            other += 1;
        }
        let mut f = 0;
        while f < section.fields.len() {
            let mut g = f + 1;
            while g < section.fields.len() {
                assert!(
                    !same(section.fields[f].name, section.fields[g].name),
                    "two fields of one name"
                );
                g += 1;
            }
            f += 1;
        }
        let mut c = 0;
        while c < section.when_enabled.len() {
            assert!(has(section, section.when_enabled[c]), "a companion that is no field");
            assert!(has(section, "enabled"), "companions without a switch");
            c += 1;
        }
        let mut n = 0;
        while n < section.needs.len() {
            let need = &section.needs[n];
            let mut found = false;
            let mut t = 0;
            while t < sections.len() {
                if same(sections[t].name, need.section) && has(&sections[t], need.field) {
                    found = true;
                }
                t += 1;
            }
            assert!(found, "a need that is no field");
            n += 1;
        }
        s += 1;
    }
}

const fn has(section: &Section, name: &str) -> bool {
    let mut f = 0;
    while f < section.fields.len() {
        if same(section.fields[f].name, name) {
            return true;
        }
        f += 1;
    }
    false
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}
