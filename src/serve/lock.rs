//! One daemon for one store: two of them would carry out each promise twice.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Held as long as the daemon runs; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct StoreLock {
    _file: File,
}

/// Takes the lock beside the file of the store, or says who has it.
pub(super) fn take(url: &str) -> anyhow::Result<Option<StoreLock>> {
    let path = url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path)).unwrap_or(url);
    let beside = PathBuf::from(format!("{path}.lock"));
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&beside);
    // Where no file can be made the store itself says why.
    let Ok(mut file) = opened else { return Ok(None) };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).with_context(|| format!("{} cannot be read", beside.display()))?;
            bail!("the store {path} is in use by another baton (process {}); each needs a store of its own", holder.trim());
        }
        Err(error) => return Err(error).with_context(|| format!("the store {path} cannot be locked")),
    }
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()))?;
    Ok(Some(StoreLock { _file: file }))
}
