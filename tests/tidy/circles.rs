//! Circles: among crates, and among the top modules of one crate.

use std::collections::{BTreeMap, BTreeSet};

use crate::lexer::{closing, is_word, words};
use crate::tree::{Fault, File, fault_at};

/// The first circle in a graph of who uses whom, closed: its first name stands at its end again.
pub(crate) fn first_circle(uses: &BTreeMap<String, Vec<String>>) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    uses.keys().find_map(|start| descend(start, uses, &mut Vec::new(), &mut done))
}

fn descend(
    name: &str,
    uses: &BTreeMap<String, Vec<String>>,
    road: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(since) = road.iter().position(|seen| seen == name) {
        let mut circle = road[since..].to_vec();
        circle.push(name.to_owned());
        return Some(circle);
    }
    if !done.insert(name.to_owned()) {
        return None;
    }
    road.push(name.to_owned());
    let found = uses.get(name).into_iter().flatten().find_map(|next| descend(next, uses, road, done));
    road.pop();
    found
}

/// Crates that are layers of modules. The others hold one large value whose methods lie in sibling files, which name each other.
const LAYERED: &[&str] = &["time", "contract", "sip", "media", "relay", "party"];

/// Faults: top modules of a layered crate that use each other in a circle. The root file itself stands above and is no module.
pub(crate) fn modules(files: &[File]) -> Vec<Fault> {
    LAYERED.iter().flat_map(|home| modules_of(home, files)).collect()
}

fn modules_of(home: &str, files: &[File]) -> Vec<Fault> {
    let root = format!("crates/{home}/src/");
    let own: Vec<&File> = files.iter().filter(|file| file.is_rust() && file.path.starts_with(&root)).collect();
    let module_of = |file: &File| {
        let first = file.path[root.len()..].split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
        Some(first).filter(|name| name != "lib" && name != "main")
    };
    let names: BTreeSet<String> = own.iter().filter_map(|file| module_of(file)).collect();
    let lifted: BTreeMap<String, String> =
        own.iter().filter(|file| module_of(file).is_none()).flat_map(|file| re_exports(&file.code, &names)).collect();
    let mut uses: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in &own {
        let Some(module) = module_of(file) else { continue };
        let named = crate_paths(file).into_iter().map(|name| lifted.get(&name).cloned().unwrap_or(name));
        let others = named.filter(|other| names.contains(other) && *other != module);
        uses.entry(module.clone()).or_default().extend(others);
    }
    let circle = first_circle(&uses);
    let at = |circle: &[String]| {
        let first = &circle[0];
        own.iter().find(|file| module_of(file).as_ref() == Some(first)).map_or_else(|| root.clone(), |file| file.path.clone())
    };
    circle.map(|circle| fault_at(&at(&circle), 1, format!("modules in a circle: {}", circle.join(" -> ")))).into_iter().collect()
}

/// First names after `crate::`, also in groups, outside tests.
fn crate_paths(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    for (at, word) in words(&file.code).into_iter().filter(|(at, word)| *word == "crate" && !file.is_test(*at)) {
        let Some(rest) = file.code[at + word.len()..].strip_prefix("::") else { continue };
        let from = file.code.len() - rest.len();
        if rest.starts_with('{') {
            let end = closing(&file.code, from).unwrap_or(file.code.len());
            found.extend(first_names(&file.code[from + 1..end]));
        } else {
            found.extend(first_names(rest.split([';', ',', ')', '>', ' ', '(']).next().unwrap_or_default()));
        }
    }
    found
}

/// The first name of each path in a list such as `a::B, c::{D, E}, F`.
fn first_names(list: &str) -> Vec<String> {
    let mut depth = 0;
    let mut names = Vec::new();
    let mut current = String::new();
    let mut takes = true;
    for c in list.chars().chain([',']) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.extend(Some(std::mem::take(&mut current)).filter(|name| !name.is_empty()));
                takes = true;
            }
            c if depth == 0 && takes && is_word(c) => current.push(c),
            c if depth == 0 && !c.is_whitespace() => takes = false,
            _ => {}
        }
    }
    names
}

/// What a root file lifts from its modules: `pub use a::{B, C}` gives B and C to a.
fn re_exports(code: &str, modules: &BTreeSet<String>) -> Vec<(String, String)> {
    let mut lifted = Vec::new();
    for (at, word) in words(code).into_iter().filter(|(_, word)| *word == "use") {
        let statement = code[at + word.len()..].split(';').next().unwrap_or_default().trim();
        let Some((module, rest)) = statement.split_once("::").filter(|(module, _)| modules.contains(*module)) else { continue };
        let names = words(rest).into_iter().map(|(_, name)| (name.to_owned(), module.to_owned()));
        lifted.extend(names);
    }
    lifted
}

#[cfg(test)]
mod bad_samples {
    use super::*;

    #[test]
    fn modules_in_a_circle_are_caught_also_through_re_exports_and_groups() {
        let files = [
            File::new("crates/sip/src/lib.rs", "mod a;\nmod b;\npub use b::{Bee, Buzz};\n"),
            File::new("crates/sip/src/a.rs", "use crate::{Buzz, c::Sea};\n"),
            File::new("crates/sip/src/b/deep.rs", "fn f(x: crate::a::Ay) {}\n"),
            File::new("crates/sip/src/c.rs", ""),
        ];
        let faults: Vec<String> = modules(&files).iter().map(ToString::to_string).collect();
        assert_eq!(faults, ["crates/sip/src/a.rs:1: modules in a circle: a -> b -> a"]);
    }

    #[test]
    fn a_chain_is_no_circle_and_tests_may_look_back() {
        let files = [
            File::new("crates/media/src/lib.rs", "mod a;\nmod b;\n"),
            File::new("crates/media/src/a.rs", "use crate::b::Bee;\n"),
            File::new("crates/media/src/b.rs", "pub struct Bee;\n#[cfg(test)]\nmod tests { use crate::a::Ay; }\n"),
        ];
        assert!(modules(&files).is_empty());
    }
}
