//! What an earlier process has left.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context as _;
use baton_media::{Port, RoomId, StreamMark};
use baton_sip::AgentSnapshot;
use baton_switchboard::PhonesRecord;
use serde::{Deserialize, Serialize};

use super::file::{self, Kind};
use crate::clock::Clock;

/// The layout of the file; one with another number is not read.
pub(super) const VERSION: u32 = 2;

/// How long the id of a call is as text.
pub(super) const ID_LENGTH: usize = 34;

/// The beginning of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) version: u32,
    /// Which start of the machine: after another one nobody is on the line.
    boot: String,
    /// Where this process's clock begins on the machine's own.
    epoch_ns: u64,
}

/// What an earlier process has left, as far as it was on record.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// Where its clock began, on the machine's own.
    pub(crate) epoch_ns: Option<u64>,
    /// What its SIP sessions had in common.
    pub(crate) common: Option<AgentSnapshot>,
    /// Its live calls, by the text of their ids: a call that cannot be read has a name all the same.
    pub(crate) calls: BTreeMap<String, Vec<u8>>,
    /// Who had registered, by account.
    pub(crate) phones: BTreeMap<String, PhonesRecord>,
    marks: BTreeMap<(RoomId, Port), StreamMark>,
}

impl Head {
    pub(super) fn new(clock: Clock) -> anyhow::Result<Head> {
        Ok(Head { version: VERSION, boot: boot()?, epoch_ns: clock.epoch_ns() })
    }
}

/// Names this start of the machine.
fn boot() -> anyhow::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").context("the machine does not name its start")?;
    Ok(text.trim().to_owned())
}

impl Past {
    /// Reads a journal; what is not there, from before the machine started, or of another layout, is nothing.
    pub(crate) fn read(path: &Path) -> Past {
        match Past::try_read(path) {
            Ok(past) => past,
            Err(fault) => {
                tracing::error!(%fault, path = %path.display(), "the journal of calls cannot be read; calls that were up are lost");
                Past::default()
            }
        }
    }

    fn try_read(path: &Path) -> anyhow::Result<Past> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(Past::default()),
            Err(fault) => return Err(fault.into()),
        };
        let mut file = BufReader::with_capacity(1 << 18, file);
        let Some((Kind::Head, head)) = file::next(&mut file)? else { return Ok(Past::default()) };
        let head: Head = rmp_serde::from_slice(&head).context("its head")?;
        if head.version != VERSION || head.boot != boot()? {
            tracing::info!("the journal of calls is from before the machine started, or of another version: not read");
            return Ok(Past::default());
        }
        let mut past = Past { epoch_ns: Some(head.epoch_ns), ..Past::default() };
        while let Some((kind, bytes)) = file::next(&mut file)? {
            past.take(kind, bytes)?;
        }
        Ok(past)
    }

    fn take(&mut self, kind: Kind, mut bytes: Vec<u8>) -> anyhow::Result<()> {
        match kind {
            Kind::Head => {}
            Kind::Common => self.common = Some(rmp_serde::from_slice(&bytes).context("what its sessions have in common")?),
            Kind::Call if bytes.len() > ID_LENGTH => {
                let call = bytes.split_off(ID_LENGTH);
                self.calls.insert(String::from_utf8_lossy(&bytes).into_owned(), call);
            }
            Kind::Call => {}
            Kind::Gone => {
                self.calls.remove(String::from_utf8_lossy(&bytes).as_ref());
            }
            Kind::Phones => {
                // A phone comes again by itself; calls must not be lost with it.
                match rmp_serde::from_slice::<PhonesRecord>(&bytes) {
                    Ok(record) => drop(self.phones.insert(record.account.clone(), record)),
                    Err(fault) => tracing::error!(%fault, "a registration cannot be read"),
                }
            }
            Kind::Marks => {
                let marks: Vec<StreamMark> = rmp_serde::from_slice(&bytes).context("its marks")?;
                self.marks.extend(marks.into_iter().map(|mark| ((mark.room, mark.port), mark)));
            }
        }
        Ok(())
    }

    /// Where the streams of all calls stood.
    pub(crate) fn marks(&self) -> Vec<StreamMark> {
        self.marks.values().copied().collect()
    }
}
