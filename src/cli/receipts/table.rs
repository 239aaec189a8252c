//! Aligned columns for people. Texts come from agents and servers, so control characters are shown, not obeyed.

use super::super::line::printable;

/// The widest column, in characters: one long name must not push the others off the screen. The last is never cut.
const WIDTH_MAX: usize = 36;

/// Rows under a header.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|&name| name.to_owned()).collect()] }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows
            .push(cells.iter().map(|cell| if cell.is_empty() { "-".to_owned() } else { printable(cell) }).collect());
    }

    /// The table, each line behind `indent`.
    pub(super) fn render(&self, indent: &str) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count().min(WIDTH_MAX)).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = indent.to_owned();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if column + 1 == columns {
                    line.push_str(cell);
                } else {
                    line.push_str(&format!("{:<width$}  ", shorten(cell)));
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

fn shorten(cell: &str) -> String {
    if cell.chars().count() <= WIDTH_MAX {
        return cell.to_owned();
    }
    cell.chars().take(WIDTH_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_long_cells_are_cut() {
        let mut table = Table::new(&["A", "LONGER", "LAST"]);
        table.row(["1", &"x".repeat(50), &"y".repeat(50)]);
        table.row(["22", "", "\x1b[2J"]);
        let lines: Vec<String> = table.render("  ").lines().map(str::to_owned).collect();
        assert_eq!(lines[0], format!("  A   {:<36}  LAST", "LONGER"));
        assert_eq!(lines[1], format!("  1   {}…  {}", "x".repeat(35), "y".repeat(50)));
        assert_eq!(lines[2], format!("  22  {:<36}  \\u{{1b}}[2J", "-"));
    }
}
