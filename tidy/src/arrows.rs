//! The arrows between the crates run one way only (ARCHITECTURE.md).

use toml::{Table, Value};

use crate::Offence;

/// Each crate of the house, and the crates of ours that it may depend on.
/// Tests (`dev-dependencies`) may use any.
pub const ARROWS: [(&str, &[&str]); 10] = [
    (
        "redial",
        &[
            "redial-client",
            "redial-server",
            "redial-keeper",
            "redial-fleet",
            "redial-classic",
        ],
    ),
    ("redial-fleet", &["redial-client"]),
    ("redial-client", &["redial-net", "redial-proto"]),
    (
        "redial-server",
        &["redial-net", "redial-keeper", "redial-proto"],
    ),
    ("redial-keeper", &["redial-auth"]),
    (
        "redial-net",
        &["redial-proto", "redial-auth", "redial-frame"],
    ),
    ("redial-auth", &[]),
    ("redial-proto", &["redial-frame"]),
    ("redial-frame", &[]),
    ("redial-classic", &["redial-frame"]),
];

/// Dependencies of other people's that one crate alone may have, and that crate.
const ALONE: [(&str, &str); 2] = [("clap", "redial"), ("anyhow", "redial")];

/// Checks `crates/NAME/Cargo.toml`: its arrows, and that it takes the
/// workspace's lints.
pub fn manifest(path: &str, text: &str) -> Vec<Offence> {
    let line = |needle: &str| line_of(text, needle);
    let table = match parse(path, text) {
        Ok(table) => table,
        Err(offence) => return vec![offence],
    };
    let name = table
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut offences = Vec::new();
    let mut add = |line, what: String| offences.push(Offence::new(path, line, what));
    let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
        let what = format!("`{name}` has no place in the house: add it to tidy's arrows");
        return vec![Offence::new(path, line("name"), what)];
    };
    if path != format!("crates/{name}/Cargo.toml") {
        add(line("name"), format!("`{name}` stands in crates/{name}"));
    }
    for (key, dependency) in dependencies(&table) {
        let ours = dependency == "redial" || dependency.starts_with("redial-");
        if ours && !allowed.contains(&dependency.as_str()) {
            let may = match allowed {
                [] => "none of ours".to_owned(),
                allowed => allowed.join(", "),
            };
            let what = format!("{name} → {dependency} is no arrow of the house; it may use {may}");
            add(line(&key), what);
        }
        if let Some((_, home)) = ALONE.iter().find(|(alone, _)| *alone == dependency)
            && name != *home
        {
            add(line(&key), format!("only {home} uses {dependency}"));
        }
    }
    // The keeper has the same lints but the one that forbids unsafe code.
    if name != "redial-keeper" && !takes_workspace_lints(&table) {
        let what = "take the workspace's lints: `[lints] workspace = true`";
        add(1, what.to_owned());
    }
    offences
}

/// A framing library that pulls in nothing: `redial-frame` has no dependency
/// that is not optional.
pub fn frame_stands_alone(path: &str, text: &str) -> Vec<Offence> {
    let table = match parse(path, text) {
        Ok(table) => table,
        Err(offence) => return vec![offence],
    };
    let Some(dependencies) = table.get("dependencies").and_then(Value::as_table) else {
        return Vec::new();
    };
    let fixed = dependencies
        .iter()
        .filter(|(_, value)| value.get("optional").and_then(Value::as_bool) != Some(true));
    let what = "redial-frame needs nothing: make it optional, behind a feature";
    fixed
        .map(|(key, _)| Offence::new(path, line_of(text, key), what))
        .collect()
}

/// Checks the root manifest: no crate of ours goes by another name, so that the
/// arrows can be read from the manifests; `unsafe` is forbidden by default.
pub fn workspace(path: &str, text: &str) -> Vec<Offence> {
    let table = match parse(path, text) {
        Ok(table) => table,
        Err(offence) => return vec![offence],
    };
    let workspace = table.get("workspace");
    let section = |name| workspace.and_then(|workspace| workspace.get(name));
    let mut offences = Vec::new();
    if let Some(dependencies) = section("dependencies").and_then(Value::as_table) {
        for (key, value) in dependencies {
            let package = value.get("package").and_then(Value::as_str);
            if package.is_some_and(|package| package.starts_with("redial") && package != key) {
                let what = "a crate of ours under another name: use its own";
                offences.push(Offence::new(path, line_of(text, key), what));
            }
        }
    }
    let unsafe_code = section("lints")
        .and_then(|lints| lints.get("rust"))
        .and_then(|rust| rust.get("unsafe_code"))
        .and_then(Value::as_str);
    if unsafe_code != Some("forbid") {
        let what = "`unsafe_code = \"forbid\"` is the workspace's first lint";
        offences.push(Offence::new(path, line_of(text, "unsafe_code"), what));
    }
    offences
}

fn parse(path: &str, text: &str) -> Result<Table, Offence> {
    text.parse()
        .map_err(|error| Offence::new(path, 1, format!("cannot be parsed: {error}")))
}

