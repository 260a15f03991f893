//! Who may know whom: crates among each other, foreign crates behind their fences, and the names that a pure crate may not say.

use std::collections::BTreeMap;

use crate::lexer::{is_word, words};
use crate::tree::{Fault, File, fault_at};

/// Whom each crate may use; all may use `time`. docs/architecture.md says why.
const MAY_KNOW: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("contract", &[]),
    ("sip", &[]),
    ("media", &[]),
    ("transfer", &["contract"]),
    ("switchboard", &["contract", "media", "sip", "transfer"]),
    ("relay", &["media"]),
    ("store", &["contract"]),
    ("http", &["contract"]),
    ("party", &[]),
    ("sim", &["contract", "media", "party", "sip", "switchboard", "transfer"]),
    ("src", &["contract", "http", "media", "party", "relay", "sim", "sip", "store", "switchboard", "transfer"]),
];

/// Crates that are told the time and the bytes, and never look.
pub(crate) const PURE: &[&str] = &["time", "contract", "sip", "media", "transfer", "switchboard", "party", "sim"];

/// Foreign crates that may be named in some places only.
const FENCES: &[(&str, &[&str])] = &[
    ("axum", &["http"]),
    ("tower", &["http"]),
    ("sqlx", &["store"]),
    ("rsip", &["party", "sip"]),
    ("rtp_rs", &["media", "party"]),
    ("webrtc", &["door"]),
    ("tokio", &["src", "store", "http"]),
    ("tokio_stream", &["src", "http"]),
    ("hyper", &["src", "http"]),
    ("hyper_util", &["src", "http"]),
    ("http_body_util", &["src"]),
    ("hickory_resolver", &["src"]),
    ("tokio_rustls", &["src"]),
    ("rustls_native_certs", &["src"]),
    ("mio", &["relay", "src"]),
    ("rmp_serde", &["src"]),
    ("rustix", &["relay", "src"]),
    ("thread_priority", &["relay", "src"]),
    ("nix", &["src"]),
    ("parking_lot", &["relay", "store", "http", "src"]),
    ("sdp_types", &["media"]),
    ("icalendar", &["transfer"]),
    ("toml_edit", &["src"]),
    ("clap", &["src"]),
    ("anyhow", &["src"]),
    ("hound", &["src"]),
    ("sd_notify", &["src"]),
    ("tracing_subscriber", &["src"]),
];

/// Crates of the product whose code the other side of a demo must not share.
const NOT_IN_DEMO: &[&str] = &["baton_sip", "baton_switchboard", "baton_transfer", "baton_relay", "baton_sim"];

/// What a pure crate may not say outside its tests.
const NOT_PURE: &[(&str, &str)] = &[
    ("Instant", "looks at a clock"),
    ("SystemTime", "looks at a clock"),
    ("UdpSocket", "owns a socket"),
    ("TcpStream", "owns a socket"),
    ("TcpListener", "owns a socket"),
    ("UnixStream", "owns a socket"),
    ("UnixDatagram", "owns a socket"),
    ("Mutex", "takes a lock"),
    ("RwLock", "takes a lock"),
    ("Condvar", "takes a lock"),
    ("mpsc", "owns a channel between threads"),
    ("spawn", "starts a thread or a task"),
    ("getrandom", "draws from the machine"),
    ("OsRng", "draws from the machine"),
    ("thread_rng", "draws from the machine"),
    ("new_v4", "draws from the machine"),
    ("now_v7", "looks at a clock"),
    ("println", "writes to the outside"),
    ("eprintln", "writes to the outside"),
    ("HashMap", "has no order; take BTreeMap"),
    ("HashSet", "has no order; take BTreeSet"),
];

/// Paths that a pure crate may not name outside its tests.
const NOT_PURE_PATHS: &[(&str, &str)] = &[
    ("std::thread", "starts a thread"),
    ("std::fs", "reads the disk"),
    ("std::env", "reads the environment"),
    ("std::process", "touches processes"),
    ("std::io::stdin", "reads from the outside"),
    ("Timestamp::now", "looks at a clock"),
    ("Zoned::now", "looks at a clock"),
    ("TimeZone::system", "reads the machine's time zone"),
];

