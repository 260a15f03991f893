//! One run, from the first port to the last file.

use std::fs;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use baton_party::Record;
use baton_time::Now;
use parking_lot::Mutex;

use super::DemoArgs;
use super::cast::{Cast, Phones, Role, lines};
use super::checks::{self, Finding};
use super::conductor::{Conductor, Notebook, SeenEvent};
use super::daemon::{Addresses, Daemon, DaemonError, configuration};
use super::evidence::{Evidence, Part, united};
use super::progress::Progress;
use super::report::Outcome;
use super::stage::{News, Performance, QUEUE, Stage};
use super::story::Story;
use super::witness::Witness;
use super::{page, pcapng, report, wav};
use crate::clock::Clock;

/// Why there was no performance at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// `--story` names none.
    #[error("there is no story {name:?}; there are {known}")]
    UnknownStory {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A file cannot be written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A socket or a thread could not be had.
    #[error("{what}: {source}")]
    Machine {
        /// What was wanted.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The daemon did not come up.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
}

fn machine(what: &'static str) -> impl Fn(io::Error) -> RunError {
    move |source| RunError::Machine { what, source }
}

/// With a broken daemon nobody is listened to with pleasure: people say so much of each line, 0.6 s.
const BRIEF_SAMPLES: usize = 4_800;

/// Everything that one run knows from the beginning.
struct Setting {
    clock: Clock,
    stories: Vec<Story>,
    directory: PathBuf,
}

/// Runs the stories; `true` if every check held.
pub(crate) fn run(args: &DemoArgs) -> Result<bool, RunError> {
    let stories = chosen(&args.story)?;
    let clock = Clock::start();
    let setting = Setting { clock, stories, directory: prepare(&args.out)? };
    let mut cast = Cast::bind().map_err(machine("the parties' sockets"))?;
    let phones = Phones::bind(&mut cast, &setting.stories).map_err(machine("the parties' sockets"))?;
    let at = Addresses::find(phones.ai, phones.carrier)?;
    let text = configuration(&at, &setting.directory, &setting.stories, |id| phones.of(id));
    write(&setting.directory.join("baton.toml"), text.as_bytes())?;
    let sabotage = args.sabotage.map(|sabotage| sabotage.name());
    let samples_max = sabotage.map_or(usize::MAX, |_| BRIEF_SAMPLES);
    let (spoken, daemon) = thread::scope(|scope| {
        let spoken = scope.spawn(|| lines(&setting.stories, samples_max)); // while the daemon starts
        let daemon = Daemon::start(&setting.directory, at.http, sabotage, clock);
        (spoken.join().unwrap_or_default(), daemon)
    });
    let mut daemon = daemon?;
    let start = clock.now();
    let progress = Progress::new(&setting.stories, args.json, start.mono);
    let played = phones
        .seat(&mut cast, &setting.stories, at.sip, &spoken, start)
        .map_err(machine("the parties' sockets"))
        .and_then(|()| play(&setting, start, cast, &daemon, progress));
    if !args.serve || played.is_err() {
        daemon.stop(clock);
    }
    let outcomes = write_down(&setting, start, played?)?;
    let ok = outcomes.iter().all(Outcome::ok);
    if args.json {
        println!("{}", report::json(&outcomes));
    } else {
        print!("{}", report::table(&outcomes, &args.out, sabotage));
    }
    if args.serve {
        eprint!("{}", report::how_to_call(&at, daemon.id(), &setting.stories, &setting.directory));
    }
    Ok(ok)
}

fn chosen(names: &[String]) -> Result<Vec<Story>, RunError> {
    let all = Story::all();
    if let Some(name) = names.iter().find(|name| all.iter().all(|story| story.name != name.as_str())) {
        let known = all.iter().map(|story| story.name).collect::<Vec<_>>().join(", ");
        return Err(RunError::UnknownStory { name: name.clone(), known });
    }
    Ok(all.into_iter().filter(|story| names.is_empty() || names.iter().any(|name| name == story.name)).collect())
}

/// Makes the folder, and takes away what an earlier run's daemon stored there.
fn prepare(out: &Path) -> Result<PathBuf, RunError> {
    let file = |source| RunError::File { path: out.to_owned(), source };
    fs::create_dir_all(out).map_err(file)?;
    let directory = out.canonicalize().map_err(file)?;
    for stale in ["baton.db", "baton.db-wal", "baton.db-shm", "callback.ics"] {
        let path = directory.join(stale);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(RunError::File { path, source }),
        }
    }
    Ok(directory)
}

/// The event stream, for whoever wants to close it.
type Closer = Arc<Mutex<Option<TcpStream>>>;

/// What comes back from the stage, the conductors and the event stream.
struct Played {
    performance: Performance,
    books: Vec<Notebook>,
    events: Vec<String>,
}

