//! What cargo built: the executables named in its JSON messages
//! (doc.rust-lang.org/cargo/reference/external-tools.html#json-messages).

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A program that `cargo test --no-run` made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Executable {
    /// The directory of the crate it belongs to.
    pub(crate) crate_dir: PathBuf,
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
}

/// What sort of program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A harness of unit or integration tests.
    Test,
    /// A binary or an example.
    Program,
}

impl Executable {
    /// Reads one line of cargo's JSON; nothing if it names no executable.
    pub(crate) fn from_message(line: &str) -> Option<Executable> {
        let message: Value = serde_json::from_str(line).ok()?;
        if message["reason"] != "compiler-artifact" {
            return None;
        }
        let kind = match message["profile"]["test"].as_bool()? {
            true => Kind::Test,
            false => Kind::Program,
        };
        let manifest = Path::new(message["manifest_path"].as_str()?);
        Some(Executable {
            crate_dir: manifest.parent()?.to_path_buf(),
            path: PathBuf::from(message["executable"].as_str()?),
            kind,
        })
    }

    /// The crate's name: that of its directory.
    pub(crate) fn crate_name(&self) -> &str {
        name_of(&self.crate_dir)
    }

    /// The program's file name.
    pub(crate) fn file_name(&self) -> &str {
        name_of(&self.path)
    }
}

fn name_of(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_harness_is_found() {
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/r/crates/redial-net/Cargo.toml",
            "profile":{"test":true},"executable":"/r/target/debug/deps/redial_net-1"}"#;
        let found = Executable::from_message(line).unwrap();
        assert_eq!(found.kind, Kind::Test);
        assert_eq!(found.crate_name(), "redial-net");
        assert_eq!(found.file_name(), "redial_net-1");
    }

    #[test]
    fn a_library_and_other_messages_are_none() {
        let library = r#"{"reason":"compiler-artifact","manifest_path":"/r/Cargo.toml",
            "profile":{"test":false},"executable":null}"#;
        assert_eq!(Executable::from_message(library), None);
        assert_eq!(
            Executable::from_message(r#"{"reason":"build-finished"}"#),
            None
        );
        assert_eq!(Executable::from_message("not JSON"), None);
    }
}
