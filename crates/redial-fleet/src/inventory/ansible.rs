//! Ansible's inventories in INI: hosts with their variables, groups, `:children`, `:vars`. Source:
//! Ansible's manual, "How to build your inventory", and its ini plugin.
//!
//! Taken are `ansible_host` and `ansible_user` (`ansible_ssh_…` too); `ansible_port` is that of sshd. All
//! other variables that a host has are tags.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, InventoryError, Source};
use crate::host_set::MAX_HOSTS;

/// In one name.
const RANGES: usize = 16;

/// Reads it.
///
/// # Errors
///
/// A line is not understood.
pub fn ansible(place: &str, text: &str) -> Result<Source, InventoryError> {
    let mut reader = Reader {
        source: Source {
            name: "ansible".to_owned(),
            place: place.to_owned(),
            ..Source::default()
        },
        members: BTreeMap::new(),
        children: BTreeMap::new(),
        vars: BTreeMap::new(),
        section: Section::Hosts("ungrouped".to_owned()),
    };
    for (at, line) in text.lines().enumerate() {
        reader.line(line).map_err(|what| InventoryError {
            place: place.to_owned(),
            line: Some(at + 1),
            what,
        })?;
    }
    Ok(reader.finish())
}

enum Section {
    Hosts(String),
    Children(String),
    Vars(String),
}

struct Reader {
    source: Source,
    members: BTreeMap<String, Vec<String>>,
    children: BTreeMap<String, Vec<String>>,
    vars: BTreeMap<String, Vec<(String, String)>>,
    section: Section,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            return Ok(());
        }
        if let Some(rest) = line.strip_prefix('[') {
            let (name, _) = rest.split_once(']').ok_or("a section without ']'")?;
            self.begin(name.trim());
            return match name.rsplit_once(':') {
                None | Some((_, "children" | "vars")) => Ok(()),
                Some(_) => Err(format!(
                    "[{name}]: a section is [GROUP], [GROUP:children] or [GROUP:vars]"
                )),
            };
        }
        match &self.section {
            Section::Hosts(group) => {
                let group = group.clone();
                self.hosts(&group, line)
            }
            Section::Children(group) => {
                let child = words(line)?.into_iter().next().unwrap_or_default();
                self.children.entry(group.clone()).or_default().push(child);
                Ok(())
            }
            Section::Vars(group) => {
                let (key, value) = line.split_once('=').ok_or("a variable is NAME=VALUE")?;
                let value = value.trim().trim_matches(['"', '\'']);
                let var = (key.trim().to_owned(), value.to_owned());
                self.vars.entry(group.clone()).or_default().push(var);
                Ok(())
            }
        }
    }

    fn begin(&mut self, name: &str) {
        self.section = match name.rsplit_once(':') {
            Some((group, "children")) => Section::Children(group.to_owned()),
            Some((group, "vars")) => Section::Vars(group.to_owned()),
            _ => {
                self.members.entry(name.to_owned()).or_default();
                Section::Hosts(name.to_owned())
            }
        };
    }

    fn hosts(&mut self, group: &str, line: &str) -> Result<(), String> {
        let mut words = words(line)?.into_iter();
        let pattern = words.next().unwrap_or_default();
        let mut entry = Entry::default();
        for word in words {
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| format!("{word:?}: behind a host stand variables, NAME=VALUE"))?;
            set(&mut entry, key, value);
        }
        for name in expand(&pattern)? {
            // The port in it is that of sshd.
            let name = match name.rsplit_once(':') {
                Some((host, port)) if port.parse::<u16>().is_ok() && !host.contains(':') => {
                    host.to_owned()
                }
                _ => name,
            };
            self.source
                .hosts
                .entry(name.clone())
                .or_default()
                .or(&entry);
            self.members.entry(group.to_owned()).or_default().push(name);
        }
        if self.source.hosts.len() as u64 > MAX_HOSTS {
            return Err("more than 1,000,000 hosts".to_owned());
        }
        Ok(())
    }

    fn finish(mut self) -> Source {
        let all: Vec<String> = self.source.hosts.keys().cloned().collect();
        self.members.insert("all".to_owned(), all);
        let names: Vec<String> = self
            .members
            .keys()
            .chain(self.children.keys())
            .cloned()
            .collect();
        // What a more special group says goes first, and `all` last: of groups within each other the
        // inner one, of others by their names.
        let mut groups: Vec<(bool, usize, String, Vec<String>)> = Vec::new();
        for group in names {
            let (hosts, inner) = self.reach(&group);
            groups.push((group == "all", inner, group, hosts));
        }
        groups.sort();
        groups.dedup();
        for (_, _, group, hosts) in groups {
            for (key, value) in self.vars.get(&group).into_iter().flatten() {
                for host in &hosts {
                    if let Some(entry) = self.source.hosts.get_mut(host) {
                        let mut of_group = Entry::default();
                        set(&mut of_group, key, value);
                        entry.or(&of_group);
                    }
                }
            }
            let hosts: crate::HostSet = hosts.iter().collect();
            self.source.groups.insert(group, hosts.to_string());
        }
        self.source
    }

    /// The hosts of a group and of those in it, each group once: they may contain each other.
    /// And how many groups those are.
    fn reach(&self, group: &str) -> (Vec<String>, usize) {
        let (mut hosts, mut seen) = (BTreeSet::new(), BTreeSet::from([group]));
        let mut open = vec![group];
        while let Some(group) = open.pop() {
            hosts.extend(self.members.get(group).into_iter().flatten().cloned());
            for child in self.children.get(group).into_iter().flatten() {
                if seen.insert(child) {
                    open.push(child);
                }
            }
        }
        (hosts.into_iter().collect(), seen.len())
    }
}

