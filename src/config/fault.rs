//! What is wrong with a configuration, and where.

use std::fmt;
use std::ops::Range;

/// One fault: `FILE:LINE:COL: key: what is wrong, what would be right`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    /// The file, as it was named to us.
    pub(crate) file: String,
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column in characters, from 1.
    pub(crate) column: usize,
    /// The key, with the tables that it is in: `sip.listen`. Empty where the text is no TOML.
    pub(crate) key: String,
    /// What is wrong and what would be right.
    pub(crate) what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

/// Everything that is wrong with a configuration, in the order of the file; never empty where it is an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub(crate) struct Faults(pub(crate) Vec<Fault>);

/// Collects faults while a text is read, and knows lines and columns.
pub(super) struct Findings<'a> {
    file: &'a str,
    text: &'a str,
    found: Vec<Fault>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Findings<'a> {
        Findings { file, text, found: Vec::new() }
    }

    /// Notes that `key` at `span` is wrong.
    pub(super) fn add(&mut self, span: &Range<usize>, key: impl Into<String>, what: impl Into<String>) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        let fault = Fault { file: self.file.to_owned(), line, column, key: key.into(), what: what.into() };
        if !self.found.contains(&fault) {
            self.found.push(fault);
        }
    }

    /// The faults, in the order of the file; `Ok` if there is none.
    pub(super) fn into_result(mut self) -> Result<(), Faults> {
        self.found.sort();
        if self.found.is_empty() { Ok(()) } else { Err(Faults(self.found)) }
    }
}

/// The candidate that `text` was probably meant to be: at most a third of its letters differ.
pub(super) fn nearest<'c>(text: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let wanted = text.to_lowercase();
    let close = candidates.into_iter().map(|candidate| (distance(&wanted, &candidate.to_lowercase()), candidate));
    let (steps, candidate) = close.min_by_key(|(steps, _)| *steps)?;
    (steps * 3 <= wanted.chars().count().max(3)).then_some(candidate)
}

/// `, did you mean "…"?` where something is near, else what there is.
pub(super) fn hint(text: &str, candidates: &[&str]) -> String {
    match nearest(text, candidates.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if candidates.is_empty() => "there is none".to_owned(),
        None => {
            let shown: Vec<String> = candidates.iter().map(|one| format!("`{one}`")).collect();
            format!("there {} {}", if shown.len() == 1 { "is only" } else { "are" }, shown.join(", "))
        }
    }
}

/// Insertions, deletions, changes and swaps of neighbours that lead from one text to the other.
fn distance(one: &str, other: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = match (i, j) {
                (0, n) | (n, 0) => n,
                (i, j) => {
                    let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                    let mut least = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                    if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                        least = least.min(rows[i - 2][j - 2] + 1);
                    }
                    least
                }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_candidate_is_the_one_that_was_meant() {
        let keys = ["listen", "advertise", "domain"];
        assert_eq!(nearest("lisetn", keys), Some("listen"));
        assert_eq!(nearest("Domain", keys), Some("domain"));
        assert_eq!(nearest("advertize", keys), Some("advertise"));
        assert_eq!(nearest("password", keys), None);
        assert_eq!(nearest("", keys), None);
    }

    #[test]
    fn columns_are_counted_in_characters() {
        let text = "a = 1\nä = \"ö\" x\n";
        let mut findings = Findings::new("f", text);
        let at = text.find('x').unwrap();
        findings.add(&(at..at + 1), "x", "wrong, right");
        let faults = findings.into_result().unwrap_err();
        assert_eq!(faults.to_string(), "f:2:9: x: wrong, right");
    }
}
