//! What can go wrong when the store is opened or read.

/// Why the store could not be opened: one sentence that names the place.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not a URL of a kind that is known.
    #[error("the store URL \"{url}\" is not understood: write `sqlite:PATH`")]
    Url {
        /// The URL, without credentials.
        url: String,
    },
    /// The folder of the file is not there.
    #[error("the store {path} cannot be opened: its folder does not exist")]
    NoFolder {
        /// The file.
        path: String,
    },
    /// The place is a folder.
    #[error("the store {path} cannot be opened: it is a folder, not a file")]
    IsFolder {
        /// The file.
        path: String,
    },
    /// The file may not be written or created.
    #[error("the store {path} cannot be written: {why}")]
    NotWritable {
        /// The file.
        path: String,
        /// The operating system's reason.
        why: String,
    },
    /// The file is something else.
    #[error("the store {path} is not an SQLite database")]
    NotADatabase {
        /// The file.
        path: String,
    },
    /// The file is a database of another program.
    #[error("the store {path} is another program's database")]
    Foreign {
        /// The file.
        path: String,
    },
    /// The file was written by a later Baton.
    #[error("the store {path} has schema version {found}, and this Baton knows versions up to {known}")]
    TooNew {
        /// The file.
        path: String,
        /// The version that was found.
        found: i64,
        /// The latest version that is known.
        known: i64,
    },
    /// Somebody else holds the file.
    #[error("the store {path} is locked by another process")]
    Locked {
        /// The file.
        path: String,
    },
    /// The store's thread could not be started.
    #[error("the thread of the store {path} could not be started: {why}")]
    NoThread {
        /// The store's URL.
        path: String,
        /// The operating system's reason.
        why: String,
    },
    /// Anything else that the database says.
    #[error("the store {path} cannot be opened: {why}")]
    Failed {
        /// The file.
        path: String,
        /// The database's reason.
        why: String,
    },
}

/// Why a question to the store has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A row is there but cannot be understood.
    #[error("a row of {table} is damaged: {why}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The database could not be read.
    #[error("the store could not be read: {why}")]
    Failed {
        /// The database's reason.
        why: String,
    },
}
