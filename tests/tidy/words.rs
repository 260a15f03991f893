//! Names that say nothing, marks of unfinished work, paths of somebody's machine, and what stands at the top.

use crate::lexer::words;
use crate::tree::{Fault, File, fault_at, is_left_behind};

/// Parts of names that say nothing in the trade.
const SAY_NOTHING: &[&str] = &[
    "util",
    "utils",
    "helper",
    "helpers",
    "manager",
    "common",
    "handler",
    "processor",
    "misc",
    "stuff",
    "data",
    "info",
    "context",
    "v2",
    "old",
];

/// Whole names that do say something, with the reason.
const TRADE_WORDS: &[(&str, &str)] =
    &[("info", "INFO is a SIP method (RFC 6086)"), ("context", "what is known of a call has this name in the interface")];

/// What may stand at the top of the tree, beside dot files.
const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "src",
    "crates",
    "fuzz",
    "sip-fixtures",
    "tests",
    "deploy",
    "docs",
];

/// Names of files, modules and types that say nothing.
pub(crate) fn empty_names(files: &[File]) -> Vec<Fault> {
    files.iter().flat_map(|file| path_names(file).into_iter().chain(defined_names(file))).collect()
}

fn path_names(file: &File) -> Vec<Fault> {
    let is_ours = file.is_rust() || file.path.ends_with(".py") || file.path.ends_with(".md");
    let parts = file.path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    let empty = parts.filter(|part| is_ours && says_nothing(part));
    empty.map(|part| fault_at(&file.path, 1, format!("the name {part} says nothing"))).collect()
}

fn defined_names(file: &File) -> Vec<Fault> {
    let all = words(&file.code);
    let defines = |word: &str| matches!(word, "struct" | "enum" | "trait" | "type" | "union" | "mod");
    let named = all.windows(2).filter(|pair| defines(pair[0].1));
    let empty = named.filter(|pair| {
        let [(at, word), (name_at, name)] = pair else { return false };
        file.code[at + word.len()..*name_at].chars().all(char::is_whitespace) && says_nothing(name)
    });
    empty.map(|pair| file.fault(pair[1].0, format!("the name {} says nothing", pair[1].1))).collect()
}

fn says_nothing(name: &str) -> bool {
    let is_trade_word = TRADE_WORDS.iter().any(|(word, _)| name.eq_ignore_ascii_case(word));
    !is_trade_word && parts(name).iter().any(|part| SAY_NOTHING.contains(&part.as_str()))
}

/// `CallInfo_v2` has the parts call, info, v2.
fn parts(name: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut was_lower = false;
    for c in name.chars() {
        if c == '_' || c == '-' {
            found.push(String::new());
            was_lower = false;
            continue;
        }
        if c.is_uppercase() && was_lower || found.is_empty() {
            found.push(String::new());
        }
        was_lower = c.is_lowercase() || c.is_numeric();
        if let Some(last) = found.last_mut() {
            last.extend(c.to_lowercase());
        }
    }
    found
}

/// Marks of unfinished work, tests that are switched off without a word, warnings switched off without a word.
pub(crate) fn unfinished(files: &[File]) -> Vec<Fault> {
    files.iter().filter(|file| file.is_rust()).flat_map(unfinished_in).collect()
}

fn unfinished_in(file: &File) -> Vec<Fault> {
    let mut faults = Vec::new();
    let marks = ["TODO", "FIXME", "XXX", "HACK"];
    for (index, line) in file.comments.lines().enumerate() {
        let said = words(line).into_iter().map(|(_, word)| word).find(|word| marks.contains(word));
        faults.extend(
            said.map(|mark| fault_at(&file.path, index + 1, format!("{mark}: do it, or say in whole sentences why not"))),
        );
    }
    for mark in ["todo!", "unimplemented!", "dbg!"] {
        faults.extend(file.code.match_indices(mark).map(|(at, _)| file.fault(at, format!("{mark} is unfinished work"))));
    }
    for (at, _) in file.code.match_indices("#[ignore]") {
        faults.push(file.fault(at, "a test that is switched off says why: #[ignore = \"…\"]"));
    }
    for mark in ["#[allow(", "#![allow("] {
        for (at, _) in file.code.match_indices(mark) {
            let attribute = file.code[at..].split(']').next().unwrap_or_default();
            if !attribute.contains("reason") {
                faults.push(file.fault(at, "a warning that is switched off says why: reason = \"…\""));
            }
        }
    }
    faults
}

