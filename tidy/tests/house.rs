//! The rules of the house over the whole repository.

use std::sync::LazyLock;

use tidy::{
    Offence, Repository, Source, arrows, confined, links, machine, names, purity, sizes, sleeps,
    words,
};

static REPOSITORY: LazyLock<Repository> =
    LazyLock::new(|| Repository::here().expect("the repository can be read"));

/// Fails with every offence, one a line, as `file:line: what to do`.
#[track_caller]
fn none(offences: impl IntoIterator<Item = Offence>) {
    let mut lines: Vec<String> = offences.into_iter().map(|o| o.to_string()).collect();
    lines.sort();
    assert!(
        lines.is_empty(),
        "{} to mend:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

/// Applies a rule to each Rust file.
fn each<I: IntoIterator<Item = Offence>>(rule: impl Fn(&Source) -> I) -> Vec<Offence> {
    REPOSITORY.sources.iter().flat_map(rule).collect()
}

/// Applies a rule to each page whose path fits.
fn pages(fits: impl Fn(&str) -> bool, rule: impl Fn(&str, &str) -> Vec<Offence>) -> Vec<Offence> {
    let fitting = REPOSITORY.pages.iter().filter(|page| fits(&page.path));
    fitting
        .flat_map(|page| rule(&page.path, &page.text))
        .collect()
}

#[test]
fn the_rules_see_the_repository() {
    for (crate_name, _) in arrows::ARROWS {
        let manifest = format!("crates/{crate_name}/Cargo.toml");
        let root = format!("crates/{crate_name}/src/");
        let sees = REPOSITORY.sources.iter().any(|s| s.path.starts_with(&root));
        assert_eq!(sees, REPOSITORY.has(&manifest), "{crate_name}");
    }
    assert!(REPOSITORY.has("crates/redial/src/main.rs"));
    assert!(REPOSITORY.pages.iter().any(|page| page.path == "README.md"));
}

#[test]
fn every_rust_file_can_be_parsed() {
    none(REPOSITORY.broken.clone());
}

#[test]
fn arrows_run_one_way() {
    let member = |path: &str| path.starts_with("crates/") && path.ends_with("/Cargo.toml");
    none(pages(member, arrows::manifest));
    none(pages(|path| path == "Cargo.toml", arrows::workspace));
}

#[test]
fn the_frame_crate_needs_no_other() {
    let frame = |path: &str| path == "crates/redial-frame/Cargo.toml";
    none(pages(frame, arrows::frame_stands_alone));
}

#[test]
fn pure_crates_know_no_socket_file_clock_or_thread() {
    none(each(purity::no_world));
}

#[test]
fn pure_crates_are_no_std() {
    none(each(purity::no_std));
}

#[test]
fn unsafe_code_stays_in_the_keeper() {
    none(each(confined::unsafe_code));
}

#[test]
fn clap_stays_in_one_file() {
    none(each(confined::argument_parser));
}

#[test]
fn only_the_binary_exits_or_takes_signals() {
    none(each(confined::exit_and_signals));
}

#[test]
fn files_are_short() {
    none(each(sizes::file_length));
}

#[test]
fn functions_are_short() {
    none(each(sizes::function_length));
}

#[test]
fn no_file_is_heavy() {
    let sizes = REPOSITORY.sizes.iter();
    none(sizes.filter_map(|(path, bytes)| sizes::weight(path, *bytes)));
}

#[test]
fn every_module_says_what_it_holds() {
    none(each(names::module_docs));
}

#[test]
fn every_file_is_named_after_what_it_holds() {
    none(each(|source| names::telling_name(&source.path)));
}

#[test]
fn nothing_is_left_unfinished_or_never_run() {
    none(each(words::finished));
}

#[test]
fn no_path_of_one_machine_is_in_the_tree() {
    none(
        REPOSITORY
            .texts()
            .flat_map(|(path, text)| machine::no_machine(path, text)),
    );
}

#[test]
fn no_test_sleeps_a_fixed_time() {
    none(each(sleeps::no_fixed_sleep));
}

#[test]
fn documents_point_to_what_is_there() {
    let markdown = |path: &str| path.ends_with(".md");
    none(pages(markdown, |path, text| {
        links::lead_somewhere(path, text, |to| REPOSITORY.has(to))
    }));
}
