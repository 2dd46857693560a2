//! Reads files line by line, and keeps what applies.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::line::{self, Line};
use super::matching::{self, Block, bound};
use super::tokens::{self, expand_host_name};
use super::{
    ConfigError, ConfigReason, HostSettings, IdentityAgent, Included, Place, Proxy, Query, proxy,
};
use crate::limits;

/// Reads a file behind what is known already.
pub(super) fn read(
    settings: HostSettings,
    text: &[u8],
    query: &Query<'_>,
    include: &mut dyn FnMut(&str) -> Vec<Included>,
) -> Result<HostSettings, ConfigError> {
    let mut reader = Reader {
        settings,
        query,
        include,
        bytes: 0,
        included: 0,
    };
    let file = File {
        name: None,
        depth: 0,
        never: false,
    };
    let length = bound(
        "bytes of a host's name",
        limits::PATTERN_BYTES,
        query.host.len(),
    );
    length.map_err(|reason| file.error(1, reason))?;
    reader.file(&file, text)?;
    Ok(reader.settings)
}

/// What is known of a reading.
struct Reader<'a> {
    settings: HostSettings,
    query: &'a Query<'a>,
    include: &'a mut dyn FnMut(&str) -> Vec<Included>,
    /// Of all files so far.
    bytes: usize,
    /// Files, and patterns of them.
    included: usize,
}

/// A file that is read.
struct File<'a> {
    name: Option<&'a str>,
    depth: usize,
    /// It is included where nothing applies: none of its blocks does.
    never: bool,
}

impl File<'_> {
    fn place(&self, line: usize) -> Place {
        Place {
            file: self.name.map(ToString::to_string),
            line,
        }
    }

    fn error(&self, line: usize, reason: impl Into<ConfigReason>) -> ConfigError {
        ConfigError {
            place: self.place(line),
            reason: reason.into(),
        }
    }
}

/// A keyword that is taken, with what follows it.
struct Entry<'a> {
    keyword: Keyword,
    /// As it stands.
    text: &'a [u8],
    values: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keyword {
    Host,
    HostName,
    IdentitiesOnly,
    IdentityAgent,
    IdentityFile,
    Include,
    Match,
    Port,
    ProxyCommand,
    ProxyJump,
    User,
}

impl Keyword {
    fn of(lower: &[u8]) -> Option<(Keyword, &'static str)> {
        Some(match lower {
            b"host" => (Keyword::Host, "Host"),
            b"hostname" => (Keyword::HostName, "HostName"),
            b"identitiesonly" => (Keyword::IdentitiesOnly, "IdentitiesOnly"),
            b"identityagent" => (Keyword::IdentityAgent, "IdentityAgent"),
            b"identityfile" | b"identityfile2" => (Keyword::IdentityFile, "IdentityFile"),
            b"include" => (Keyword::Include, "Include"),
            b"match" => (Keyword::Match, "Match"),
            b"port" => (Keyword::Port, "Port"),
            b"proxycommand" => (Keyword::ProxyCommand, "ProxyCommand"),
            b"proxyjump" => (Keyword::ProxyJump, "ProxyJump"),
            b"user" => (Keyword::User, "User"),
            _ => return None,
        })
    }
}

