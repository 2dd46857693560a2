//! Settings beside what `tests/ssh_config` asks ssh about.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

use super::*;
use crate::limits;

const QUERY: Query<'_> = Query {
    host: "web",
    user: None,
    local_user: "ada",
};

fn read(text: &str) -> HostSettings {
    settings(text.as_bytes(), &QUERY).unwrap()
}

fn refused(text: &str) -> (usize, ConfigReason) {
    let error = settings(text.as_bytes(), &QUERY).unwrap_err();
    assert_eq!(error.place.file, None);
    assert!(!error.to_string().contains(char::is_control), "{error}");
    (error.place.line, error.reason)
}

fn lines(settings: &HostSettings) -> Vec<usize> {
    settings
        .passed_over
        .iter()
        .map(|place| place.line)
        .collect()
}

#[test]
fn the_first_value_counts_and_of_identity_files_all() {
    let text = "Host web\nUser a\nIdentityFile one\nHost *\nUser b\nIdentityFile two\nPort 3\n";
    let found = read(text);
    assert_eq!(found.user.as_deref(), Some("a"));
    assert_eq!(found.identity_files, ["one", "two"]);
    assert_eq!(found.port, Some(3));
    assert_eq!(read(""), HostSettings::default());
}

#[test]
fn none_is_not_the_same_as_nothing() {
    let found = read("IdentityFile none\nIdentityAgent none\nProxyCommand none\n");
    assert!(found.identity_files_given && found.identity_files.is_empty());
    assert_eq!(found.identity_agent, Some(IdentityAgent::None));
    assert_eq!(found.proxy, Some(Proxy::Direct));
    let later = read("IdentityFile x\nIdentityAgent y\nProxyCommand z\nIdentitiesOnly yes\n");
    let both = found.or(later);
    assert_eq!(both.identity_files, ["x"]);
    assert_eq!(both.identity_agent, Some(IdentityAgent::None));
    assert_eq!((both.proxy_command(), both.proxy_jump()), (None, None));
    assert_eq!(both.identities_only, Some(true));
}

#[test]
fn an_error_names_its_line_whether_or_not_its_block_applies() {
    assert_eq!(refused("\n\nPort x\n"), (3, ConfigReason::Port));
    assert_eq!(
        refused("Host other\nUser\n"),
        (2, ConfigReason::NoValue("User"))
    );
    assert_eq!(refused("User a b"), (1, ConfigReason::Extra("User")));
    assert_eq!(refused("User \"a"), (1, ConfigReason::Quotes));
    assert_eq!(
        refused("IdentitiesOnly so\n"),
        (1, ConfigReason::Flag("IdentitiesOnly"))
    );
    assert_eq!(refused("ProxyJump a,;b\n"), (1, ConfigReason::Jump));
    assert_eq!(refused("Match all host x\n"), (1, ConfigReason::Match));
    assert_eq!(
        refused("IdentityAgent $\x1b\n"),
        (1, ConfigReason::Variable)
    );
    assert_eq!(refused("User a\0\n"), (1, ConfigReason::Nul));
    let (_, reason) = refused("HostName %\x1b\n");
    assert_eq!(
        reason,
        ConfigReason::Token("HostName", TokenError::Token('\x1b'))
    );
}

#[test]
fn a_block_that_would_have_to_run_something_does_not_apply_and_is_named() {
    let text = "Match exec \"touch /x\"\nUser a\n\
                Match host web !exec true\nUser b\n\
                Match exec true host other\nUser c\n\
                Match final\nUser d\n\
                Match host web sessiontype shell\nUser e\n\
                Match host other nothing-known\nUser f\n\
                Match canonical all\nUser g\n\
                Match !final\nPort 3\n";
    let found = read(text);
    assert_eq!((found.user.as_deref(), found.port), (None, Some(3)));
    assert_eq!(lines(&found), [1, 3, 7, 9, 13]);
}

#[test]
fn what_an_include_begins_ends_with_its_file() {
    let mut asked = Vec::new();
    let mut include = |pattern: &str| {
        asked.push(pattern.to_string());
        let text = match pattern {
            "outer" => "Include inner\nUser b\n",
            "inner" => "Match exec x\nHost other\n",
            _ => return Vec::new(),
        };
        vec![Included {
            name: format!("/{pattern}"),
            text: text.as_bytes().to_vec(),
        }]
    };
    let text = b"Include none outer # more\nUser a\nPort 3\n";
    let found = settings_with(text, &QUERY, &mut include).unwrap();
    assert_eq!((found.user.as_deref(), found.port), (Some("b"), Some(3)));
    assert_eq!(found.passed_over[0].to_string(), "/inner: line 1");
    assert_eq!(asked, ["none", "outer", "inner"]);
}

#[test]
fn a_file_included_where_nothing_applies_is_read_for_its_syntax_only() {
    let mut include = |pattern: &str| {
        let text = format!("Host *\nUser a\nMatch exec x\n{pattern}\n");
        vec![Included {
            name: "\x1b".to_string(),
            text: text.into_bytes(),
        }]
    };
    let good = b"Host other\nInclude 'Match all'\n";
    let found = settings_with(good, &QUERY, &mut include).unwrap();
    assert_eq!(found, HostSettings::default());
    let bad = b"Host other\nInclude 'Port x'\n";
    let error = settings_with(bad, &QUERY, &mut include).unwrap_err();
    assert_eq!(
        error.to_string(),
        "\\u{1b}: line 4: `Port` is no number from 1 to 65535"
    );
}

