//! A folder of its own for each test, the binary to run in it, and ports that nobody uses.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The time: these tests look from outside.
#[expect(clippy::disallowed_methods, reason = "who looks from outside has a clock of their own")]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// A file system in memory: a daemon whose disk stands still for a quarter of a second refuses calls, and a disk does that after a long build.
const MEMORY: &str = "/dev/shm";
/// What a test may leave there, in bytes: the demo's recordings take 75 MB.
const ROOM: u64 = 256 << 20;

/// Where folders for tests are made: in memory where that has room, else where temporary files go.
fn fast_folder() -> PathBuf {
    let has_room = rustix::fs::statvfs(MEMORY).is_ok_and(|found| found.f_bavail * found.f_frsize >= ROOM);
    if has_room { PathBuf::from(MEMORY) } else { std::env::temp_dir() }
}

/// Who runs daemons shares the machine with others of that kind, but not with one who measures.
static MACHINE: RwLock<()> = parking_lot::const_rwlock(());

/// The machine for one test alone: no other has a folder, and so a daemon, meanwhile.
pub(crate) struct Alone(#[expect(dead_code, reason = "it is held, not read")] RwLockWriteGuard<'static, ()>);

impl Alone {
    pub(crate) fn wait() -> Alone {
        Alone(MACHINE.write())
    }

    /// One of the folders of the test that is alone.
    pub(crate) fn scratch(&self) -> Scratch {
        Scratch { path: new_folder(), _beside_others: None }
    }
}

/// A folder that is gone when the test is over.
pub(crate) struct Scratch {
    path: PathBuf,
    _beside_others: Option<RwLockReadGuard<'static, ()>>,
}

fn new_folder() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("baton-it-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let path = fast_folder().join(name);
    fs::create_dir_all(&path).expect("a folder for the test");
    path
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        Scratch { _beside_others: Some(MACHINE.read_recursive()), path: new_folder() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file and gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, text).expect("a file for the test");
        path
    }

    /// `baton` in this folder, with nobody at its standard input.
    pub(crate) fn baton(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
        command.current_dir(&self.path).stdin(Stdio::null()).env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
        command
    }

    /// Runs `baton` to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::from(self.baton().args(arguments).output().expect("the binary runs"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.path).ok();
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// A configuration on ports that were free a moment ago.
pub(crate) struct Ports {
    pub(crate) sip: u16,
    pub(crate) http: u16,
    media: u16,
}

impl Ports {
    /// A block that no other test has; below the ports that the system gives to whoever asks for any.
    pub(crate) fn free() -> Ports {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        loop {
            let block = (std::process::id() * 16 + NUMBER.fetch_add(1, Ordering::Relaxed)) % 400;
            let media = 22_000 + u16::try_from(block).expect("fewer than 400") * 20;
            let (sip, http) = (media + 16, media + 17);
            if [media, sip, http].into_iter().all(is_free) {
                break Ports { sip, http, media };
            }
        }
    }

    /// A whole configuration; `store` is the store's URL.
    pub(crate) fn configuration(&self, store: &str) -> String {
        let Ports { sip, http, media } = self;
        let media_end = media + 15;
        format!(
            "[sip]\nlisten = [\"udp:127.0.0.1:{sip}\", \"tcp:127.0.0.1:{sip}\"]\n[media]\nports = \"{media}-{media_end}\"\n\
             [http]\nlisten = \"127.0.0.1:{http}\"\n[store]\nurl = \"{store}\"\n\
             [[trunk]]\nname = \"carrier\"\nuri = \"sip:127.0.0.1:9\"\n[[ai]]\nname = \"agent\"\nuri = \"sip:ai@127.0.0.1:9\"\n\
             [[route]]\nai = \"agent\"\n[[ae]]\nid = \"michael\"\nuri = \"sip:michael@127.0.0.1:9\"\n"
        )
    }
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