impl Reader<'_> {
    fn file(&mut self, file: &File<'_>, text: &[u8]) -> Result<(), ConfigError> {
        self.count(file, text)
            .map_err(|reason| file.error(1, reason))?;
        let mut active = !file.never;
        for (line, number) in text.split(|byte| *byte == b'\n').zip(1..) {
            let entry = entry(line).map_err(|reason| file.error(number, reason))?;
            match entry {
                None => {}
                Some(entry) if entry.keyword == Keyword::Include => {
                    self.include(file, number, &entry, active)?;
                }
                Some(entry) => self
                    .entry(file, number, &entry, &mut active)
                    .map_err(|reason| file.error(number, reason))?,
            }
        }
        Ok(())
    }

    fn count(&mut self, file: &File<'_>, text: &[u8]) -> Result<(), ConfigReason> {
        bound("files within each other", limits::INCLUDE_DEPTH, file.depth)?;
        bound("bytes in a file", limits::FILE_BYTES, text.len())?;
        self.bytes += text.len();
        bound("bytes in all files", limits::CONFIG_BYTES, self.bytes)
    }

    /// Reads what an `Include` names. Blocks in there end with their file.
    fn include(
        &mut self,
        file: &File<'_>,
        number: usize,
        entry: &Entry<'_>,
        active: bool,
    ) -> Result<(), ConfigError> {
        for pattern in &entry.values {
            let at = |reason| file.error(number, reason);
            if pattern.is_empty() {
                return Err(at(ConfigReason::NoValue("Include")));
            }
            let pattern = text_of(pattern, "Include").map_err(at)?;
            self.count_included(1).map_err(at)?;
            let found = (self.include)(&pattern);
            self.count_included(found.len()).map_err(at)?;
            for included in found {
                let inner = File {
                    name: Some(&included.name),
                    depth: file.depth + 1,
                    never: !active,
                };
                self.file(&inner, &included.text)?;
            }
        }
        Ok(())
    }

    fn count_included(&mut self, more: usize) -> Result<(), ConfigReason> {
        self.included = self.included.saturating_add(more);
        bound("included files", limits::INCLUDED_FILES, self.included)
    }

    /// Takes a line other than an `Include`.
    fn entry(
        &mut self,
        file: &File<'_>,
        number: usize,
        entry: &Entry<'_>,
        active: &mut bool,
    ) -> Result<(), ConfigReason> {
        match entry.keyword {
            Keyword::Host => {
                let means = matching::host(&entry.values, self.query)?;
                *active = means && !file.never;
            }
            Keyword::Match => {
                let block = matching::criteria(entry.text, self.query, &self.settings)?;
                *active = block == Block::Applies && !file.never;
                if block == Block::PassedOver && !file.never {
                    self.settings.passed_over.push(file.place(number));
                }
            }
            Keyword::ProxyCommand | Keyword::ProxyJump => self.take_proxy(entry, *active)?,
            Keyword::IdentityAgent => self.take_agent(entry, *active)?,
            Keyword::IdentityFile => self.take_file(entry, *active)?,
            Keyword::HostName => self.take_host_name(entry, *active)?,
            Keyword::User => {
                let user = single(entry, "User")?;
                if *active && self.settings.user.is_none() {
                    self.settings.user = Some(text_of(user, "User")?);
                }
            }
            Keyword::Port => {
                let port = core::str::from_utf8(single(entry, "Port")?);
                let port = port.ok().filter(|port| is_port(port));
                let port = port.and_then(|port| port.parse().ok());
                let port: u16 = port.ok_or(ConfigReason::Port)?;
                if *active {
                    self.settings.port.get_or_insert(port);
                }
            }
            Keyword::IdentitiesOnly => {
                let only = flag(single(entry, "IdentitiesOnly")?, "IdentitiesOnly")?;
                if *active {
                    self.settings.identities_only.get_or_insert(only);
                }
            }
            // The caller's.
            Keyword::Include => {}
        }
        Ok(())
    }

    fn take_proxy(&mut self, entry: &Entry<'_>, active: bool) -> Result<(), ConfigReason> {
        let proxy = match entry.keyword {
            Keyword::ProxyJump => proxy::jump(entry.text)?,
            _ if active => proxy::command(entry.text)?,
            _ => return Ok(()),
        };
        if active {
            self.settings.proxy = Proxy::first(self.settings.proxy.take(), Some(proxy));
        }
        Ok(())
    }

    fn take_host_name(&mut self, entry: &Entry<'_>, active: bool) -> Result<(), ConfigReason> {
        let template = single(entry, "HostName")?;
        if active && self.settings.host_name.is_none() {
            let template = text_of(template, "HostName")?;
            let name = expand_host_name(&template, self.query.host)
                .map_err(|error| ConfigReason::Token("HostName", error))?;
            self.settings.host_name = Some(name.to_ascii_lowercase());
        }
        Ok(())
    }

    fn take_file(&mut self, entry: &Entry<'_>, active: bool) -> Result<(), ConfigReason> {
        let path = single(entry, "IdentityFile")?;
        if !active {
            return Ok(());
        }
        self.settings.identity_files_given = true;
        let path = text_of(path, "IdentityFile")?;
        let files = &mut self.settings.identity_files;
        if path.eq_ignore_ascii_case("none") || files.contains(&path) {
            return Ok(());
        }
        files.push(path);
        bound("identity files", limits::IDENTITY_FILES, files.len())
    }

    fn take_agent(&mut self, entry: &Entry<'_>, active: bool) -> Result<(), ConfigReason> {
        let value = single(entry, "IdentityAgent")?;
        let agent = agent(&String::from_utf8_lossy(value))?;
        if active && self.settings.identity_agent.is_none() {
            text_of(value, "IdentityAgent")?;
            self.settings.identity_agent = Some(agent);
        }
        Ok(())
    }
}

