//! The files of the repository: those git tracks, and those it does not ignore.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Offence, Source};

/// Directories that are not looked into where there is no git to ask.
const NOT_OURS: [&str; 3] = [".git", "target", "artifacts"];

/// A file of text that is not Rust.
#[derive(Debug, Clone)]
pub struct Page {
    /// Relative to the root of the repository, with `/`.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// All files, read once.
#[derive(Debug, Clone)]
pub struct Repository {
    /// The Rust files.
    pub sources: Vec<Source>,
    /// Rust files that could not be parsed.
    pub broken: Vec<Offence>,
    /// Other files that are UTF-8.
    pub pages: Vec<Page>,
    /// Every file and its size in bytes.
    pub sizes: Vec<(String, u64)>,
    /// Every file and every directory that holds one.
    places: BTreeSet<String>,
}

impl Repository {
    /// Reads the repository this crate stands in.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn here() -> io::Result<Repository> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        Repository::read(here.parent().unwrap_or(here))
    }

    fn read(root: &Path) -> io::Result<Repository> {
        let paths = match listed_by_git(root) {
            Some(paths) => paths,
            None => walked(root)?,
        };
        let mut repository = Repository {
            sources: Vec::new(),
            broken: Vec::new(),
            pages: Vec::new(),
            sizes: Vec::new(),
            places: BTreeSet::new(),
        };
        for path in paths {
            match fs::read(root.join(&path)) {
                Ok(bytes) => repository.add(path, bytes),
                // Tracked, and deleted in the working tree.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io::Error::other(format!("{path}: {error}"))),
            }
        }
        repository.mark_test_modules();
        Ok(repository)
    }

    /// Whether a file or directory, relative to the root, is there.
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty() || self.places.contains(path)
    }

    /// Path and text of every file that is text.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        let sources = self.sources.iter().map(|s| (&*s.path, &*s.text));
        sources.chain(self.pages.iter().map(|p| (&*p.path, &*p.text)))
    }

    fn add(&mut self, path: String, bytes: Vec<u8>) {
        for ancestor in Path::new(&path).ancestors() {
            self.places.insert(ancestor.to_string_lossy().into_owned());
        }
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.sizes.push((path.clone(), size));
        let Ok(text) = String::from_utf8(bytes) else {
            return;
        };
        if !path.ends_with(".rs") {
            self.pages.push(Page { path, text });
            return;
        }
        match Source::parse(&path, &text) {
            Ok(source) => self.sources.push(source),
            Err(offence) => self.broken.push(offence),
        }
    }

    /// A module declared under `#[cfg(test)]` in one file is a test in its own.
    fn mark_test_modules(&mut self) {
        let declared = self.sources.iter().flat_map(|s| s.test_modules.clone());
        let modules: Vec<String> = declared.collect();
        for source in &mut self.sources {
            let belongs = |module: &String| {
                source
                    .path
                    .strip_prefix(module.as_str())
                    .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            };
            if modules.iter().any(belongs) {
                source.mark_test();
            }
        }
    }
}

/// Asks git; nothing where there is none, as in an unpacked archive.
fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    if !root.join(".git").exists() {
        return None;
    }
    let output = Command::new("git")
        // The clone may belong to another user than runs the tests.
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .args(["--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()?;
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths: Vec<String> = listed
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect();
    (output.status.success() && !paths.is_empty()).then_some(paths)
}

fn walked(root: &Path) -> io::Result<Vec<String>> {
    let mut paths = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(root.join(&dir))? {
            let entry = entry?;
            let path = dir.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
                    waiting.push(path);
                }
            } else if kind.is_file() {
                paths.push(path.to_string_lossy().into_owned());
            }
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    #[test]
    fn walking_finds_what_git_lists() {
        let walked = walked(root()).unwrap();
        for path in ["Cargo.toml", "tidy/src/repository.rs", ".ci/run"] {
            assert!(walked.contains(&path.to_owned()), "{path}");
        }
        assert!(!walked.iter().any(|path| path.starts_with("target/")));
    }

    #[test]
    fn directories_and_files_are_there_and_others_not() {
        let repository = Repository::here().unwrap();
        assert!(repository.has("tidy/src/"));
        assert!(repository.has("tidy/src/lib.rs"));
        assert!(!repository.has("tidy/src/gone.rs"));
    }

    #[test]
    fn a_file_of_tests_is_marked_by_who_declares_it() {
        let mut repository = Repository {
            sources: ["a/src/job.rs", "a/src/job/tests.rs", "a/src/other.rs"]
                .map(|path| Source::parse(path, "#[cfg(test)]\nmod tests;\nfn f() {}\n").unwrap())
                .to_vec(),
            broken: Vec::new(),
            pages: Vec::new(),
            sizes: Vec::new(),
            places: BTreeSet::new(),
        };
        repository.mark_test_modules();
        let tests: Vec<bool> = repository.sources.iter().map(|s| s.is_test(3)).collect();
        assert_eq!(tests, [false, true, false]);
    }
}
