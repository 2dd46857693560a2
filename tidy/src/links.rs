//! What the documents point to is there.

use crate::Offence;

/// Directories of ours: a path into one of them, in `code`, is a pointer too.
const PLACES: [&str; 7] = [
    "benches/", "crates/", "docs/", "fuzz/", "tidy/", "vectors/", "xtask/",
];

/// Links and paths of a Markdown page that lead nowhere. `exists` is asked about
/// paths relative to the root of the repository.
pub fn lead_somewhere(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Offence> {
    let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
    let mut offences = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let links = links(line).into_iter().filter_map(|to| resolve(dir, to));
            let mentions = mentions(line).into_iter().map(str::to_owned);
            for to in links.chain(mentions).filter(|to| !exists(to)) {
                let what = format!("`{to}` is not there: mend the link or write it");
                offences.push(Offence::new(path, index + 1, what));
            }
        }
    }
    offences
}

/// Targets of `[text](target)` and of `[name]: target`, outside `code`.
fn links(line: &str) -> Vec<&str> {
    let prose: Vec<&str> = line.split('`').step_by(2).collect();
    let mut found = Vec::new();
    // A link's text may be code, so that a part of prose begins with `](`.
    for part in prose {
        for (at, open) in part.match_indices("](") {
            let rest = &part[at + open.len()..];
            found.extend(rest.split(')').next());
        }
    }
    if let Some((_, target)) = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "))
    {
        found.push(target);
    }
    // A title may follow the target.
    let target = |link: &'_ str| link.trim().find(' ').unwrap_or(link.trim().len());
    found
        .into_iter()
        .map(|link| link.trim().split_at(target(link)).0)
        .collect()
}

/// Paths into [`PLACES`] that stand in `code`, unless they are patterns.
fn mentions(line: &str) -> Vec<&str> {
    let code = line.split('`').skip(1).step_by(2);
    let is_path = |text: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "./_-".contains(c);
        PLACES.iter().any(|place| text.starts_with(place)) && text.chars().all(plain)
    };
    code.filter(is_path).collect()
}

/// A link's path from the root; nothing for addresses and for places within the
/// page.
fn resolve(dir: &str, link: &str) -> Option<String> {
    let link = link.trim_start_matches('<').trim_end_matches('>');
    let path = link.split('#').next().unwrap_or_default();
    if path.is_empty() || path.contains(':') {
        return None;
    }
    let (mut parts, path) = match path.strip_prefix('/') {
        Some(absolute) => (Vec::new(), absolute),
        None => (
            dir.split('/').filter(|part| !part.is_empty()).collect(),
            path,
        ),
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offences(path: &str, text: &str) -> Vec<(usize, String)> {
        let there = ["README.md", "docs/a.md", "crates/redial", "vectors/b.txt"];
        let found = lead_somewhere(path, text, |to| {
            to.is_empty() || there.contains(&to.trim_end_matches('/'))
        });
        found.into_iter().map(|o| (o.line, o.what)).collect()
    }

    #[test]
    fn what_is_there_is_good() {
        for text in [
            "[a](docs/a.md) and [b](docs/a.md#part \"title\")",
            "[`code`](README.md) ![image](/docs/a.md)",
            "[ref]: docs/a.md",
            "[web](https://example.org/x) [mail](mailto:a@b) [here](#part)",
            "`crates/redial/` and `vectors/b.txt` and `docs/<name>.md` and `crates/*`",
            "```\n[a](gone.md)\n```",
            "`[a](gone.md)`",
        ] {
            assert_eq!(offences("README.md", text), [], "{text}");
        }
        assert_eq!(offences("docs/a.md", "[up](../README.md) [me](a.md)"), []);
    }

    #[test]
    fn what_is_gone_is_found_with_its_line() {
        for text in [
            "\n[a](gone.md)",
            "\n[`a`](gone.md)",
            "\n[a]: gone.md",
            "\n`vectors/gone.txt`",
            "```\ncode\n```\n[a](docs/../gone.md)",
        ] {
            let found = offences("README.md", text);
            assert!(!found.is_empty(), "{text}");
        }
        assert_eq!(offences("README.md", "\n[a](gone.md)")[0].0, 2);
        assert_eq!(offences("docs/a.md", "[a](README.md)").len(), 1);
    }
}
