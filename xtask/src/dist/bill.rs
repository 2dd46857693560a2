//! What the program is made of: a bill of materials in CycloneDX's form.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::cargo;

/// Of the crates that are linked in, by cargo's own account.
///
/// # Errors
/// cargo cannot say.
pub(crate) fn of(root: &Path) -> anyhow::Result<String> {
    let edges = [
        "tree",
        "--locked",
        "-p",
        "redial",
        "-e",
        "normal,no-proc-macro",
    ];
    let form = ["--prefix", "none", "-f", "{p}\t{l}"];
    let output = cargo(root).args(edges).args(form).output();
    let output = output.context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo tree: {}", output.status);
    let crates = read(&String::from_utf8(output.stdout).context("cargo tree")?);
    let components = crates.iter().map(|((name, version), licence)| {
        json!({
            "type": "library",
            "name": name,
            "version": version,
            "purl": format!("pkg:cargo/{name}@{version}"),
            "licenses": [{ "expression": licence }],
        })
    });
    let bill = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": {
            "type": "application",
            "name": "redial",
            "version": env!("CARGO_PKG_VERSION"),
        } },
        "components": components.collect::<Vec<Value>>(),
    });
    Ok(serde_json::to_string_pretty(&bill)? + "\n")
}

/// Name and version to licence. A crate stands there once for each that needs it.
fn read(tree: &str) -> BTreeMap<(String, String), String> {
    let of = |line: &str| {
        let (package, licence) = line.split_once('\t')?;
        let mut words = package.split(' ');
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        // What is seen before is marked.
        let licence = licence.trim_end_matches(" (*)").replace('/', " OR ");
        Some(((name.to_owned(), version.to_owned()), licence))
    };
    tree.lines().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crate_is_listed_once_with_its_licence() {
        let tree = "redial v0.1.0 (/somewhere/crates/redial)\tMIT OR Apache-2.0\n\
                    libc v0.2.1\tMIT/Apache-2.0\nlibc v0.2.1\tMIT/Apache-2.0 (*)\n\n";
        let crates = read(tree);
        let found: Vec<_> = crates
            .iter()
            .map(|((name, _), licence)| (&**name, &**licence))
            .collect();
        let expected = [
            ("libc", "MIT OR Apache-2.0"),
            ("redial", "MIT OR Apache-2.0"),
        ];
        assert_eq!(found, expected);
    }
}
