//! The tree as tidy sees it: every file that belongs to the project, with its layers and its test lines.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::lexer::{closing, layers};

/// A broken rule and the place where it is broken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    file: String,
    line: usize,
    what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// A text file of the project.
pub(crate) struct File {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
    /// Rust: code without comments and literals. Others: empty.
    pub(crate) code: String,
    /// Rust: comments alone.
    pub(crate) comments: String,
    tests: Vec<(usize, usize)>,
    whole_is_test: bool,
}

impl File {
    /// A file with `text` at `path`.
    pub(crate) fn new(path: &str, text: &str) -> File {
        let is_rust = path.ends_with(".rs");
        let (code, comments) = if is_rust {
            let split = layers(text);
            (split.code, split.comments)
        } else {
            (String::new(), String::new())
        };
        let tests = test_spans(&code);
        let whole_is_test = path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs");
        File { path: path.to_owned(), text: text.to_owned(), code, comments, tests, whole_is_test }
    }

    /// Whether this is Rust source.
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The crate it belongs to: `sip`, or `src` for the root package.
    pub(crate) fn home(&self) -> &str {
        self.path.strip_prefix("crates/").and_then(|rest| rest.split('/').next()).unwrap_or("src")
    }

    /// Whether the byte `at` of the code is compiled for tests only.
    pub(crate) fn is_test(&self, at: usize) -> bool {
        self.whole_is_test || self.tests.iter().any(|(from, to)| (*from..=*to).contains(&at))
    }

    /// A fault at byte `at` of the text or of a layer.
    pub(crate) fn fault(&self, at: usize, what: impl Into<String>) -> Fault {
        let line = self.line_of(at);
        Fault { file: self.path.clone(), line, what: what.into() }
    }

    fn line_of(&self, at: usize) -> usize {
        // Layers have the characters of the text but not its bytes, so lines are counted in the layer that `at` came from.
        let layer = if self.is_rust() { &self.code } else { &self.text };
        layer.char_indices().take_while(|(byte, _)| *byte < at).filter(|(_, c)| *c == '\n').count() + 1
    }

    /// Lines that are not compiled for tests only.
    pub(crate) fn lines_without_tests(&self) -> usize {
        if self.whole_is_test {
            return self.text.lines().count();
        }
        let mut at = 0;
        let mut kept = 0;
        for line in self.code.split_inclusive('\n') {
            if !self.is_test(at) {
                kept += 1;
            }
            at += line.len();
        }
        kept
    }
}

/// A fault at a numbered line.
pub(crate) fn fault_at(file: &str, line: usize, what: impl Into<String>) -> Fault {
    Fault { file: file.to_owned(), line, what: what.into() }
}

/// Spans of items under `#[cfg(test)]`.
fn test_spans(code: &str) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    for (at, mark) in code.match_indices("#[cfg(test)]") {
        let from = at + mark.len();
        let end = match code[from..].find(['{', ';']).map(|found| from + found) {
            Some(open) if code[open..].starts_with('{') => closing(code, open),
            Some(semicolon) => Some(semicolon),
            None => None,
        };
        spans.push((at, end.unwrap_or(code.len())));
    }
    spans
}

/// Every file of the project.
pub(crate) fn read() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    walk(root, "", &mut files);
    assert!(files.len() > 30, "the walk found {} files only", files.len());
    mark_test_files(&mut files);
    files
}

/// Names at the top of the tree.
pub(crate) fn top_level() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(root).expect("the root of the tree can be read");
    entries.map(|entry| entry.expect("an entry can be read").file_name().to_string_lossy().into_owned()).collect()
}

/// Names that git ignores and tools leave behind.
pub(crate) fn is_left_behind(name: &str) -> bool {
    matches!(name, "target" | "demo-out" | ".git" | "__pycache__")
        || [".db", ".db-wal", ".db-shm"].iter().any(|end| name.ends_with(end))
}

fn walk(dir: &Path, shown: &str, files: &mut Vec<File>) {
    let mut entries: Vec<_> = fs::read_dir(dir).expect("a folder of the tree can be read").flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if shown.is_empty() { name.clone() } else { format!("{shown}/{name}") };
        let kind = entry.file_type().expect("an entry has a kind");
        if kind.is_dir() && !is_left_behind(&name) {
            walk(&entry.path(), &path, files);
        } else if kind.is_file() && !is_left_behind(&name) {
            // What is not UTF-8 is sound, a picture or a torture message: nothing to read here.
            if let Ok(text) = fs::read_to_string(entry.path()) {
                files.push(File::new(&path, &text));
            }
        }
    }
}

/// `#[cfg(test)] mod x;` makes a test of x.rs and of all below x/.
fn mark_test_files(files: &mut [File]) {
    let mut roots = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        for (at, mark) in file.code.match_indices("#[cfg(test)]") {
            let item = file.code[at + mark.len()..].trim_start();
            let item = item.strip_prefix("pub(crate) ").unwrap_or(item);
            let Some(name) = item.strip_prefix("mod ").and_then(|rest| rest.split(';').next()) else { continue };
            if name.chars().all(crate::lexer::is_word) {
                roots.push(format!("{}/{name}", folder_of_modules(&file.path)));
            }
        }
    }
    for file in files {
        let is_below =
            |root: &String| file.path.strip_prefix(root.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'));
        file.whole_is_test |= roots.iter().any(is_below);
    }
}

/// The folder in which the modules declared by the file at `path` lie.
pub(crate) fn folder_of_modules(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        other => format!("{folder}/{}", other.trim_end_matches(".rs")),
    }
}

#[test]
fn test_items_are_told_from_shipped_ones() {
    let file = File::new("crates/sip/src/lib.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n");
    let at = |name: &str| file.code.find(name).expect("the name is in the sample");
    assert!(!file.is_test(at("a()")) && file.is_test(at("b()")) && !file.is_test(at("c()")));
    assert_eq!(file.lines_without_tests(), 2);
    assert_eq!(file.fault(at("c()"), "x").to_string(), "crates/sip/src/lib.rs:6: x");
}

#[test]
fn a_file_declared_for_tests_only_is_a_test() {
    let mut files = [
        File::new("crates/sip/src/ua.rs", "#[cfg(test)]\nmod plays;\nmod verbs;\n"),
        File::new("crates/sip/src/ua/plays.rs", "fn a() {}\n"),
        File::new("crates/sip/src/ua/plays/deep.rs", "fn a() {}\n"),
        File::new("crates/sip/src/ua/verbs.rs", "fn a() {}\n"),
    ];
    mark_test_files(&mut files);
    assert_eq!(files.iter().map(|file| file.whole_is_test).collect::<Vec<_>>(), [false, true, true, false]);
}
