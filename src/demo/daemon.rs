//! The daemon under test: its configuration, and the child process that runs it.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::story::Story;
use crate::client::Api;
use crate::clock::Clock;

/// How long the daemon may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How long it may take to stop.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);
/// RTP ports given to it, two for each leg; it binds a stock of them ahead of use.
const RTP_PORTS: u16 = 1_000;
/// The name under which the child is told what to break.
pub(crate) const SELF_TEST: &str = "BATON_SELF_TEST";

/// Why there is no daemon.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    /// A file, a port or the process could not be had.
    #[error("{what}: {source}")]
    Io {
        /// What was wanted.
        what: String,
        /// What happened.
        source: io::Error,
    },
    /// The process ended before it was ready.
    #[error("the daemon ended at once ({status}); it says:\n{log}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// It runs, but is not ready.
    #[error("the daemon was not ready within 10 s; it says:\n{log}")]
    NotReady {
        /// The end of its log.
        log: String,
    },
}

/// The addresses of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    /// The daemon's SIP.
    pub(crate) sip: SocketAddr,
    /// The daemon's HTTP.
    pub(crate) http: SocketAddr,
    /// First of the daemon's RTP ports.
    pub(crate) rtp_first: u16,
    /// The AI's SIP.
    pub(crate) ai: SocketAddr,
    /// The carrier's SIP.
    pub(crate) carrier: SocketAddr,
}

impl Addresses {
    /// Finds ports that are free on loopback; those of `ai` and `carrier` are taken already.
    pub(crate) fn find(ai: SocketAddr, carrier: SocketAddr) -> Result<Addresses, DaemonError> {
        let io = |source| DaemonError::Io { what: "no free port on 127.0.0.1".to_owned(), source };
        let sip = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr()).map_err(io)?;
        let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr()).map_err(io)?;
        let rtp_first = free_ports(RTP_PORTS).map_err(io)?;
        Ok(Addresses { sip, http, rtp_first, ai, carrier })
    }
}

