//! SQLite, with a write-ahead log.

mod open;
mod outbox;
mod past;
mod read;
mod schema;
mod script;
mod write;

pub(crate) use open::{Opened, open};

use sqlx::Error;

use crate::Refusal;

/// What an SQLite error means for the batch that met it (primary codes, <https://sqlite.org/rescode.html>).
fn refusal(error: &Error) -> Refusal {
    let Some(code) = code(error) else { return Refusal::Broken };
    match (code & 0xff, code) {
        (_, IOERR_FSYNC) => Refusal::FlushFailed,
        (FULL, _) | (_, IOERR_SHMSIZE) => Refusal::DiskFull,
        (READONLY, _) => Refusal::ReadOnly,
        (BUSY | LOCKED, _) => Refusal::Locked,
        _ => Refusal::Broken,
    }
}

/// The extended result code, if the error is SQLite's own.
fn code(error: &Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const READONLY: u32 = 8;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;
const CONSTRAINT: u32 = 19;
const NOTADB: u32 = 26;
const IOERR_FSYNC: u32 = 10 | (4 << 8);
const IOERR_SHMSIZE: u32 = 10 | (19 << 8);

/// A number as SQLite keeps it.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number as it was before SQLite kept it.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
