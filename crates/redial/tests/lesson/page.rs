//! What a page holds: fenced blocks, a table, sections.

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Fence {
    /// What stands behind the fence: `console`, `rust`; empty for a drawing.
    pub(crate) language: String,
    /// What stands in it.
    pub(crate) text: String,
    /// The line of the fence, from 1.
    pub(crate) line: usize,
}

impl Fence {
    /// Whether it is the same in every language: all but drawings.
    pub(crate) fn is_code(&self) -> bool {
        self.language != "text"
    }

    /// What is left without the shell's comments, which speak the page's language.
    pub(crate) fn without_comments(&self) -> String {
        let code = |line: &str| match line.split_once(" # ") {
            Some((code, _)) if self.language == "console" => code.trim_end().to_owned() + "\n",
            _ => line.to_owned() + "\n",
        };
        self.text.lines().map(code).collect()
    }
}

/// The fenced blocks of a page.
pub(crate) fn fences(page: &str) -> Vec<Fence> {
    let mut found = Vec::new();
    let mut open: Option<Fence> = None;
    for (index, line) in page.lines().enumerate() {
        let mark = line.strip_prefix("```");
        open = match (open, mark) {
            (None, None) => None,
            (None, Some(language)) => Some(Fence {
                language: language.trim().to_owned(),
                text: String::new(),
                line: index + 1,
            }),
            (Some(mut fence), None) => {
                fence.text += line;
                fence.text.push('\n');
                Some(fence)
            }
            (Some(fence), Some(_)) => {
                found.push(fence);
                None
            }
        };
    }
    assert!(open.is_none(), "a fence is not closed: {open:?}");
    found
}

/// The `code` of each row of the table in which `first` begins a row.
pub(crate) fn table_code(page: &str, first: &str) -> Vec<Vec<String>> {
    let begin = format!("| {first} |");
    let rows = page.lines().skip_while(|line| !line.starts_with(&begin));
    let rows = rows.take_while(|line| line.starts_with('|'));
    let code = |row: &str| {
        row.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    rows.map(code).collect()
}

/// The part of a page below the heading that has the words `name` in it, up to the next heading.
pub(crate) fn section<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let parts: Vec<&str> = page.split("\n## ").collect();
    let of = |part: &&&str| {
        let heading = part.lines().next().unwrap_or_default();
        heading.to_lowercase().contains(name)
    };
    parts.iter().skip(1).find(of).copied()
}

#[test]
fn a_page_is_read_as_it_is_written() {
    let page = "# A\n\n## One thing\n\n```console\n$ ls  # x\n```\n\n```text\n+-+\n```\n\n## Two\n| `a` | x | `b` |\n| `c` | | |\n";
    let found = fences(page);
    assert_eq!(found.len(), 2);
    assert_eq!(
        (found[0].language.as_str(), found[0].text.as_str()),
        ("console", "$ ls  # x\n")
    );
    assert!(found[0].is_code() && !found[1].is_code());
    assert_eq!(
        (found[0].line, found[0].without_comments().as_str()),
        (5, "$ ls\n")
    );
    assert_eq!(table_code(page, "`a`"), [vec!["a", "b"], vec!["c"]]);
    assert!(section(page, "one thing").unwrap().contains("ls"));
    assert!(section(page, "three").is_none());
}
