//! Replays each target's corpus, and finds targets that were added only halfway.

use std::collections::BTreeSet;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

use redial_fuzz::TARGETS;

#[test]
fn every_corpus_file_passes_its_harness() {
    let mut failures = Vec::new();
    for (name, harness) in TARGETS {
        let files = files_of(&root().join("corpus").join(name));
        assert!(
            !files.is_empty(),
            "corpus/{name} is empty: the target tests nothing"
        );
        for file in files {
            let data = fs::read(&file).unwrap();
            // The harness prints its own panic; here the file's name is added.
            if panic::catch_unwind(|| harness(&data)).is_err() {
                failures.push(file);
            }
        }
    }
    assert!(failures.is_empty(), "harnesses fail on {failures:#?}");
}

#[test]
fn every_harness_takes_every_prefix_of_its_corpus() {
    for (name, harness) in TARGETS {
        for file in files_of(&root().join("corpus").join(name)) {
            let data = fs::read(&file).unwrap();
            for length in 0..data.len().min(512) {
                harness(&data[..length]);
            }
        }
    }
}

#[test]
fn every_target_has_its_file_its_corpus_and_its_manifest_entry() {
    let listed: BTreeSet<String> = TARGETS.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(listed.len(), TARGETS.len(), "a name is listed twice");
    assert_eq!(
        stems_in("fuzz_targets"),
        listed,
        "fuzz_targets/ and TARGETS differ"
    );
    assert_eq!(stems_in("corpus"), listed, "corpus/ and TARGETS differ");
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for name in listed {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "no [[bin]] for {name}"
        );
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    files
}

fn stems_in(folder: &str) -> BTreeSet<String> {
    files_of(&root().join(folder))
        .iter()
        .map(|path| {
            path.file_stem()
                .expect("a file name")
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}
