//! The kinds of sinks, one row each.

/// A kind of sink that there is. Which of them a project asks for is `config`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SinkType {
    /// The keyring of the operating system.
    Keyring,
    /// Files that one entry of the keyring opens.
    KeyringFiles,
    /// Files sealed for public keys.
    Age,
    /// A program of the user's.
    Exec,
}

/// What is to be known of a kind.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// As the state file and messages name it.
    name: &'static str,
    /// Whether it takes the key that opens sealed answers. Where it does not, they are sealed for
    /// those who read the secrets.
    takes_escrow_key: bool,
}

impl SinkType {
    pub const ALL: [SinkType; 4] =
        [SinkType::Keyring, SinkType::KeyringFiles, SinkType::Age, SinkType::Exec];

    const fn row(self) -> Row {
        match self {
            SinkType::Keyring => Row { name: "keyring", takes_escrow_key: true },
            SinkType::KeyringFiles => Row { name: "keyring-files", takes_escrow_key: true },
            SinkType::Age => Row { name: "age", takes_escrow_key: false },
            SinkType::Exec => Row { name: "exec", takes_escrow_key: true },
        }
    }

    pub const fn name(self) -> &'static str {
        self.row().name
    }

    pub const fn takes_escrow_key(self) -> bool {
        self.row().takes_escrow_key
    }

    /// The kind that the state file names so; `None`: one of another keyform.
    pub fn find(name: &str) -> Option<SinkType> {
        SinkType::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl std::fmt::Display for SinkType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::SinkType;

    #[test]
    fn a_name_is_one_kind() {
        for kind in SinkType::ALL {
            assert_eq!(SinkType::find(kind.name()), Some(kind));
        }
        assert_eq!(SinkType::find("vault"), None);
    }
}