/// Paths that exist on one machine only.
pub(crate) fn private_paths(files: &[File]) -> Vec<Fault> {
    let folders = ["work", "farm", "tmp", "home", "root", "Users"];
    let starts: Vec<String> = folders.iter().map(|folder| format!("/{folder}/")).collect();
    files.iter().filter(|file| file.path != "Cargo.lock").flat_map(|file| private_paths_in(file, &starts)).collect()
}

fn private_paths_in(file: &File, starts: &[String]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for start in starts {
            let is_absolute = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_-.}*".contains(c));
            let names_it = |at: usize| line[at + start.len()..].starts_with(|c: char| c.is_ascii_alphanumeric());
            if line.match_indices(start.as_str()).any(|(at, _)| is_absolute(at) && names_it(at)) {
                faults.push(fault_at(&file.path, index + 1, format!("{start} is a path of one machine")));
            }
        }
    }
    faults
}

/// What stands at the top of the tree and is not on the list.
pub(crate) fn strangers_at_the_top(names: &[String]) -> Vec<Fault> {
    let stranger = |name: &&String| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()) && !is_left_behind(name);
    names.iter().filter(stranger).map(|name| fault_at(name, 1, "does not stand on the list of the top level")).collect()
}

/// What is on the list and is missing at the top.
pub(crate) fn missing_at_the_top(names: &[String]) -> Vec<Fault> {
    TOP_LEVEL
        .iter()
        .filter(|name| !names.iter().any(|there| there == *name))
        .map(|name| fault_at(name, 1, "is missing"))
        .collect()
}

#[cfg(test)]
mod bad_samples {
    use super::*;

    #[test]
    fn names_that_say_nothing_are_caught() {
        for name in [
            "utils",
            "Helper",
            "CallManager",
            "RequestHandler",
            "LegInfo",
            "parser_v2",
            "ParserV2",
            "leg_old",
            "CallContext",
            "common",
        ] {
            assert!(says_nothing(name), "{name}");
        }
        for name in ["Info", "Context", "Leg", "Threshold", "Database", "folder", "Bold", "Datagram", "context"] {
            assert!(!says_nothing(name), "{name}");
        }
        let file = File::new("crates/sip/src/helpers.rs", "pub struct Dialog;\nenum EventInfo {}\n// struct CallData\n");
        let faults: Vec<String> = empty_names(&[file]).iter().map(ToString::to_string).collect();
        assert_eq!(
            faults,
            [
                "crates/sip/src/helpers.rs:1: the name helpers says nothing",
                "crates/sip/src/helpers.rs:2: the name EventInfo says nothing"
            ]
        );
    }

    #[test]
    fn unfinished_work_is_caught() {
        for text in [
            "// TODO later\n",
            "/// FIXME: x\n",
            "fn f() { todo!() }\n",
            "fn f() { unimplemented!(\"x\") }\n",
            "#[test]\n#[ignore]\nfn t() {}\n",
            "#[allow(dead_code)]\nfn t() {}\n",
        ] {
            assert_eq!(unfinished_in(&File::new("src/a.rs", text)).len(), 1, "{text}");
        }
        for text in [
            "#[ignore = \"needs a phone\"]\nfn t() {}\n",
            "let s = \"TODO\";\n",
            "#[allow(dead_code, reason = \"x\")]\nfn t() {}\n",
        ] {
            assert!(unfinished_in(&File::new("src/a.rs", text)).is_empty(), "{text}");
        }
    }

    #[test]
    fn paths_of_one_machine_are_caught() {
        let caught = |text: &str| private_paths(&[File::new("docs/a.md", text)]).len();
        assert_eq!(caught(&format!("see {}work{}main\n", '/', '/')), 1);
        assert_eq!(caught(&format!("`{}home{}jo`\n", '/', '/')), 1);
        assert_eq!(caught("docs/work/x, ${dir}/tmp/x and /etc/baton/token\n"), 0);
    }

    #[test]
    fn strangers_and_gaps_at_the_top_are_caught() {
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(strangers_at_the_top(&names(&["src", ".ci", "target", "NOTES.md"])).len(), 1);
        assert_eq!(missing_at_the_top(&names(&["src"])).len(), TOP_LEVEL.len() - 1);
    }
}