/// The first of so many UDP ports in a row that are free on loopback, at most 4,000; each process begins to look at another place.
pub(crate) fn free_ports(count: u16) -> io::Result<u16> {
    const FIRST: u16 = 20_000;
    const SPAN: u16 = 8_000;
    let places = (SPAN / count).max(1);
    let start = (std::process::id() % u32::from(places)) as u16;
    let firsts = (0..places).map(|step| FIRST + (start + step) % places * count);
    let all_free = |first: &u16| (*first..*first + count).all(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    firsts.into_iter().find(all_free).ok_or_else(|| io::ErrorKind::AddrInUse.into())
}

/// Writes the configuration of a run: everything that the stories need, and nothing that a user could not write.
/// `phones` names each AE's SIP address by the AE's id.
pub(crate) fn configuration(at: &Addresses, directory: &Path, stories: &[Story], phone: impl Fn(&str) -> SocketAddr) -> String {
    let mut text = format!(
        "# Written by `baton demo`. Run it again with `baton serve --config` and this file.\n\
         [node]\nname = \"baton-demo\"\n\n\
         [sip]\nlisten = [\"udp:{}\"]\n\n\
         [media]\naddress = \"127.0.0.1\"\nports = \"{}-{}\"\n\n\
         [http]\nlisten = \"{}\"\npublic_url = \"http://{}\"\n\n\
         [store]\nurl = {}\n\n\
         # Messages that callers leave.\n\
         [recording]\ndir = {}\n\n\
         # The demo runs at any hour.\n\
         [callback]\nwindow = \"00:00-24:00\"\n\n\
         # The callers of the demo come from here.\n\
         [[trunk]]\nname = \"carrier\"\nuri = \"sip:{}\"\nsources = [\"127.0.0.1/32\"]\n\n\
         [[ai]]\nname = \"ava\"\nuri = \"sip:{{to}}@{}\"\n\n\
         [[route]]\nto = \"*\"\nai = \"ava\"\n",
        at.sip,
        at.rtp_first,
        at.rtp_first + RTP_PORTS - 1,
        at.http,
        at.http,
        quoted(&format!("sqlite:{}", directory.join("baton.db").display())),
        quoted(&directory.join("messages").display().to_string()),
        at.carrier,
        at.ai,
    );
    for story in stories {
        text.push_str(&format!("\n# Story {}: {}\n", story.name, story.title));
        for ae in &story.aes {
            text.push_str(&format!(
                "[[ae]]\nid = \"{}\"\nname = \"{}\"\nuri = \"sip:{}@{}\"\ntimezone = \"America/New_York\"\nhours = \"{}\"\n",
                ae.id,
                ae.name,
                ae.id,
                phone(ae.id),
                ae.hours
            ));
            text.push_str(&ae.backup.map_or(String::new(), |backup| format!("backup = \"{backup}\"\n")));
            text.push_str(&ae.ring_max.map_or(String::new(), |limit| format!("ring_max = \"{limit}\"\n")));
            text.push_str(&ae.number.map_or(String::new(), |number| format!("numbers = [\"{number}\"]\n")));
            text.push('\n');
        }
    }
    text
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The daemon, running.
pub(crate) struct Daemon {
    child: Child,
    /// Its API.
    pub(crate) api: Api,
}

impl Daemon {
    /// Starts this very program as `baton serve --config …` and waits until it is ready to take calls.
    pub(crate) fn start(directory: &Path, http: SocketAddr, sabotage: Option<&str>, clock: Clock) -> Result<Daemon, DaemonError> {
        let io = |what: &str| {
            let what = what.to_owned();
            move |source| DaemonError::Io { what, source }
        };
        let program = std::env::current_exe().map_err(io("this program's own path"))?;
        let log_path = directory.join("baton.log");
        let log = File::create(&log_path).map_err(io("baton.log cannot be written"))?;
        let errors = log.try_clone().map_err(io("baton.log cannot be written"))?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--config").arg(directory.join("baton.toml"));
        command.stdin(Stdio::null()).stdout(log).stderr(errors).env_remove(SELF_TEST);
        if let Some(name) = sabotage {
            command.env(SELF_TEST, name);
        }
        let child = command.spawn().map_err(io("the daemon cannot be started"))?;
        let mut daemon = Daemon { child, api: Api::new(http) };
        let told = |log: &Path| std::fs::read_to_string(log).map(|text| last_lines(&text, 12)).unwrap_or_default();
        let give_up = clock.now().mono + READY_WITHIN;
        while clock.now().mono < give_up {
            if let Some(status) = daemon.child.try_wait().map_err(io("the daemon"))? {
                return Err(DaemonError::Ended { status, log: told(&log_path) });
            }
            if daemon.api.get("/readyz").is_ok_and(|answer| answer.status == 200) {
                return Ok(daemon);
            }
            std::thread::park_timeout(Duration::from_millis(20)); // until the next look at /readyz
        }
        daemon.stop(clock);
        Err(DaemonError::NotReady { log: told(&log_path) })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, and makes it if it does not; `true` if it went by itself.
    pub(crate) fn stop(&mut self, clock: Clock) -> bool {
        let asked = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .is_some_and(|id| rustix::process::kill_process(id, rustix::process::Signal::TERM).is_ok());
        let give_up = clock.now().mono + STOPPED_WITHIN;
        while asked && clock.now().mono < give_up {
            match self.child.try_wait() {
                Ok(Some(_)) => return true,
                Ok(None) => std::thread::park_timeout(Duration::from_millis(10)), // until the next look at the process
                Err(_) => break,
            }
        }
        let killed = self.child.kill().is_ok();
        let gone = self.child.wait().is_ok();
        !(killed && gone) && asked
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_found_and_the_configuration_names_them() {
        let ai: SocketAddr = "127.0.0.1:5080".parse().unwrap();
        let at = Addresses::find(ai, ai).unwrap();
        let text = configuration(&at, Path::new("out \"dir\""), &Story::all(), |_| ai);
        assert!(text.contains(&format!("listen = [\"udp:{}\"]", at.sip)));
        assert!(text.contains("url = \"sqlite:out \\\"dir\\\"/baton.db\""));
        assert!(text.contains("backup = \"sara-backup\"") && text.contains("ring_max = \"4s\""));
        assert!(text.contains("uri = \"sip:{to}@127.0.0.1:5080\""));
        assert_eq!(at.rtp_first % 2, 0);
    }

    #[test]
    fn only_the_end_of_a_log_is_shown() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
    }
}
