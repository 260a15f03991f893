//! Tables: a head, and columns as wide as what stands in them.

use super::words::clean;

/// The space between columns.
const GAP: &str = "  ";

/// The rows under their head, aligned, one a line. A cell that is empty is a dash.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> String {
    let head = head.map(str::to_owned);
    let rows: Vec<[String; N]> = rows.into_iter().map(|row| row.map(|cell| cell_of(&cell))).collect();
    let width = |column: usize| rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join(GAP).trim_end())
    };
    [&head].into_iter().chain(&rows).map(line).collect()
}

fn cell_of(text: &str) -> String {
    let text = clean(text);
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let rows = vec![["michael", "free"], ["jürgen", ""]].into_iter().map(|row| row.map(str::to_owned)).collect();
        assert_eq!(table(["AE", "DOING"], rows), "AE       DOING\nmichael  free\njürgen   -\n");
        assert_eq!(table(["AE", "DOING"], Vec::new()), "AE  DOING\n");
    }

    #[test]
    fn what_comes_from_outside_cannot_steer_the_terminal() {
        let told = table(["FROM"], vec![["\u{1b}[2Jme\nyou\u{202E}".to_owned()]]);
        assert_eq!(told, "FROM\n [2Jme you\n");
    }
}
