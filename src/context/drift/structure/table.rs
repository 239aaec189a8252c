//! Comma-, tab- and pipe-separated rows.

use std::borrow::Cow;

use super::{Form, Leaves};

/// Longest cell that counts as a field: beyond, a cell is a text.
const CELL_WORDS_MAX: usize = 12;

/// Reads `text` if all its lines are rows of one width.
pub(super) fn read<'t>(text: &'t str, out: &mut Leaves<'t>) -> bool {
    let Some((separator, columns)) = shape(text) else { return false };
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let cells: Vec<&str> = cells(line, separator).collect();
        if cells.len() != columns {
            return false;
        }
        rows.push(cells);
    }
    for row in rows {
        out.next_record();
        for cell in row {
            let short = cell.split_whitespace().count() <= CELL_WORDS_MAX;
            out.push(Cow::Borrowed(cell), if short { Form::Field } else { Form::Text });
        }
    }
    true
}

fn cells(line: &str, separator: char) -> impl Iterator<Item = &str> {
    let line = if separator == '|' { line.trim().trim_matches('|') } else { line };
    line.split(separator).map(|cell| cell.trim().trim_matches('"'))
}

/// The separator and the number of columns, from the first two lines.
fn shape(text: &str) -> Option<(char, usize)> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let (first, second) = (lines.next()?, lines.next()?);
    ['|', '\t', ','].into_iter().find_map(|separator| {
        let columns = cells(first, separator).count();
        let short = cells(first, separator).all(|cell| cell.split_whitespace().count() <= 4 && !cell.is_empty());
        (columns >= 2 && short && cells(second, separator).count() == columns).then_some((separator, columns))
    })
}