#[test]
fn files_that_include_each_other_come_to_an_end() {
    let mut count = 0;
    let mut include = |times: usize| {
        let text = b"Include x\n".repeat(times);
        let mut include = |_: &str| {
            count += 1;
            vec![Included {
                name: "x".to_string(),
                text: text.clone(),
            }]
        };
        settings_with(&text, &QUERY, &mut include)
            .unwrap_err()
            .reason
    };
    let limit = limits::INCLUDE_DEPTH;
    let what = "files within each other";
    assert_eq!(include(1), ConfigReason::Limit { what, limit });
    assert_eq!(count, limit + 1);
    // Each level ends, and the next would be twice as wide.
    let mut level = 0;
    let mut twice = |_: &str| {
        level += 1;
        let text = match level % limits::INCLUDE_DEPTH {
            0 => Vec::new(),
            _ => b"Include x x\n".to_vec(),
        };
        vec![Included {
            name: "x".to_string(),
            text,
        }]
    };
    let error = settings_with(
        b"Include x x x x\n".repeat(300).as_slice(),
        &QUERY,
        &mut twice,
    );
    assert!(matches!(
        error.unwrap_err().reason,
        ConfigReason::Limit { .. }
    ));
    assert!(level <= limits::INCLUDED_FILES);
}

#[test]
fn what_is_too_much_is_refused() {
    let long = "#".repeat(limits::LINE_BYTES + 1);
    let many = format!("Host{}\n", " a".repeat(limits::PATTERNS + 1));
    let list = format!("Match user {}a\n", "a,".repeat(limits::PATTERNS));
    let pattern = format!("Match host {}\n", "a".repeat(limits::PATTERN_BYTES + 1));
    let files: String = (0..=limits::IDENTITY_FILES)
        .map(|number| format!("IdentityFile {number}\n"))
        .collect();
    let file = "\n".repeat(limits::FILE_BYTES + 1);
    for text in [&long, &many, &list, &pattern, &files, &file] {
        let (_, reason) = refused(text);
        assert!(matches!(reason, ConfigReason::Limit { .. }), "{reason:?}");
    }
    let tokens = format!("HostName {}\n", "%h".repeat(limits::EXPANDED_BYTES / 3 + 1));
    let error = ConfigReason::Token("HostName", TokenError::TooLong);
    let (_, reason) = refused(&tokens);
    assert_eq!(reason, error);
}

#[test]
fn the_systems_file_is_read_behind_the_users() {
    let mut none = |_: &str| Vec::new();
    let users = read("HostName real\nUser bob\nIdentityFile a\nProxyJump none\n");
    let text =
        b"User x\nIdentityFile a\nIdentityFile b\nProxyJump y\nMatch host real user bob\nPort 3\n\
                 ProxyCommand z\n";
    let both = users.then(text, &QUERY, &mut none).unwrap();
    assert_eq!((both.user.as_deref(), both.port), (Some("bob"), Some(3)));
    assert_eq!(both.identity_files, ["a", "b"]);
    assert_eq!((both.proxy_jump(), both.proxy_command()), (None, Some("z")));
}

#[test]
fn tokens_stand_for_what_ssh_says() {
    let tokens = Tokens {
        host: "real",
        host_typed: "web",
        port: 22,
        user: "%h",
        local_user: "ada",
        home: "/home/%d",
        uid: Some(1000),
        local_host: Some("here.example"),
    };
    let expanded = expand("%h-%n-%p-%r-%u-%d-%i-%l-%L-%%-$x-${x}", &tokens).unwrap();
    let expected = "real-web-22-%h-ada-/home/%d-1000-here.example-here-%-$x-${x}";
    assert_eq!(expanded, expected);
    assert_eq!(expand("%C", &tokens), Err(TokenError::Token('C')));
    assert_eq!(expand("a%", &tokens), Err(TokenError::End));
    let unknown = Tokens::default();
    assert_eq!(expand("%i", &unknown), Err(TokenError::Token('i')));
    assert_eq!(expand("%l", &unknown), Err(TokenError::Token('l')));
    let variables = &|name: &str| (name == "RUN").then(|| "/run/%h/${RUN}".to_string());
    let path = |template| expand_path(template, &tokens, variables);
    assert_eq!(path("~/${RUN}$").unwrap(), "/home/%d//run/%h/${RUN}$");
    assert_eq!(path("~").unwrap(), "/home/%d");
    assert_eq!(path("a~%h").unwrap(), "a~real");
    assert_eq!(path("~bob/x"), Err(TokenError::Home));
    assert_eq!(path("${NO}"), Err(TokenError::Unset("NO".to_string())));
    assert_eq!(path("${NO"), Err(TokenError::Variable));
    assert_eq!(expand_home("~/%h", "/root").unwrap(), "/root/%h");
    assert_eq!(expand_home("/~", "/root").unwrap(), "/~");
    assert_eq!(expand_home("~bob", "/root"), Err(TokenError::Home));
}
