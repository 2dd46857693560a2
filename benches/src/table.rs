//! A Markdown table whose columns line up in the source too.

use std::fmt;

/// Cells as text; the first column to the left, the others to the right.
#[derive(Debug, Default)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        Table::with_columns(head.map(str::to_owned).to_vec())
    }

    /// The same, where their number is not known before.
    pub(crate) fn with_columns(head: Vec<String>) -> Self {
        Table {
            head,
            rows: Vec::new(),
        }
    }

    /// Adds a row; cells that are missing are empty.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.add(cells.to_vec());
    }

    /// The same, where their number is not known before.
    pub(crate) fn add(&mut self, cells: Vec<String>) {
        let mut cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        cells.resize(self.head.len(), String::new());
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = || std::iter::once(&self.head).chain(&self.rows);
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| all().map(|row| row[column].chars().count()).max())
            .map(|widest| widest.unwrap_or(0).max(2))
            .collect();
        line(f, &self.head, &widths)?;
        let left = format!("|{}|", "-".repeat(widths[0] + 2));
        let right = widths[1..]
            .iter()
            .map(|width| format!("{}:|", "-".repeat(width + 1)));
        writeln!(f, "{left}{}", right.collect::<String>())?;
        self.rows
            .iter()
            .try_for_each(|cells| line(f, cells, &widths))
    }
}

fn line(f: &mut fmt::Formatter<'_>, cells: &[String], widths: &[usize]) -> fmt::Result {
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        match column {
            0 => write!(f, "| {cell:width$} ")?,
            _ => write!(f, "| {cell:>width$} ")?,
        }
    }
    writeln!(f, "|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_they_hold() {
        let mut table = Table::new(["", "µs"]);
        table.row(["direct".to_owned(), "1".to_owned()]);
        table.row(["a|b".to_owned()]);
        let expected = "\
|        | µs |
|--------|---:|
| direct |  1 |
| a\\|b   |    |
";
        assert_eq!(table.to_string(), expected);
    }
}