/// Workspaces of their own: rivals to measure against, targets for a fuzzer. No code of the product is in them, and the product cannot name
/// them.
const APART: &[&str] = &["crates/sip/rivals/", "fuzz/"];

fn is_apart(path: &str) -> bool {
    APART.iter().any(|folder| path.starts_with(folder))
}

/// Faults in the source: crates named where they may not be.
pub(crate) fn sources(files: &[File]) -> Vec<Fault> {
    let of_the_product = |file: &&File| file.is_rust() && !file.path.starts_with("tests/") && !is_apart(&file.path);
    files.iter().filter(of_the_product).flat_map(source).collect()
}

fn source(file: &File) -> Vec<Fault> {
    let home = file.home();
    let mut faults = Vec::new();
    for (at, word) in words(&file.code) {
        let other = word.strip_prefix("baton_").filter(|other| is_crate(other) && *other != home);
        if let Some(other) = other.filter(|other| !may_know(home, other)) {
            faults.push(file.fault(at, format!("{home} may not know {other}")));
        }
        if let Some(fault) = fence_of(word).and_then(|fence| beyond_fence(file, at, word, fence)) {
            faults.push(fault);
        }
        if file.path.starts_with("src/demo") && NOT_IN_DEMO.contains(&word) {
            faults.push(file.fault(at, format!("the demo's parties share no code with the product: {word} is not for them")));
        }
    }
    faults
}

fn beyond_fence(file: &File, at: usize, word: &str, homes: &[&str]) -> Option<Fault> {
    let is_path = file.code[at + word.len()..].starts_with("::");
    let before = file.code[..at].trim_end();
    let is_import = (before.ends_with("use") || before.ends_with("extern crate")) && !before.ends_with("::");
    let is_rooted = before.strip_suffix("::").is_some_and(|road| !road.ends_with(|c: char| is_word(c) || c == '>'));
    let is_inner = (before.ends_with("::") && !is_rooted) || before.ends_with('.');
    let is_attribute = file.code[..at].ends_with("#[");
    let names_it = !is_inner && (is_path || is_import || is_attribute);
    let rsip_in_sip = word == "rsip" && file.home() == "sip" && !file.path.contains("interop");
    let allowed = homes.contains(&file.home()) && !rsip_in_sip;
    (names_it && !allowed).then(|| file.fault(at, format!("{word} may be named in {} only", homes.join(", "))))
}

/// Faults of pure crates: names that look at, wait for or change the world.
pub(crate) fn purity(files: &[File]) -> Vec<Fault> {
    files
        .iter()
        .filter(|file| file.is_rust() && file.path.starts_with("crates/") && PURE.contains(&file.home()) && !is_apart(&file.path))
        .flat_map(pure)
        .collect()
}

fn pure(file: &File) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (at, word) in words(&file.code) {
        let verdict = NOT_PURE.iter().find(|(name, _)| *name == word).filter(|_| !file.is_test(at));
        let waits = matches!(word, "sleep" | "sleep_until" | "park_timeout");
        if let Some((name, why)) = verdict {
            faults.push(file.fault(at, format!("{} is told, it never looks: {name} {why}", file.home())));
        } else if waits {
            faults.push(file.fault(at, format!("{} never waits: {word}; virtual time jumps", file.home())));
        }
    }
    for (path, why) in NOT_PURE_PATHS {
        for (at, _) in file.code.match_indices(path).filter(|(at, _)| !file.is_test(*at)) {
            faults.push(file.fault(at, format!("{} is told, it never looks: {path} {why}", file.home())));
        }
    }
    faults
}

/// Faults in the manifests: dependencies that the table does not have.
pub(crate) fn manifests(files: &[File]) -> Vec<Fault> {
    manifests_of(files).flat_map(|(home, file)| manifest(home, file)).collect()
}

fn manifests_of(files: &[File]) -> impl Iterator<Item = (&str, &File)> {
    files.iter().filter(|file| file.path == "Cargo.toml" || is_crate_manifest(&file.path)).map(|file| (file.home(), file))
}

