//! The folder, the addresses and the configuration of the daemon that is measured.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::demo::daemon::free_ports;

/// A folder that is taken away in the end, unless it is kept.
pub(super) struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Folder {
    /// Makes one among the temporary files of this machine.
    pub(super) fn new() -> anyhow::Result<Folder> {
        let path = std::env::temp_dir().join(format!("baton-bench-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Folder { path, is_kept: false })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it where it is.
    pub(super) fn keep(&mut self) {
        self.is_kept = true;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::debug!(%error, "the folder stays");
        }
    }
}

/// Where the daemon listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    /// Its SIP.
    pub(super) sip: SocketAddr,
    /// Its HTTP.
    pub(super) http: SocketAddr,
    /// The first and the last of its RTP ports.
    pub(super) rtp: (u16, u16),
}

impl Addresses {
    /// Finds ports that are free on loopback, enough for so many calls at a time.
    pub(super) fn find(calls: usize) -> anyhow::Result<Addresses> {
        const LEGS: usize = 3;
        let count = u16::try_from(calls * LEGS * 4).unwrap_or(u16::MAX).min(4_000); // a pair each, and as many that rest after use
        let first = free_ports(count).context("no free RTP ports on 127.0.0.1")?;
        Ok(Addresses { sip: free_udp()?, http: free_tcp()?, rtp: (first, first + count - 1) })
    }

    /// The same with all RTP ports below those that the system hands out; what others hold of them is left out by the daemon.
    pub(super) fn wide() -> anyhow::Result<Addresses> {
        Ok(Addresses { sip: free_udp()?, http: free_tcp()?, rtp: (10_000, 31_999) })
    }
}

fn free_udp() -> io::Result<SocketAddr> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn free_tcp() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The AE of a lane.
pub(super) fn ae_id(lane: usize) -> String {
    format!("ae-{lane:03}")
}

/// Writes the configuration: everything that is left out has its default, the store and its journal among it.
pub(super) fn configuration(at: &Addresses, folder: &Path, ai: SocketAddr, phones: &[SocketAddr]) -> String {
    let mut text = format!(
        "[node]\nname = \"baton-bench\"\n\n\
         [sip]\nlisten = [\"udp:{}\"]\n\n\
         [media]\naddress = \"127.0.0.1\"\nports = \"{}-{}\"\n\n\
         [http]\nlisten = \"{}\"\npublic_url = \"http://{}\"\n\n\
         [store]\nurl = \"sqlite:{}\"\n\n\
         [recording]\ndir = \"{}\"\n\n\
         [[trunk]]\nname = \"carrier\"\nuri = \"sip:{ai}\"\nsources = [\"127.0.0.1/32\"]\n\n\
         [[ai]]\nname = \"ai\"\nuri = \"sip:{{to}}@{ai}\"\n\n\
         [[route]]\nto = \"*\"\nai = \"ai\"\n",
        at.sip,
        at.rtp.0,
        at.rtp.1,
        at.http,
        at.http,
        folder.join("baton.db").display(),
        folder.join("messages").display(),
    );
    for (lane, phone) in phones.iter().enumerate() {
        let id = ae_id(lane);
        text.push_str(&format!(
            "\n[[ae]]\nid = \"{id}\"\nname = \"{id}\"\nuri = \"sip:{id}@{phone}\"\ntimezone = \"UTC\"\nhours = \"Mon-Sun 00:00-24:00\"\n"
        ));
    }
    text
}

/// The resident memory of a process in megabytes (10^6 bytes), as the kernel counts it.
pub(super) fn resident_mb(process: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).with_context(|| path.clone())?;
    let kilobytes = resident_kb(&status).with_context(|| format!("{path}: no VmRSS"))?;
    Ok(kilobytes * 1_024.0 / 1e6)
}

fn resident_kb(status: &str) -> Option<f64> {
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_configuration_is_one_that_the_daemon_takes() {
        let at = Addresses::find(2).unwrap();
        let phone = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let text = configuration(&at, Path::new("out"), phone(5_080), &[phone(5_090), phone(5_091)]);
        let folder = Folder::new().unwrap();
        let file = folder.path().join("baton.toml");
        fs::write(&file, text).unwrap();
        let config = Config::load(&file).unwrap();
        assert_eq!(config.aes.len(), 2);
        assert_eq!(at.rtp.1 - at.rtp.0 + 1, 24);
    }

    #[test]
    fn the_kernel_s_account_of_memory_is_read() {
        assert_eq!(resident_kb("VmHWM:\t 9 kB\nVmRSS:\t   20480 kB\n"), Some(20_480.0));
        assert_eq!(resident_kb("VmHWM:\t 9 kB\n"), None);
        assert!(resident_mb(std::process::id()).unwrap() > 0.5);
    }
}
