//! The pcapng files of a folder: one that is written, and some older ones.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use baton_contract::At;
use baton_sip::Transport;
use baton_time::Wall;

use super::pcapng::{self, Header, Packet};
use super::{Direction, FileSettings, Wire};

/// How the names of our files begin and end; files with other names are left alone.
const NAME: (&str, &str) = ("baton-", ".pcapng");

/// How many streams have numbers of their own; a reader that finds them begun anew joins them all the same.
const STREAMS_MAX: usize = 4_096;

/// The files.
#[derive(Debug)]
pub(super) struct Files {
    settings: FileSettings,
    node: String,
    open: Option<Open>,
    /// The number of the next byte of each stream, by both of its ends.
    streams: BTreeMap<(SocketAddr, SocketAddr), u32>,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
}

impl Files {
    /// Makes the folder; the first file is made for the first message.
    pub(super) fn new(settings: FileSettings, node: String) -> io::Result<Files> {
        std::fs::create_dir_all(&settings.dir)?;
        Ok(Files { settings, node, open: None, streams: BTreeMap::new() })
    }

    /// Writes one message; it is on the disk after [`Files::flush`].
    pub(super) fn write(&mut self, wire: &Wire) -> io::Result<()> {
        let block = self.block(wire);
        let is_full = |open: &Open| open.bytes + block.len() as u64 > self.settings.bytes_max;
        if self.open.as_ref().is_some_and(is_full) {
            self.flush()?;
            self.open = None;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin(wire.at.wall)?,
        };
        open.file.write_all(&block)?;
        open.bytes += block.len() as u64;
        self.open = Some(open);
        Ok(())
    }

    /// Hands everything to the disk. After a fault the next message begins a new file.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let flushed = self.open.as_mut().map_or(Ok(()), |open| open.file.flush());
        if flushed.is_err() {
            self.open = None;
        }
        flushed
    }

    fn begin(&mut self, at: Wall) -> io::Result<Open> {
        let stamp: String = At(at).to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let path = self.settings.dir.join(format!("{}{stamp}{}", NAME.0, NAME.1));
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&path)?;
        let mut file = BufWriter::new(file);
        let beginning = pcapng::beginning(&self.node);
        file.write_all(&beginning)?;
        self.forget_old(&path);
        Ok(Open { path, file, bytes: beginning.len() as u64 })
    }

    /// Deletes the oldest files until no more are left than are kept.
    fn forget_old(&self, newest: &Path) {
        let mut ours: Vec<PathBuf> = match std::fs::read_dir(&self.settings.dir) {
            Ok(entries) => {
                entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(|path| is_ours(path)).collect()
            }
            Err(fault) => {
                tracing::warn!(%fault, "the folder of captures cannot be read");
                return;
            }
        };
        ours.sort();
        let too_many = ours.len().saturating_sub(self.settings.count_max);
        for path in ours.iter().filter(|path| path.as_path() != newest).take(too_many) {
            if let Err(fault) = std::fs::remove_file(path) {
                tracing::warn!(%fault, path = %path.display(), "an old capture cannot be deleted");
            }
        }
    }

    fn block(&mut self, wire: &Wire) -> Vec<u8> {
        let (from, to) = match wire.direction {
            Direction::In => (wire.remote, wire.local),
            Direction::Out => (wire.local, wire.remote),
        };
        let (header, comment) = match wire.transport {
            Transport::Udp => (Header::Udp, String::new()),
            Transport::Tcp => (self.segment(from, to, wire.bytes.len()), String::new()),
            // As it was in the clear: a reader that found it in a stream on the port of TLS would try to decrypt it.
            Transport::Tls | Transport::Ws | Transport::Wss => {
                (Header::Udp, format!("carried by {}, shown without it", wire.transport.name()))
            }
        };
        pcapng::packet(&Packet { at: wire.at.wall, from, to, header, payload: &wire.bytes, comment: &comment })
    }

    fn segment(&mut self, from: SocketAddr, to: SocketAddr, length: usize) -> Header {
        if self.streams.len() >= STREAMS_MAX && !self.streams.contains_key(&(from, to)) {
            self.streams.clear();
        }
        let ack = self.streams.get(&(to, from)).copied().unwrap_or(1);
        let next = self.streams.entry((from, to)).or_insert(1);
        let seq = *next;
        *next = next.wrapping_add(length as u32);
        Header::Tcp { seq, ack }
    }

    /// Where the file is that is written now.
    pub(super) fn path(&self) -> Option<&Path> {
        self.open.as_ref().map(|open| open.path.as_path())
    }
}

fn is_ours(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(NAME.0) && name.ends_with(NAME.1))
}
