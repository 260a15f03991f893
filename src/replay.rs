//! `baton replay`: plays fixtures in virtual time, or over real sockets.

mod cost;
mod junit;
mod real;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use baton_sim::fixture::{self, Failure, Passed, Story};
use parking_lot::Mutex;

use real::Loopback;

/// `baton replay`
#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// Fixtures, or folders of them: every `*.call` below is played.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Over real loopback sockets and by the clock of this machine, instead of in virtual time; many stories at the same time.
    #[arg(long)]
    pub(crate) real: bool,
    /// How many stories play at the same time over real sockets; without it 16 for each processor.
    #[arg(long, value_name = "N", requires = "real")]
    pub(crate) at_once: Option<NonZeroUsize>,
    /// Stories that last longer than so many seconds are left out where real time goes by.
    #[arg(long, value_name = "SECONDS", requires = "real", default_value_t = 120)]
    pub(crate) longest: u64,
    /// Makes and hears every packet of sound, also where nothing can change.
    #[arg(long, conflicts_with = "real")]
    pub(crate) every_packet: bool,
    /// Also writes the results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Also says how many different roads were gone: pairs of what was published and what the caller heard.
    #[arg(long)]
    pub(crate) coverage: bool,
    /// Also says how much processor time a story took.
    #[arg(long)]
    pub(crate) cpu: bool,
}

/// The exit code where a fixture cannot be read.
const EXIT_UNREADABLE: u8 = 2;

/// The name of a fixture ends so.
const EXTENSION: &str = "call";

/// Folders are not looked into deeper than this.
const DEPTH_MAX: usize = 16;

/// How many stories play at the same time over real sockets on each processor: most of their time they wait.
const AT_ONCE_EACH: usize = 16;

/// What became of one story.
struct Played {
    name: String,
    took: Duration,
    /// The processor time of it.
    cpu: Duration,
    failure: Option<Box<Failure>>,
    /// Why it was played in virtual time only.
    apart: Option<String>,
    /// What was published, and what the caller heard, one after the other.
    road: Option<(Vec<String>, Vec<String>)>,
}

/// Plays everything and says what became of it.
pub(crate) fn run(args: ReplayArgs) -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "how long the plays take is measured by the clock of the machine")]
    let begun = Instant::now();
    let stories = match stories(&args.paths) {
        Ok(stories) => stories,
        Err(faults) => {
            faults.iter().for_each(|fault| eprintln!("{fault}"));
            return ExitCode::from(EXIT_UNREADABLE);
        }
    };
    let spent = cost::spent();
    fixture::make_ready();
    let shared = cost::spent().saturating_sub(spent);
    let by = if args.every_packet { fixture::play_throughout } else { fixture::play };
    let played: Vec<Played> =
        if args.real { play_really(&stories, &args) } else { stories.iter().map(|story| play(story, by)).collect() };
    let failed = played.iter().filter(|one| one.failure.is_some()).count();
    let apart = played.iter().filter(|one| one.apart.is_some()).count();
    let taken = played.len() - apart;
    let left_out = if apart > 0 { format!(", {apart} left out") } else { String::new() };
    say(&format!("{} of {taken} hold{left_out} ({:.1} s)", taken - failed, begun.elapsed().as_secs_f64()));
    if args.coverage {
        let roads: BTreeSet<_> = played.iter().filter_map(|one| one.road.as_ref()).collect();
        say(&format!("{} stories, {} distinct pairs of state path and scene path", played.len(), roads.len()));
    }
    if args.cpu {
        let costs: Vec<(&str, Duration)> =
            played.iter().filter(|one| one.apart.is_none()).map(|one| (one.name.as_str(), one.cpu)).collect();
        cost::summary(&costs, shared).iter().for_each(|line| say(line));
    }
    if let Some(file) = &args.junit
        && let Err(fault) = std::fs::write(file, junit::report(&played))
    {
        eprintln!("{}: {fault}", file.display());
        return ExitCode::from(EXIT_UNREADABLE);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays many stories at the same time, each on sockets of its own; real time goes by anyway. Before that each is played in virtual time, which takes
/// no time: what fails there need not be tried, and it says how long the story lasts. The longest begin first.
fn play_really(stories: &[Story], args: &ReplayArgs) -> Vec<Played> {
    let longest = Duration::from_secs(args.longest);
    let mut played: Vec<Option<Played>> = stories.iter().map(|_| None).collect();
    let mut wanted = Vec::new();
    for (place, story) in stories.iter().enumerate() {
        match fixture::play(story) {
            Ok(passed) => match why_apart(story, passed.lasted, longest) {
                Some(why) => played[place] = Some(leave_out(story, why)),
                None => wanted.push((passed.lasted, place)),
            },
            Err(failure) => played[place] = Some(play(story, |_| Err(failure.clone()))),
        }
    }
    wanted.sort_unstable_by_key(|(lasted, place)| (std::cmp::Reverse(*lasted), *place));
    let each = AT_ONCE_EACH * std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let at_once = args.at_once.map_or(each, NonZeroUsize::get);
    let next = AtomicUsize::new(0);
    let played = Mutex::new(played);
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(wanted.len()) {
            scope.spawn(|| {
                while let Some((_, place)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let one = play(&stories[*place], on_loopback);
                    played.lock()[*place] = Some(one);
                }
            });
        }
    });
    played.into_inner().into_iter().flatten().collect()
}