/// The entry of a line; none if it is empty, a comment, or of a keyword that is not taken.
fn entry(line: &[u8]) -> Result<Option<Entry<'_>>, ConfigReason> {
    bound("bytes in a line", limits::LINE_BYTES, line.len())?;
    let Some(Line {
        keyword,
        rest: text,
    }) = line::keyword(line)?
    else {
        return Ok(None);
    };
    if line.contains(&0) {
        return Err(ConfigReason::Nul);
    }
    let Some((keyword, name)) = Keyword::of(&keyword) else {
        return Ok(None);
    };
    if text.is_empty() {
        return Err(ConfigReason::NoValue(name));
    }
    let values = line::values(text)?;
    Ok(Some(Entry {
        keyword,
        text,
        values,
    }))
}

/// The value of a keyword that takes one.
fn single<'a>(entry: &'a Entry<'_>, name: &'static str) -> Result<&'a [u8], ConfigReason> {
    match &entry.values[..] {
        [value] if !value.is_empty() => Ok(value),
        [value, _, ..] if !value.is_empty() => Err(ConfigReason::Extra(name)),
        _ => Err(ConfigReason::NoValue(name)),
    }
}

fn text_of(value: &[u8], name: &'static str) -> Result<String, ConfigReason> {
    let text = core::str::from_utf8(value).map_err(|_| ConfigReason::NotUtf8(name))?;
    Ok(text.to_string())
}

fn flag(value: &[u8], name: &'static str) -> Result<bool, ConfigReason> {
    match &value.to_ascii_lowercase()[..] {
        b"yes" | b"true" => Ok(true),
        b"no" | b"false" => Ok(false),
        _ => Err(ConfigReason::Flag(name)),
    }
}

fn agent(value: &str) -> Result<IdentityAgent, ConfigReason> {
    if !tokens::has_whole_variables(value) {
        return Err(ConfigReason::Variable);
    }
    if value.eq_ignore_ascii_case("none") {
        return Ok(IdentityAgent::None);
    }
    match value.strip_prefix('$') {
        _ if value == "SSH_AUTH_SOCK" => Ok(IdentityAgent::Variable(value.to_string())),
        Some(name) if !name.starts_with('{') => match tokens::is_variable(name) {
            true => Ok(IdentityAgent::Variable(name.to_string())),
            false => Err(ConfigReason::Variable),
        },
        _ => Ok(IdentityAgent::Socket(value.to_string())),
    }
}

/// Whether this is a port: decimal digits, from 1.
pub(super) fn is_port(text: &str) -> bool {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits && text.parse::<u16>().is_ok_and(|port| port > 0)
}