fn set(entry: &mut Entry, key: &str, value: &str) {
    let value = value.to_owned();
    match key {
        "ansible_host" | "ansible_ssh_host" => entry.address = Some(value),
        "ansible_user" | "ansible_ssh_user" => entry.user = Some(value),
        key if key.starts_with("ansible_") => {}
        key => drop(entry.tags.insert(key.to_owned(), value)),
    }
}

/// Words as a shell would split them, up to a comment.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (letter, quote) {
            (letter, Some(open)) if letter == open => quote = None,
            (letter, Some(_)) => word.get_or_insert_default().push(letter),
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => break,
            (letter, None) if letter.is_whitespace() => words.extend(word.take()),
            (letter, None) => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err("a quotation that is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

/// `web[01:20:2].example.com`, `db-[a:f]`.
fn expand(pattern: &str) -> Result<Vec<String>, String> {
    if pattern.matches('[').count() > RANGES {
        return Err(format!("a name with more than {RANGES} ranges"));
    }
    let Some((before, rest)) = pattern.split_once('[') else {
        return Ok(vec![pattern.to_owned()]);
    };
    let wrong = || format!("{pattern:?}: a range is [1:20], [01:20:2] or [a:f]");
    let (range, behind) = rest.split_once(']').ok_or_else(wrong)?;
    // An address of IPv6.
    if before.is_empty() && range.matches(':').count() > 2 {
        return Ok(vec![pattern.to_owned()]);
    }
    let parts: Vec<&str> = range.split(':').collect();
    let (from, to, step) = match parts[..] {
        [from, to] => (from, to, 1),
        [from, to, step] => (from, to, step.parse().map_err(|_| wrong())?),
        _ => return Err(wrong()),
    };
    if step == 0 {
        return Err(wrong());
    }
    let behind = expand(behind)?;
    let numbers = from.parse::<u64>().ok().zip(to.parse::<u64>().ok());
    let values: Vec<String> = match (numbers, from.as_bytes(), to.as_bytes()) {
        (Some((first, last)), ..) if last.saturating_sub(first) / step as u64 <= MAX_HOSTS => {
            let width = if from.starts_with('0') { from.len() } else { 0 };
            let range = (first..=last).step_by(step);
            range.map(|number| format!("{number:0width$}")).collect()
        }
        (None, [first], [last]) if first.is_ascii_alphabetic() && last.is_ascii_alphabetic() => {
            let range = (*first..=*last).step_by(step);
            range.map(|letter| char::from(letter).to_string()).collect()
        }
        _ => return Err(wrong()),
    };
    if values.len().saturating_mul(behind.len()) as u64 > MAX_HOSTS {
        return Err("more than 1,000,000 hosts".to_owned());
    }
    let each = |value: &String| {
        let begun = format!("{before}{value}");
        behind
            .iter()
            .map(move |rest| format!("{begun}{rest}"))
            .collect::<Vec<_>>()
    };
    Ok(values.iter().flat_map(each).collect())
}