fn play(setting: &Setting, start: Now, cast: Cast, daemon: &Daemon, progress: Progress) -> Result<Played, RunError> {
    let (senders, readers): (Vec<SyncSender<News>>, Vec<Receiver<News>>) =
        setting.stories.iter().map(|_| sync_channel(QUEUE)).unzip();
    let events = Arc::new(Mutex::new(Vec::new()));
    let stream = follow(start, daemon, senders.clone(), Arc::clone(&events))?;
    let witness = Witness::watch(setting.clock, daemon.id());
    let (stage, prompter) = Stage::new(setting.clock, cast, senders).map_err(machine("the stage"))?;
    let progress = Mutex::new(progress);
    let (performance, books) = thread::scope(|scope| {
        let conductors: Vec<_> = readers
            .into_iter()
            .enumerate()
            .map(|(index, news)| {
                let conductor =
                    Conductor::new(index, setting.stories[index].clone(), daemon.api, prompter.clone(), setting.clock);
                let progress = &progress;
                let clock = setting.clock;
                scope.spawn(move || conductor.conduct(&news, |news| progress.lock().see(index, news, clock.now().mono)))
            })
            .collect();
        let stage = scope.spawn(move || stage.play());
        let performance = stage.join().map_err(|_| io::Error::other("it broke down"));
        let books: Vec<Notebook> = conductors.into_iter().map(|conductor| conductor.join().unwrap_or_default()).collect();
        (performance, books)
    });
    progress.into_inner().finish();
    if let Some(stream) = stream.lock().take()
        && let Err(error) = stream.shutdown(Shutdown::Both)
    {
        tracing::debug!(%error, "the event stream was closed already");
    }
    let events = std::mem::take(&mut *events.lock());
    let mut performance = performance.map_err(machine("the stage"))?;
    performance.stalls.extend(witness.map(Witness::testify).unwrap_or_default());
    Ok(Played { performance, books, events })
}

/// Follows the daemon's events on a thread of its own, which ends when the stream is closed by the handle that comes back.
fn follow(
    start: Now,
    daemon: &Daemon,
    readers: Vec<SyncSender<News>>,
    kept: Arc<Mutex<Vec<String>>>,
) -> Result<Closer, RunError> {
    let api = daemon.api;
    let each = move |line: &str| {
        if let Some(event) = SeenEvent::read(line, start).map(Arc::new) {
            kept.lock().push(line.to_owned());
            for reader in &readers {
                if reader.try_send(News::Event(Arc::clone(&event))).is_err() {
                    tracing::trace!("a story is over already");
                }
            }
        }
        true
    };
    let closer = Closer::default();
    let (opened, told) = sync_channel(1);
    let handle = Arc::clone(&closer);
    let open = move |stream| {
        *handle.lock() = Some(stream);
        if opened.send(()).is_err() {
            tracing::debug!("the event stream was open too late");
        }
    };
    let work = move || {
        if let Err(error) = api.follow_until_closed("/v1/events", open, each) {
            tracing::debug!(%error, "the event stream has ended");
        }
    };
    thread::Builder::new().name("events".to_owned()).spawn(work).map_err(machine("a thread for the events"))?;
    match told.recv_timeout(Duration::from_secs(2)) {
        Ok(()) => Ok(closer),
        Err(_) => Err(machine("the daemon's events")(io::ErrorKind::TimedOut.into())),
    }
}

/// Runs the checks and writes every file.
fn write_down(setting: &Setting, start: Now, played: Played) -> Result<Vec<Outcome>, RunError> {
    let Played { performance, books, events } = played;
    let directory = &setting.directory;
    let capture = pcapng::write(performance.records.iter().map(|(_, _, record)| record), start);
    write(&directory.join("demo.pcapng"), &capture)?;
    write(&directory.join("events.jsonl"), events.iter().map(|line| format!("{line}\n")).collect::<String>().as_bytes())?;
    let mut parts: Vec<Vec<(Role, Record)>> = setting.stories.iter().map(|_| Vec::new()).collect();
    for (story, role, record) in performance.records {
        parts[story].push((role, record));
    }
    let evidence: Vec<Evidence> = thread::scope(|scope| {
        let work = setting.stories.iter().zip(parts).zip(books).map(|((story, parts), book)| {
            let stalls = united(performance.stalls.clone());
            scope.spawn(move || {
                let parts = parts.into_iter().map(|(role, record)| Part::new(role, record)).collect();
                Evidence { story: story.clone(), parts, book, stalls }
            })
        });
        let work: Vec<_> = work.collect();
        work.into_iter().filter_map(|work| work.join().ok()).collect()
    });
    let findings: Vec<Vec<Finding>> = thread::scope(|scope| {
        let work: Vec<_> = evidence.iter().map(|evidence| scope.spawn(|| checks::run(evidence))).collect();
        work.into_iter().map(|work| work.join().unwrap_or_default()).collect()
    });
    for evidence in &evidence {
        write_recordings(directory, evidence)?;
    }
    if let Some((_, calendar)) = evidence.iter().find_map(|evidence| evidence.book.calendar.as_ref()) {
        write(&directory.join("callback.ics"), calendar.as_bytes())?;
    }
    let outcomes: Vec<Outcome> =
        evidence.iter().zip(findings).map(|(evidence, findings)| Outcome::of(evidence, findings)).collect();
    write(&directory.join("index.html"), page::render(&evidence, &outcomes, start).as_bytes())?;
    Ok(outcomes)
}

fn write_recordings(directory: &Path, evidence: &Evidence) -> Result<(), RunError> {
    let folder = directory.join(evidence.story.name);
    fs::create_dir_all(&folder).map_err(|source| RunError::File { path: folder.clone(), source })?;
    for part in &evidence.parts {
        write(&folder.join(format!("{}.wav", part.role.file_name())), &wav::stereo(&part.record))?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    fs::write(path, bytes).map_err(|source| RunError::File { path: path.to_owned(), source })
}
