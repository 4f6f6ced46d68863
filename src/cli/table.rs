//! Tables in the manner of kubectl: upper-case headers, columns three blanks apart, no lines.

use unicode_width::UnicodeWidthStr;

use super::exit::printable;

/// A table that is printed as a whole.
#[derive(Debug, Clone)]
pub struct Table {
    headers: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headers.
    pub fn new(headers: impl Into<Vec<&'static str>>) -> Self {
        Self { headers: headers.into(), rows: Vec::new() }
    }

    /// Adds a row; cells are made safe for a terminal, empty ones become `-`.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let clean = |cell: String| {
            let cell = printable(&cell).replace(['\n', '\t'], " ");
            if cell.is_empty() { "-".to_owned() } else { cell }
        };
        self.rows.push(cells.into_iter().map(clean).collect());
    }

    /// The table as text, each line ended.
    pub fn render(&self) -> String {
        let mut widths: Vec<usize> = self.headers.iter().map(|h| h.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let mut out = String::new();
        let headers = self.headers.iter().map(|h| (*h).to_owned()).collect();
        for row in std::iter::once(&headers).chain(&self.rows) {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width - cell.width() + 3));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_hostile_cells_are_harmless() {
        let mut table = Table::new(["NAME", "STATE"]);
        table.row(["a".to_owned(), "RUNNING".to_owned()]);
        table.row(["長い\u{1b}[31m".to_owned(), String::new()]);
        assert_eq!(table.render(), "NAME             STATE\na                RUNNING\n長い\\u{1b}[31m   -\n");
    }
}