fn is_crate_manifest(path: &str) -> bool {
    path.strip_prefix("crates/").is_some_and(|rest| rest.ends_with("/Cargo.toml") && rest.matches('/').count() == 1)
}

fn manifest(home: &str, file: &File) -> Vec<Fault> {
    let mut faults = Vec::new();
    if home != "src" && !MAY_KNOW.iter().any(|(name, _)| *name == home) {
        faults.push(fault_at(&file.path, 1, format!("the table of who may know whom has no row for {home}")));
    }
    for dependency in dependencies(&file.text) {
        let name = dependency.name.replace('-', "_");
        let other = name.strip_prefix("baton_").filter(|other| is_crate(other));
        if let Some(other) = other.filter(|other| !may_know(home, other) && !dependency.for_tests) {
            faults.push(fault_at(&file.path, dependency.line, format!("{home} may not know {other}")));
        }
        let fence = fence_of(&name);
        if let Some(homes) = fence.filter(|homes| !homes.contains(&home) && !dependency.for_tests) {
            faults.push(fault_at(
                &file.path,
                dependency.line,
                format!("{} may be named in {} only", dependency.name, homes.join(", ")),
            ));
        }
        if name == "rsip" && home == "sip" && !dependency.is_optional {
            faults.push(fault_at(
                &file.path,
                dependency.line,
                "sip takes rsip only behind its feature rsip-interop: optional = true",
            ));
        }
    }
    faults
}

/// Faults: crates that depend on each other in a circle.
pub(crate) fn crate_circles(files: &[File]) -> Vec<Fault> {
    let mut uses: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (home, file) in manifests_of(files) {
        let others = dependencies(&file.text).into_iter().filter(|dependency| !dependency.for_tests);
        let others = others.filter_map(|dependency| dependency.name.strip_prefix("baton-").map(str::to_owned));
        uses.insert(home.to_owned(), others.collect());
    }
    crate::circles::first_circle(&uses)
        .map(|circle| {
            fault_at(&format!("crates/{}/Cargo.toml", circle[0]), 1, format!("crates in a circle: {}", circle.join(" -> ")))
        })
        .into_iter()
        .collect()
}

struct Dependency {
    name: String,
    line: usize,
    for_tests: bool,
    is_optional: bool,
}

/// Entries of `[dependencies]`, `[dev-dependencies]` and their per-target kin.
fn dependencies(toml: &str) -> Vec<Dependency> {
    let mut found = Vec::new();
    let mut section = None;
    for (index, line) in toml.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let kind = header.rsplit('.').next().unwrap_or(header);
            let is_table_of_all = header.starts_with("workspace.");
            section = (kind.ends_with("dependencies") && !is_table_of_all).then(|| kind.starts_with("dev-"));
        } else if let (Some(for_tests), Some((key, value))) = (section, line.split_once('=')) {
            let name = key.trim().split('.').next().unwrap_or_default().trim_matches('"');
            if !name.starts_with('#') {
                let is_optional = value.replace(' ', "").contains("optional=true");
                found.push(Dependency { name: name.to_owned(), line: index + 1, for_tests, is_optional });
            }
        }
    }
    found
}

fn fence_of(name: &str) -> Option<&'static [&'static str]> {
    FENCES.iter().find(|(fenced, _)| *fenced == name).map(|(_, homes)| *homes)
}

fn is_crate(name: &str) -> bool {
    MAY_KNOW.iter().any(|(known, _)| *known == name)
}

fn may_know(home: &str, other: &str) -> bool {
    other == "time" || MAY_KNOW.iter().any(|(name, others)| *name == home && others.contains(&other))
}

#[cfg(test)]
mod bad_samples {
    use super::*;