/// Why a story is not played where real time goes by; none: it is.
fn why_apart(story: &Story, lasted: Duration, longest: Duration) -> Option<String> {
    if lasted > longest {
        return Some(format!("lasts {} s, longer than {} s", lasted.as_secs(), longest.as_secs()));
    }
    story.only_virtual().map(str::to_owned)
}

fn leave_out(story: &Story, why: String) -> Played {
    say(&format!("apart {}: {why}", story.name));
    let name = story.name.clone();
    Played { name, took: Duration::ZERO, cpu: Duration::ZERO, failure: None, apart: Some(why), road: None }
}

fn on_loopback(story: &Story) -> Result<Passed, Box<Failure>> {
    match Loopback::open(baton_sim::BATON) {
        Ok(loopback) => fixture::play_really(story, Box::new(loopback)),
        Err(fault) => Err(Box::new(Failure {
            line: None,
            expected: "sockets on loopback".to_owned(),
            got: vec![fault.to_string()],
            ladder: String::new(),
        })),
    }
}

fn play(story: &Story, by: impl Fn(&Story) -> Result<Passed, Box<Failure>>) -> Played {
    #[expect(clippy::disallowed_methods, reason = "how long a play takes is measured by the clock of the machine")]
    let begun = Instant::now();
    let spent = cost::spent();
    let (road, failure) = match by(story) {
        Ok(passed) => (Some((passed.states, passed.heard)), None),
        Err(failure) => (None, Some(failure)),
    };
    let (took, cpu) = (begun.elapsed(), cost::spent().saturating_sub(spent));
    match &failure {
        None => say(&format!("ok    {}", story.name)),
        Some(failure) => say(&format!("FAIL  {}\n{failure}", story.name)),
    }
    Played { name: story.name.clone(), took, cpu, failure, apart: None, road }
}

/// Writes a line to stdout. A reader that has gone (`| head`) is no fault: the exit code tells the rest.
fn say(line: &str) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        tracing::debug!("nobody reads what is said");
    }
}

/// Every story of every fixture, in the order of the names; or everything that is wrong with them.
fn stories(paths: &[PathBuf]) -> Result<Vec<Story>, Vec<String>> {
    let (mut stories, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        match fixtures(path, 0) {
            Ok(files) if files.is_empty() => faults.push(format!("{}: no *.{EXTENSION} in it", path.display())),
            Ok(files) => files.iter().for_each(|file| match read(file) {
                Ok(read) => stories.extend(read),
                Err(fault) => faults.push(fault),
            }),
            Err(fault) => faults.push(format!("{}: {fault}", path.display())),
        }
    }
    if faults.is_empty() { Ok(stories) } else { Err(faults) }
}

