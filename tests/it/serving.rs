//! `baton serve`: how it begins and how it ends.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::scratch::{Ended, Ports, Scratch};

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_port_in_use_is_one_sentence_that_names_it_and_1() {
    for taken in ["sip over UDP", "sip over TCP", "http"] {
        let (scratch, ports) = (Scratch::new(), Ports::free());
        let udp = (taken == "sip over UDP").then(|| UdpSocket::bind((Ipv4Addr::LOCALHOST, ports.sip)).expect("still free"));
        let tcp_port = if taken == "http" { ports.http } else { ports.sip };
        let tcp = udp.is_none().then(|| TcpListener::bind((Ipv4Addr::LOCALHOST, tcp_port)).expect("still free"));
        scratch.write("baton.toml", &ports.configuration("sqlite:baton.db"));
        let ended = scratch.run(&["serve", "--config", "baton.toml"]);
        drop((udp, tcp));
        let port = if taken == "http" { ports.http } else { ports.sip };
        one_sentence(&ended, &[&port.to_string(), "in use"]);
    }
}

#[test]
fn a_store_that_cannot_be_written_is_one_sentence_that_names_it_and_1() {
    let (scratch, ports) = (Scratch::new(), Ports::free());
    scratch.write("baton.toml", &ports.configuration("sqlite:no/such/folder/baton.db"));
    one_sentence(&scratch.run(&["serve", "--config", "baton.toml"]), &["no/such/folder/baton.db"]);
    scratch.write("letter.db", &"Dear Sir or Madam, this is no database. ".repeat(100));
    scratch.write("baton.toml", &ports.configuration("sqlite:letter.db"));
    one_sentence(&scratch.run(&["serve", "--config", "baton.toml"]), &["letter.db"]);
    assert!(fs::read_to_string(scratch.path().join("letter.db")).expect("it is still there").starts_with("Dear Sir"));
}

/// Exit code 1 and a last line that says all of `words`; no trace of a panic.
fn one_sentence(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let complaints: Vec<&str> = ended.err.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(complaints.len(), 1, "one sentence: {ended:?}");
    assert!(words.iter().all(|word| complaints[0].contains(word)), "{words:?} in {complaints:?}");
    assert!(!ended.err.contains("panicked") && !ended.err.contains("RUST_BACKTRACE"), "{ended:?}");
}

/// A running daemon and the socket on which it notifies us as it would systemd.
struct Daemon {
    child: Child,
    ports: Ports,
    systemd: UnixDatagram,
    scratch: Scratch,
}

impl Daemon {
    fn start() -> Daemon {
        let (scratch, ports) = (Scratch::new(), Ports::free());
        let systemd = UnixDatagram::bind(scratch.path().join("notify")).expect("a socket to be notified on");
        systemd.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        scratch.write("baton.toml", &ports.configuration("sqlite:baton.db"));
        // As systemd does it: the watchdog is for the process that is named.
        let script = "WATCHDOG_PID=$$ exec \"$0\" serve --config baton.toml";
        let mut command = Command::new("sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_baton")]).current_dir(scratch.path()).stdin(Stdio::null());
        command.env("NOTIFY_SOCKET", scratch.path().join("notify")).env("WATCHDOG_USEC", "400000");
        let log = fs::File::create(scratch.path().join("log")).expect("a file for the log");
        command.stdout(Stdio::null()).stderr(log);
        let daemon = Daemon { child: command.spawn().expect("a shell runs"), ports, systemd, scratch };
        daemon.is_told("READY=1");
        daemon
    }

    /// Waits until systemd is told `state`; what else it is told before does not matter.
    fn is_told(&self, state: &str) {
        let mut buffer = [0; 512];
        let told = std::iter::repeat_with(|| {
            let length =
                self.systemd.recv(&mut buffer).unwrap_or_else(|fault| panic!("never told {state}: {fault}: {}", self.log()));
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        });
        told.take(1_000).find(|text| text.lines().any(|line| line == state)).expect("told within a thousand states");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports.http)).expect("HTTP is there");
        stream.set_read_timeout(Some(PATIENCE)).expect("a stream has a timeout");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: baton\r\nConnection: close\r\n\r\n").expect("a request is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer comes");
        answer
    }

    fn terminate(&mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is ours");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn systemd_is_told_when_it_is_ready_alive_and_stopping() {
    let mut daemon = Daemon::start();
    assert!(daemon.get("/readyz").starts_with("HTTP/1.1 200"), "ready means ready");
    daemon.is_told("WATCHDOG=1");
    daemon.is_told("WATCHDOG=1");
    assert_eq!(daemon.terminate(), Some(0), "an idle daemon ends at once, with 0");
    daemon.is_told("STOPPING=1");
    assert!(daemon.scratch.path().join("baton.db").exists());
}

#[test]
fn an_idle_daemon_is_small() {
    let daemon = Daemon::start();
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.child.id())).expect("it runs");
    // What it has taken for itself: its own code, which without optimisation is twice as long, is measured by `baton bench transfers`.
    let own = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux says so");
    let kilobytes: u64 = own.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    assert!(kilobytes <= 20 * 1_024, "{kilobytes} kB are its own");
}

#[test]
fn what_is_asked_wrongly_is_a_problem_that_says_so() {
    let daemon = Daemon::start();
    let answer = daemon.get("/v1/calls/c_00000000-0000-7000-8000-000000000000");
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("application/problem+json"), "{answer}");
    let answer = daemon.get("/v1/nonsense");
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("application/problem+json"), "{answer}");
    let metrics = daemon.get("/metrics");
    assert!(metrics.contains("baton_build_info{") && metrics.contains("\nbaton_draining 0\n"), "{metrics}");
}
