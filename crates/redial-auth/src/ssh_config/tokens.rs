//! Tokens in values (`%h`), variables (`${NAME}`) and a leading `~`.

use alloc::string::{String, ToString};

use crate::limits;

/// What the tokens stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens<'a> {
    /// `%h`: the host as it is called, `HostName` or what was typed.
    pub host: &'a str,
    /// `%n`: the host as it was typed.
    pub host_typed: &'a str,
    /// `%p`.
    pub port: u16,
    /// `%r`: the user on the host.
    pub user: &'a str,
    /// `%u`: the user here.
    pub local_user: &'a str,
    /// `%d`, and `~`: the home of the user here, an absolute path.
    pub home: &'a str,
    /// `%i`: the id of the user here, if it is known.
    pub uid: Option<u32>,
    /// `%l`, and up to its first dot `%L`: the name of this host, if it is known.
    pub local_host: Option<&'a str>,
}

/// The value of a variable of the environment; none if it is not set.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why something cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not known, or not known here.
    #[error("`%{}`, which is not known here", .0.escape_debug())]
    Token(char),
    /// `%` with nothing behind it.
    #[error("`%` at its end")]
    End,
    /// `${` without a name and `}` behind it.
    #[error("`${{` without a name and `}}`")]
    Variable,
    /// A variable that is not set.
    #[error("`${{{}}}`, which is not set", .0.escape_debug())]
    Unset(String),
    /// `~name`: the homes of others are not known here.
    #[error("`~` before a name")]
    Home,
    /// Longer than the limit.
    #[error("more than {} bytes when it is expanded", limits::EXPANDED_BYTES)]
    TooLong,
}

/// Puts in what the tokens stand for: `%h %n %p %r %u %d %i %l %L %%`. Variables stay, as for
/// `ProxyCommand`, where they are the shell's to expand. What is put in is not quoted for a shell.
///
/// Source: ssh_config(5), TOKENS.
///
/// # Errors
/// When a token is not among them, or not known; or the result is longer than
/// [`limits::EXPANDED_BYTES`].
pub fn expand(template: &str, tokens: &Tokens<'_>) -> Result<String, TokenError> {
    replace(template, &mut |token| tokens.value(token), None)
}

/// Puts the home directory in for a leading `~` that is alone or before a `/`.
///
/// # Errors
/// When a name follows the `~`.
pub fn expand_home(path: &str, home: &str) -> Result<String, TokenError> {
    Ok(match at_home(path)? {
        Some(rest) => bounded(alloc::format!("{home}{rest}"))?,
        None => bounded(path.to_string())?,
    })
}

/// Expands an `IdentityFile` or `IdentityAgent`: a leading `~`, tokens, and `${NAME}` by
/// `variables`. What was put in is not expanded again.
///
/// Source: ssh_config(5), TOKENS and ENVIRONMENT VARIABLES.
///
/// # Errors
/// As [`expand`] and [`expand_home`], and when a variable is not set.
pub fn expand_path(
    template: &str,
    tokens: &Tokens<'_>,
    variables: Variables<'_>,
) -> Result<String, TokenError> {
    let (home, rest) = match at_home(template)? {
        Some(rest) => (tokens.home, rest),
        None => ("", template),
    };
    let rest = replace(rest, &mut |token| tokens.value(token), Some(variables))?;
    bounded(alloc::format!("{home}{rest}"))
}

/// What follows a leading `~`.
fn at_home(path: &str) -> Result<Option<&str>, TokenError> {
    match path.strip_prefix('~') {
        None => Ok(None),
        Some(rest) if rest.is_empty() || rest.starts_with('/') => Ok(Some(rest)),
        Some(_) => Err(TokenError::Home),
    }
}

impl Tokens<'_> {
    fn value(&self, token: char) -> Option<String> {
        let text = |text: &str| Some(text.to_string());
        match token {
            'h' => text(self.host),
            'n' => text(self.host_typed),
            'p' => Some(self.port.to_string()),
            'r' => text(self.user),
            'u' => text(self.local_user),
            'd' => text(self.home),
            'i' => self.uid.map(|uid| uid.to_string()),
            'l' => self.local_host.and_then(text),
            'L' => self.local_host?.split('.').next().and_then(text),
            _ => None,
        }
    }
}

/// Tokens of `HostName`: `%h` and `%%` only.
pub(super) fn expand_host_name(template: &str, typed: &str) -> Result<String, TokenError> {
    let value = &mut |token| (token == 'h').then(|| typed.to_string());
    replace(template, value, None)
}

fn replace(
    template: &str,
    value: &mut dyn FnMut(char) -> Option<String>,
    variables: Option<Variables<'_>>,
) -> Result<String, TokenError> {
    let mut done = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['%', '$']) {
        done.push_str(&rest[..at]);
        let marked = &rest[at..];
        rest = match (marked.strip_prefix("${"), variables) {
            (Some(name), Some(variables)) => variable(&mut done, name, variables)?,
            _ => token(&mut done, marked, value)?,
        };
        if done.len() > limits::EXPANDED_BYTES {
            return Err(TokenError::TooLong);
        }
    }
    done.push_str(rest);
    bounded(done)
}

/// Puts in a token, or a `$` that begins no variable; gives what follows.
fn token<'a>(
    done: &mut String,
    marked: &'a str,
    value: &mut dyn FnMut(char) -> Option<String>,
) -> Result<&'a str, TokenError> {
    let mut chars = marked.chars();
    if chars.next() == Some('$') {
        done.push('$');
        return Ok(chars.as_str());
    }
    match chars.next().ok_or(TokenError::End)? {
        '%' => done.push('%'),
        token => done.push_str(&value(token).ok_or(TokenError::Token(token))?),
    }
    Ok(chars.as_str())
}

/// Puts in a variable whose name begins here; gives what follows its `}`.
fn variable<'a>(
    done: &mut String,
    named: &'a str,
    variables: Variables<'_>,
) -> Result<&'a str, TokenError> {
    let (name, rest) = named.split_once('}').ok_or(TokenError::Variable)?;
    if !is_variable(name) {
        return Err(TokenError::Variable);
    }
    let value = variables(name).ok_or_else(|| TokenError::Unset(name.to_string()))?;
    done.push_str(&value);
    Ok(rest)
}

/// Whether this can be a variable's name: letters, digits, `_`.
pub(super) fn is_variable(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(good)
}

/// Whether each `${` begins the name of a variable that ends.
pub(super) fn has_whole_variables(template: &str) -> bool {
    let mut begun = template.split("${").skip(1);
    begun.all(|rest| {
        rest.split_once('}')
            .is_some_and(|(name, _)| is_variable(name))
    })
}

fn bounded(text: String) -> Result<String, TokenError> {
    match text.len() > limits::EXPANDED_BYTES {
        true => Err(TokenError::TooLong),
        false => Ok(text),
    }
}