/// Key and crate of each dependency that ships: those of every target and of
/// build scripts too, those of tests not.
fn dependencies(table: &Table) -> Vec<(String, String)> {
    let targets = table.get("target").and_then(Value::as_table);
    let places = targets
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table)
        .chain([table]);
    let mut found = Vec::new();
    for place in places {
        for section in ["dependencies", "build-dependencies"] {
            let Some(dependencies) = place.get(section).and_then(Value::as_table) else {
                continue;
            };
            for (key, value) in dependencies {
                let package = value.get("package").and_then(Value::as_str);
                found.push((key.clone(), package.unwrap_or(key).to_owned()));
            }
        }
    }
    found
}

fn takes_workspace_lints(table: &Table) -> bool {
    let lints = table.get("lints").and_then(|lints| lints.get("workspace"));
    lints.and_then(Value::as_bool) == Some(true)
}

/// The line of the first key `key`, from 1; 1 if there is none such.
fn line_of(text: &str, key: &str) -> usize {
    let is_key = |line: &str| {
        let line = line.trim_start().trim_start_matches('[');
        let line = line.strip_prefix("dependencies.").unwrap_or(line);
        line.strip_prefix(key)
            .is_some_and(|rest| rest.starts_with(['.', ' ', '=', ']']))
    };
    text.lines().position(is_key).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, rest: &str) -> Vec<Offence> {
        let text = format!("[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n{rest}\n");
        manifest(&format!("crates/{name}/Cargo.toml"), &text)
    }

    #[test]
    fn an_arrow_of_the_house_is_good() {
        let rest = "[dependencies]\nredial-net.workspace = true\nredial-proto = { path = \"x\" }";
        assert_eq!(sample("redial-client", rest), []);
    }

    #[test]
    fn an_arrow_against_the_house_is_found_however_it_is_written() {
        for (rest, line) in [
            ("[dependencies]\nredial-server.workspace = true", 6),
            ("[dependencies]\nredial-server = { path = \"x\" }", 6),
            ("[dependencies.redial-server]\npath = \"x\"", 5),
            (
                "[dependencies]\nx = { package = \"redial-server\", path = \"x\" }",
                6,
            ),
            ("[build-dependencies]\nredial-server.workspace = true", 6),
            (
                "[target.'cfg(unix)'.dependencies]\nredial-server.workspace = true",
                6,
            ),
        ] {
            let offences = sample("redial-client", rest);
            assert_eq!(offences.len(), 1, "{rest}");
            assert_eq!(offences[0].line, line, "{rest}");
        }
    }

    #[test]
    fn tests_may_use_any_crate() {
        let rest = "[dev-dependencies]\nredial-server.workspace = true";
        assert_eq!(sample("redial-client", rest), []);
    }

    #[test]
    fn the_pure_crates_use_none_upwards() {
        let rest = "[dependencies]\nredial-net.workspace = true";
        for name in ["redial-frame", "redial-proto", "redial-auth"] {
            assert_eq!(sample(name, rest).len(), 1, "{name}");
        }
    }

    #[test]
    fn a_crate_without_a_place_or_in_the_wrong_one_is_found() {
        assert_eq!(sample("redial-extra", "").len(), 1);
        let text = "[package]\nname = \"redial-net\"\n[lints]\nworkspace = true";
        assert_eq!(manifest("crates/net/Cargo.toml", text).len(), 1);
    }

    #[test]
    fn clap_and_anyhow_stay_in_the_binary() {
        let rest = "[dependencies]\nclap.workspace = true\nanyhow = \"1\"";
        assert_eq!(sample("redial-client", rest).len(), 2);
        assert_eq!(sample("redial", rest), []);
    }

    #[test]
    fn a_crate_without_the_workspaces_lints_is_found() {
        let bare = |name: &str| {
            let path = format!("crates/{name}/Cargo.toml");
            manifest(&path, &format!("[package]\nname = \"{name}\"\n"))
        };
        assert_eq!(bare("redial-net").len(), 1);
        assert_eq!(bare("redial-keeper"), []);
    }

    #[test]
    fn a_fixed_dependency_of_the_frame_is_found() {
        let text = "[dependencies]\nbytes = { version = \"1\", optional = true }\nlibc = \"0.2\"";
        let offences = frame_stands_alone("a", text);
        assert_eq!(offences.len(), 1);
        assert_eq!(offences[0].line, 3);
    }

    #[test]
    fn the_root_forbids_unsafe_code_and_renames_none_of_ours() {
        let good = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n";
        assert_eq!(workspace("Cargo.toml", good), []);
        assert_eq!(workspace("Cargo.toml", "[workspace]").len(), 1);
        let renamed = "[workspace.dependencies]\nwire = { package = \"redial-net\", path = \"x\" }";
        assert_eq!(
            workspace("Cargo.toml", &format!("{good}{renamed}")).len(),
            1
        );
    }
}
