//! What is written for people and machines beside the code agrees with it.

use std::fs;
use std::path::Path;

use crate::scratch::Scratch;

fn paper(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

/// The first fenced block of a kind in a Markdown text.
fn block<'t>(text: &'t str, kind: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("```{kind}\n")).unwrap_or_else(|| panic!("no block of {kind}"));
    rest.split_once("```").expect("a block ends").0
}

#[test]
fn the_readme_has_a_right_configuration_of_25_lines() {
    let readme = paper("README.md");
    let configuration = block(&readme, "toml");
    assert_eq!(configuration.lines().count(), 25);
    let scratch = Scratch::new();
    scratch.write("baton.toml", configuration);
    let ended = scratch.run(&["check", "baton.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn the_readme_begins_with_the_demo_and_the_tests() {
    let readme = paper("README.md");
    let commands: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("$ ")).take(2).collect();
    assert_eq!(commands, ["cargo run --release -- demo", "cargo test --workspace"]);
}

/// Every text for people, as a path from the root.
fn papers() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut folders) = (vec!["CHANGELOG.md".to_owned(), "README.md".to_owned()], vec!["docs".to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder)).unwrap_or_else(|fault| panic!("{folder}: {fault}")) {
            let entry = entry.expect("an entry of a folder");
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            match entry.path() {
                within if within.is_dir() => folders.push(path),
                _ if path.ends_with(".md") => found.push(path),
                _ => {}
            }
        }
    }
    found
}

/// What a link to a heading ends with; nothing for other lines.
fn anchor(line: &str) -> String {
    let Some(title) = line.strip_prefix('#').map(|rest| rest.trim_start_matches('#').trim()) else { return String::new() };
    let kept = title.chars().filter(|sign| sign.is_alphanumeric() || [' ', '-', '_'].contains(sign));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn links_between_papers_lead_somewhere() {
    let papers = papers();
    assert!(papers.len() > 30, "{papers:?}");
    for from in &papers {
        let text = paper(from);
        let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let (file, heading) = target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(file);
            assert!(path.exists(), "{from} leads to {target}, which is not there");
            let has = |heading| fs::read_to_string(&path).is_ok_and(|text| text.lines().any(|line| anchor(line) == heading));
            assert!(heading.is_none_or(has), "{from} leads to {target}: there is no such heading");
        }
    }
}

#[test]
fn recipes_have_configurations_that_are_taken() {
    let recipes: Vec<String> = papers().into_iter().filter(|path| path.starts_with("docs/recipes/")).collect();
    let whole = |text: &String| text.contains("```toml\n") && block(text, "toml").contains("[sip]");
    let texts: Vec<(String, String)> =
        recipes.into_iter().map(|name| (paper(&name), name)).filter(|(text, _)| whole(text)).collect();
    assert!(texts.len() >= 4, "{}", texts.len());
    for (recipe, name) in texts {
        let scratch = Scratch::new();
        scratch.write("baton.toml", &block(&recipe, "toml").replace("${PASSWORD}", "s3cret"));
        let ended = scratch.run(&["check", "baton.toml"]);
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
    }
}

#[test]
fn the_documented_metrics_are_the_ones_that_are_shown() {
    let documented = paper("docs/operate/metrics.md");
    let shown = paper("src/metrics.rs");
    let names = |text: &str| -> std::collections::BTreeSet<String> {
        let pieces = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        pieces.filter(|piece| piece.starts_with("baton_") && !piece.starts_with("baton_contract")).map(str::to_owned).collect()
    };
    for name in names(&documented).iter().filter(|name| !name.ends_with("_bucket")) {
        assert!(names(&shown).contains(name), "{name} is documented and never shown");
    }
}

#[test]
fn the_unit_calls_commands_that_exist() {
    let unit = paper("deploy/baton.service");
    let scratch = Scratch::new();
    for line in unit.lines().filter_map(|line| line.strip_prefix("ExecStart").and_then(|rest| rest.split_once('='))) {
        let words: Vec<&str> = line.1.split(' ').collect();
        assert_eq!(words.first(), Some(&"/usr/bin/baton"));
        let shown = scratch.run(&[words.get(1).expect("a command"), "--help"]);
        assert_eq!(shown.code, Some(0), "{line:?}: {shown:?}");
        assert!(words.iter().filter(|word| word.starts_with("--")).all(|flag| shown.out.contains(flag)), "{line:?}: {shown:?}");
    }
}