fn fixtures(path: &Path, depth: usize) -> std::io::Result<Vec<PathBuf>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    if depth < DEPTH_MAX {
        for entry in std::fs::read_dir(path)? {
            let path = entry?.path();
            if path.is_dir() {
                found.extend(fixtures(&path, depth + 1)?);
            } else if path.extension().is_some_and(|extension| extension == EXTENSION) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn read(file: &Path) -> Result<Vec<Story>, String> {
    let text = std::fs::read_to_string(file).map_err(|fault| format!("{}: {fault}", file.display()))?;
    fixture::read(&file.display().to_string(), &text).map_err(|fault| format!("{}:{fault}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, text: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("baton-replay-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("one.call");
        std::fs::write(&file, text).unwrap();
        folder
    }

    fn args(path: &Path) -> ReplayArgs {
        let paths = vec![path.to_owned()];
        let (real, every_packet, coverage, cpu) = (false, false, false, false);
        ReplayArgs { paths, real, at_once: None, longest: 120, every_packet, junit: None, coverage, cpu }
    }

    const GOOD: &str = "in conversation\nai hangs up\ncaller <- BYE within 50ms\n";

    #[test]
    fn a_fixture_that_holds_is_told_from_one_that_fails_and_one_that_cannot_be_read() {
        for (name, text, code) in [
            ("good", GOOD.to_owned(), ExitCode::SUCCESS),
            ("wrong", GOOD.replace("BYE", "INFO"), ExitCode::FAILURE),
            ("unreadable", GOOD.replace("hangs up", "sings"), ExitCode::from(EXIT_UNREADABLE)),
        ] {
            let folder = written(name, &text);
            let junit = folder.join("junit.xml");
            let got = run(ReplayArgs { junit: Some(junit.clone()), coverage: true, cpu: true, ..args(&folder) });
            assert_eq!(format!("{got:?}"), format!("{code:?}"), "{name}");
            let report = std::fs::read_to_string(junit).unwrap_or_default();
            assert_eq!(report.contains("<failure"), name == "wrong", "{report}");
            std::fs::remove_dir_all(folder).unwrap();
        }
    }

    /// It holds in some 34 s of real time, which a transaction takes to end by itself; a message that never comes fails it at once.
    #[test]
    fn a_fixture_that_fails_in_virtual_time_fails_over_real_sockets_too() {
        let stories = fixture::read("wrong", &GOOD.replace("BYE within 50ms", "INFO within 50ms")).unwrap();
        let played = [play(&stories[0], on_loopback)];
        let failure = played[0].failure.as_ref().expect("no INFO comes");
        assert_eq!(failure.line, Some(3), "{failure}");
        assert!(failure.ladder.contains("BYE"), "{failure}");
    }

    /// What fails in virtual time, and what is left out, takes no real time.
    #[test]
    fn a_story_that_is_too_long_for_real_time_is_left_out_and_said_so() {
        let long = fixture::read("long", &GOOD.replace("ai hangs up", "wait 5m\nai hangs up")).unwrap();
        let wrong = fixture::read("wrong", &GOOD.replace("BYE", "INFO")).unwrap();
        let played = play_really(&[long, wrong].concat(), &args(Path::new("nothing")));
        let why = played[0].apart.as_deref().unwrap();
        assert!(why.starts_with("lasts 30") && why.ends_with(" s, longer than 120 s"), "{why}");
        assert!(played[0].failure.is_none() && played[1].apart.is_none() && played[1].failure.is_some());
        let report = junit::report(&played);
        assert!(report.contains("skipped=\"1\"") && report.contains("<skipped message=\"lasts 30"), "{report}");
    }

    #[test]
    fn a_path_that_is_not_there_and_a_folder_without_fixtures_cannot_be_read() {
        let empty = written("empty", GOOD);
        std::fs::remove_file(empty.join("one.call")).unwrap();
        for path in [empty.clone(), empty.join("nothing")] {
            assert!(stories(&[path]).is_err());
        }
        std::fs::remove_dir_all(empty).unwrap();
    }
}
