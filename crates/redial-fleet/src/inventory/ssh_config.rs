//! The hosts that `~/.ssh/config` names: the words of its `Host` lines that are no patterns. Source:
//! ssh_config(5). How they are reached, the client finds out itself.

use super::Source;

/// What one file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SshNames {
    /// Names of hosts.
    pub hosts: Vec<String>,
    /// Files that it includes, as they are written.
    pub includes: Vec<String>,
}

/// Reads one file.
pub fn ssh_config(text: &str) -> SshNames {
    let mut names = SshNames::default();
    for line in text.lines() {
        let line = line.trim();
        let end = line
            .find(|it: char| it.is_whitespace() || it == '=')
            .unwrap_or(line.len());
        let (keyword, rest) = line.split_at(end);
        let rest = rest.trim_start_matches(|it: char| it.is_whitespace() || it == '=');
        let words = rest.split_whitespace().map(|word| word.trim_matches('"'));
        match keyword.to_ascii_lowercase().as_str() {
            "host" => {
                let words =
                    words.filter(|word| !word.is_empty() && !word.contains(['*', '?', '!']));
                names.hosts.extend(words.map(str::to_owned));
            }
            "include" => names.includes.extend(words.map(str::to_owned)),
            _ => {}
        }
    }
    names
}

impl SshNames {
    /// As a source.
    pub fn source(self, place: &str) -> Source {
        let hosts = self
            .hosts
            .into_iter()
            .map(|name| (name, super::Entry::default()));
        Source {
            name: "ssh".to_owned(),
            place: place.to_owned(),
            hosts: hosts.collect(),
            ..Source::default()
        }
    }
}