    fn lines(faults: &[Fault]) -> Vec<String> {
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_apart_is_no_member_of_the_workspace_and_all_else_is_looked_at() {
        let manifest = include_str!("../../Cargo.toml");
        let excluded = manifest.lines().find(|line| line.starts_with("exclude")).unwrap_or_default();
        assert!(APART.iter().all(|folder| excluded.contains(folder.trim_end_matches('/'))), "{excluded}");
        assert_eq!(excluded.matches('"').count(), 2 * APART.len(), "{excluded}");
        let found = |path: &str| sources(&[File::new(path, "use tokio::net;\n")]).len();
        assert_eq!((found("crates/sip/rivals/src/main.rs"), found("crates/sip/src/ua.rs")), (0, 1));
    }

    #[test]
    fn a_crate_that_names_a_stranger_is_caught() {
        let file = File::new("crates/sip/src/lib.rs", "use baton_time::Now;\nuse baton_transfer::Transfer;\n");
        assert_eq!(lines(&source(&file)), ["crates/sip/src/lib.rs:2: sip may not know transfer"]);
    }

    #[test]
    fn a_foreign_crate_beyond_its_fence_is_caught() {
        for (path, text) in [
            ("src/main.rs", "use axum::Router;\n"),
            ("crates/media/src/lib.rs", "fn f() { tokio::spawn(x); }\n"),
            ("crates/http/src/lib.rs", "use sqlx;\n"),
            ("crates/sip/src/wire/uri.rs", "use rsip::Uri;\n"),
            ("src/engine.rs", "use ::rtp_rs::Seq;\n"),
            ("crates/party/src/lib.rs", "#[tokio::test]\nasync fn f() {}\n"),
        ] {
            assert_eq!(source(&File::new(path, text)).len(), 1, "{path}: {text}");
        }
        for (path, text) in [
            ("crates/http/src/lib.rs", "use axum::Router;\n"),
            ("crates/sip/src/rsip_interop.rs", "use rsip::Uri;\n"),
            ("crates/media/src/sdp.rs", "// axum::Router\nlet s = \"tokio::spawn\"; self.tokio.x(); let mio = 1;\n"),
        ] {
            assert_eq!(lines(&source(&File::new(path, text))), [""; 0], "{path}: {text}");
        }
    }

    #[test]
    fn a_demo_that_shares_the_products_code_is_caught() {
        let file = File::new("src/demo/story.rs", "use baton_sip::wire::Uri;\n");
        assert_eq!(source(&file).len(), 1);
    }

    #[test]
    fn a_pure_crate_that_looks_is_caught() {
        for text in [
            "use std::time::Instant;\n",
            "fn f() { std::thread::yield_now() }\n",
            "use std::sync::Mutex;\n",
            "fn f() -> jiff::Timestamp { jiff::Timestamp::now() }\n",
            "use std::collections::HashMap;\n",
            "#[cfg(test)]\nmod tests { fn f() { sleep(1) } }\n",
        ] {
            assert_eq!(pure(&File::new("crates/transfer/src/a.rs", text)).len(), 1, "{text}");
        }
        let told = "// Instant\nstruct InstantLike;\n#[cfg(test)]\nmod tests { use std::time::Instant; }\n";
        assert_eq!(lines(&pure(&File::new("crates/transfer/src/a.rs", told))), [""; 0]);
    }

    #[test]
    fn a_manifest_with_a_forbidden_dependency_is_caught() {
        let text = "[package]\nname = \"baton-sip\"\n[dependencies]\nbaton-time.workspace = true\nbaton-media.workspace = true\ntokio = { version = \"1\" }\nrsip.workspace = true\n[dev-dependencies]\nbaton-party.workspace = true\n";
        let file = File::new("crates/sip/Cargo.toml", text);
        assert_eq!(
            lines(&manifest("sip", &file)),
            [
                "crates/sip/Cargo.toml:5: sip may not know media",
                "crates/sip/Cargo.toml:6: tokio may be named in src, store, http only",
                "crates/sip/Cargo.toml:7: sip takes rsip only behind its feature rsip-interop: optional = true",
            ]
        );
        let stranger = File::new("crates/oracle/Cargo.toml", "[dependencies]\n");
        assert_eq!(manifest("oracle", &stranger).len(), 1);
    }

    #[test]
    fn crates_in_a_circle_are_caught() {
        let files = [
            File::new("crates/sip/Cargo.toml", "[dependencies]\nbaton-media.workspace = true\n"),
            File::new("crates/media/Cargo.toml", "[dependencies]\nbaton-sip.workspace = true\n"),
        ];
        assert_eq!(crate_circles(&files).len(), 1);
        assert!(crate_circles(&files[..1]).is_empty());
    }
}
