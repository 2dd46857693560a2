//! ClusterShell's groups in YAML (clush's `groups.d/*.yaml`): sources, of each its groups, of each a
//! node set or a list of them. Source: ClusterShell's manual, "YAML group files".

use yaml_rust2::parser::{MarkedEventReceiver, Parser};
use yaml_rust2::scanner::Marker;
use yaml_rust2::{Event, Yaml, YamlLoader};

use super::{InventoryError, Source};

/// The first line with an alias: a few lines of them can mean more than there is memory.
struct Aliases(Option<usize>);

impl MarkedEventReceiver for Aliases {
    fn on_event(&mut self, event: Event, mark: Marker) {
        if let Event::Alias(_) = event {
            self.0.get_or_insert(mark.line());
        }
    }
}

/// Reads it.
///
/// # Errors
///
/// It is no YAML, or not of that form.
pub fn clustershell(place: &str, text: &str) -> Result<Vec<Source>, InventoryError> {
    let wrong = |line: Option<usize>, what: String| InventoryError {
        place: place.to_owned(),
        line,
        what,
    };
    let mut aliases = Aliases(None);
    // What is wrong with it otherwise, the loader says.
    let _ = Parser::new_from_str(text).load(&mut aliases, true);
    if let Some(line) = aliases.0 {
        return Err(wrong(
            Some(line),
            "an alias (*NAME), which is not read".to_owned(),
        ));
    }
    let documents = YamlLoader::load_from_str(text)
        .map_err(|error| wrong(Some(error.marker().line()), error.info().to_owned()))?;
    let mut sources = Vec::new();
    for document in documents {
        let Yaml::Hash(document) = document else {
            return Err(wrong(None, "is no map of sources".to_owned()));
        };
        for (name, groups) in document {
            let name = word(&name).ok_or_else(|| wrong(None, "a source has no name".to_owned()))?;
            let mut source = Source {
                place: format!("{place} ({name})"),
                name,
                ..Source::default()
            };
            match groups {
                Yaml::Null => {}
                Yaml::Hash(groups) => {
                    for (group, nodes) in groups {
                        let (group, nodes) =
                            word(&group).zip(nodes_of(&nodes)).ok_or_else(|| {
                                let text = "is no group: write NAME: nodes, or a list of them";
                                wrong(None, format!("{}: {group:?} {text}", source.name))
                            })?;
                        source.groups.insert(group, nodes);
                    }
                }
                _ => return Err(wrong(None, format!("{}: is no map of groups", source.name))),
            }
            sources.push(source);
        }
    }
    Ok(sources)
}

/// Group names are often numbers.
fn word(yaml: &Yaml) -> Option<String> {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) => Some(text.clone()),
        Yaml::Integer(number) => Some(number.to_string()),
        Yaml::Boolean(is) => Some(is.to_string()),
        _ => None,
    }
}

fn nodes_of(yaml: &Yaml) -> Option<String> {
    match yaml {
        Yaml::Null => Some(String::new()),
        Yaml::Array(nodes) => {
            let nodes: Option<Vec<String>> = nodes.iter().map(nodes_of).collect();
            Some(nodes?.join(","))
        }
        other => word(other),
    }
}
