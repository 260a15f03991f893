//! Opening the file, with an error that says what is wrong.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Error, Row};

use super::read::Reader;
use super::schema::{self, Found};
use super::write::{Checkpointer, Disk, Writer};
use super::{BUSY, CANTOPEN, CORRUPT, FULL, LOCKED, NOTADB, READONLY, code};
use crate::OpenError;

/// How long a commit waits for another process that holds the file.
const BUSY_MAX: Duration = Duration::from_millis(200);

/// Connections that read at the same time.
const READERS_MAX: u32 = 3;

/// How much of the database a connection that writes keeps in memory, as SQLite wants it said: in KiB, with a minus. It writes what is new, and reads little.
const CACHE: &str = "-512";

/// The log file is cut back to this size when it starts anew, in bytes.
const LOG_BYTES_KEPT: &str = "67108864";

/// An open database.
pub(crate) struct Opened {
    pub(crate) writer: Writer,
    pub(crate) disk: Disk,
    pub(crate) house: Checkpointer,
    pub(crate) reader: Reader,
    pub(crate) secret: [u8; 32],
}

/// Opens `sqlite:PATH`.
pub(crate) async fn open(url: &str) -> Result<Opened, OpenError> {
    let path = path_of(url)?;
    let named = path.display().to_string();
    prepare(&path, &named)?;
    match connect(&path).await {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(Unfit::Foreign)) => Err(OpenError::Foreign { path: named }),
        Ok(Err(Unfit::TooNew(found))) => Err(OpenError::TooNew { path: named, found, known: schema::VERSION }),
        Ok(Err(Unfit::Randomness)) => Err(OpenError::Failed { path: named, why: "the system has no random bytes".to_owned() }),
        Ok(Err(Unfit::Log(error))) => Err(OpenError::NotWritable { path: format!("{named}-wal"), why: plain(&error) }),
        Err(error) => Err(explain(&error, named)),
    }
}

/// Why a file that SQLite can open is none of ours.
enum Unfit {
    Foreign,
    TooNew(i64),
    Randomness,
    Log(std::io::Error),
}

fn path_of(url: &str) -> Result<PathBuf, OpenError> {
    let wrong = || OpenError::Url { url: without_credentials(url) };
    let path = url.strip_prefix("sqlite:").ok_or_else(wrong)?;
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path.contains(['?', '\0']) || path == ":memory:" { Err(wrong()) } else { Ok(PathBuf::from(path)) }
}

fn without_credentials(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => url.to_owned(),
    }
}

/// Makes sure that the file is there, that nobody else may read the secret in it, and that it can be written.
fn prepare(path: &Path, named: &str) -> Result<(), OpenError> {
    let named = named.to_owned();
    if path.is_dir() {
        return Err(OpenError::IsFolder { path: named });
    }
    if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        return Err(OpenError::NoFolder { path: named });
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(OpenError::NotWritable { path: named, why: plain(&error) }),
    }
}

fn plain(error: &std::io::Error) -> String {
    let kind = error.kind();
    if kind == ErrorKind::PermissionDenied {
        "permission denied".to_owned()
    } else if kind == ErrorKind::ReadOnlyFilesystem {
        "the file system is read-only".to_owned()
    } else if kind == ErrorKind::StorageFull {
        "the disk is full".to_owned()
    } else {
        error.to_string()
    }
}

fn explain(error: &Error, path: String) -> OpenError {
    match code(error).map(|code| code & 0xff) {
        Some(BUSY | LOCKED) => OpenError::Locked { path },
        Some(NOTADB | CORRUPT) => OpenError::NotADatabase { path },
        Some(FULL) => OpenError::NotWritable { path, why: "the disk is full".to_owned() },
        Some(READONLY | CANTOPEN) => OpenError::NotWritable { path, why: "the file or its folder is read-only".to_owned() },
        _ => OpenError::Failed { path, why: error.to_string() },
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).create_if_missing(false).busy_timeout(BUSY_MAX).disable_statement_logging()
}

async fn connect(path: &Path) -> Result<Result<Opened, Unfit>, Error> {
    let logged = options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .pragma("wal_autocheckpoint", "0")
        .pragma("cache_size", CACHE)
        .pragma("journal_size_limit", LOG_BYTES_KEPT);
    let mut plain = options(path).connect().await?;
    let version = match schema::look(&mut plain).await? {
        Found::Empty => 0,
        Found::Version(version) if version <= schema::VERSION => version,
        Found::Version(version) => return Ok(Err(Unfit::TooNew(version))),
        Found::Foreign => return Ok(Err(Unfit::Foreign)),
    };
    drop(plain);
    let mut pen = logged.clone().synchronous(SqliteSynchronous::Normal).connect().await?;
    schema::migrate(&mut pen, version).await?;
    let Some(secret) = secret(&mut pen).await? else { return Ok(Err(Unfit::Randomness)) };
    let log = match open_log(path) {
        Ok(log) => log,
        Err(error) => return Ok(Err(Unfit::Log(error))),
    };
    let thorough = logged.synchronous(SqliteSynchronous::Full);
    let disk = Disk::new(log, thorough.connect().await?);
    let house = Checkpointer::new(thorough.connect().await?);
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS_MAX)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options(path).read_only(true))
        .await?;
    Ok(Ok(Opened { writer: Writer::new(pen), disk, house, reader: Reader::new(readers), secret }))
}

/// Opens the log for flushing, and flushes the folder, so that the files' names outlive a loss of power.
fn open_log(path: &Path) -> std::io::Result<Arc<File>> {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    let log = OpenOptions::new().read(true).write(true).open(PathBuf::from(name))?;
    log.sync_data()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(Arc::new(log))
}

/// The secret of this store, made at its first opening; `None` if the system has no randomness to give.
async fn secret(connection: &mut SqliteConnection) -> Result<Option<[u8; 32]>, Error> {
    let mut fresh = [0; 32];
    if getrandom::fill(&mut fresh).is_err() {
        return Ok(None);
    }
    sqlx::query("INSERT INTO meta (key, value) VALUES ('secret', ?) ON CONFLICT DO NOTHING")
        .bind(&fresh[..])
        .execute(&mut *connection)
        .await?;
    let row = sqlx::query("SELECT value FROM meta WHERE key = 'secret'").fetch_one(connection).await?;
    let kept: Vec<u8> = row.try_get(0)?;
    kept.try_into().map(Some).map_err(|_| Error::Decode("the secret in meta does not have 32 bytes".into()))
}
