//! A plain table for terminals: columns as wide as their widest cell, two spaces between, numbers to the right.
//!
//! In: cells. Out: text. On a terminal, longer lines are cut to its width.

use std::io::IsTerminal;

/// Rows under a header.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column names.
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        Self { rows: vec![header.map(str::to_owned).to_vec()] }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// The table as lines, each after `indent` spaces. On a terminal, longer lines are cut to its width.
    pub fn render(&self, indent: usize) -> String {
        let columns = self.rows[0].len();
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        // A column is numeric if all its cells begin like a number. The header does not count.
        let numeric = |column: usize| {
            let mut cells = self.rows[1..].iter().map(|row| row[column].as_str()).peekable();
            cells.peek().is_some() && cells.all(|cell| cell.starts_with(|c: char| c.is_ascii_digit() || c == '-'))
        };
        let layout: Vec<_> = (0..columns).map(|column| (width(column), numeric(column))).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for (cell, (width, numeric)) in row.iter().zip(&layout) {
                line += &if *numeric { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") };
            }
            text += cut(line.trim_end(), terminal_width());
            text.push('\n');
        }
        text
    }
}

/// The first `width` characters.
fn cut(line: &str, width: usize) -> &str {
    line.char_indices().nth(width).map_or(line, |(end, _)| &line[..end])
}

/// The width of the terminal on stdout in columns. If stdout is no terminal, there is no bound.
fn terminal_width() -> usize {
    if !std::io::stdout().is_terminal() {
        return usize::MAX;
    }
    // SAFETY: TIOCGWINSZ writes one `winsize`, which is plain old data, to the pointer that it is given.
    let size = unsafe {
        let mut size: libc::winsize = std::mem::zeroed();
        (libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) == 0).then_some(size)
    };
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(usize::MAX)
}

/// A count with commas between thousands: `12,345`.
pub(crate) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["node", "points"]);
        table.row(["node1".into(), "5".into()]);
        table.row(["n".into(), "1,000".into()]);
        assert_eq!(table.render(1), " node   points\n node1       5\n n       1,000\n");
        assert_eq!(
            (thousands(0), thousands(999), thousands(1_234_567)),
            ("0".into(), "999".into(), "1,234,567".into())
        );
    }
}
