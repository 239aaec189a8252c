//! The file: its tables, whether it is the right one, and bringing it up to date.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Statement, Transaction, TransactionBehavior, params};

use super::{Index, Row};
use crate::model::Digest;
use crate::record::{Archive, RecordError, leaf_hash};

/// The version of the tables. Another one is made again.
const VERSION: i64 = 2;

/// Entries in one transaction: what is lost when the process is killed meanwhile, memory, and how long whoever asks waits
/// for whoever writes.
const STEP_ENTRIES: u64 = 512;

/// How long another process may hold the file, milliseconds.
const BUSY_MS: u64 = 5_000;
/// The same for who would rather have an older answer than wait long, milliseconds. Whoever follows the log holds the file
/// for a step at a time.
const BUSY_SHORT_MS: u64 = 2_000;

const COLUMNS: &str = "idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL, receipt_id TEXT NOT NULL, kind TEXT NOT NULL, \
    action_id TEXT, session TEXT, seq INTEGER, time_us INTEGER NOT NULL, human TEXT, agent TEXT, tool TEXT, \
    operation TEXT, result TEXT, enforced INTEGER, status TEXT, policy TEXT, tenant TEXT";

const INDEXES: &str = "
    CREATE INDEX entries_receipt ON entries (receipt_id);
    CREATE INDEX entries_action ON entries (action_id) WHERE action_id IS NOT NULL;
    CREATE INDEX entries_session ON entries (session) WHERE session IS NOT NULL;
    CREATE INDEX entries_kind ON entries (kind, idx);";

/// Whether rows may be missing between others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gaps {
    /// This process has looked before.
    Excluded,
    LookedFor,
}

/// Opens the file, or makes it again where it is not the index of this log. Says whether it did.
pub(super) fn open(archive: &mut Archive, path: &Path, gaps: Gaps) -> Result<(Connection, bool), RecordError> {
    let there = path.exists();
    let existing = connect(path).and_then(|connection| {
        let fits = is_of(&connection, archive, gaps)?;
        Ok((connection, fits))
    });
    match existing {
        Ok((connection, true)) => return Ok((connection, false)),
        Err(error) if is_unwritable(&error) => return in_memory(archive, path),
        Err(error) if !is_damaged(&error) && there => return Err(failed(path, error)),
        _ => {}
    }
    remove(path);
    let made = connect(path).and_then(|connection| {
        create(&connection, archive)?;
        Ok(connection)
    });
    match made {
        Ok(connection) => Ok((connection, there)),
        Err(error) if is_unwritable(&error) => in_memory(archive, path),
        Err(error) => Err(failed(path, error)),
    }
}

/// Removes the file and what SQLite keeps beside it. What cannot be removed shows when it is opened.
pub(super) fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        drop(std::fs::remove_file(PathBuf::from(name)));
    }
}

pub(super) fn failed(path: &Path, source: rusqlite::Error) -> RecordError {
    RecordError::Index { path: path.to_owned(), source: Arc::new(source) }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_millis(BUSY_MS))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // It can be made again, so it need not survive a power cut; it must only never be half of one state and half of
    // another.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

fn in_memory(archive: &Archive, path: &Path) -> Result<(Connection, bool), RecordError> {
    let made = Connection::open_in_memory().and_then(|connection| {
        create(&connection, archive)?;
        Ok(connection)
    });
    made.map(|connection| (connection, false)).map_err(|error| failed(path, error))
}

fn create(connection: &Connection, archive: &Archive) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE;
         CREATE TABLE log (origin TEXT NOT NULL, kept_from INTEGER NOT NULL DEFAULT 0);
         CREATE TABLE entries ({COLUMNS});
         {INDEXES}
         PRAGMA user_version = {VERSION};"
    ))?;
    connection.execute("INSERT INTO log (origin) VALUES (?1)", [archive.origin()])?;
    connection.execute_batch("COMMIT")
}

/// Whether the file is an index of this log: its version, its name, no gaps, and the log's own entry at its end.
fn is_of(connection: &Connection, archive: &mut Archive, gaps: Gaps) -> rusqlite::Result<bool> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != VERSION {
        return Ok(false);
    }
    let origin: Option<String> = connection.query_row("SELECT origin FROM log", [], |row| row.get(0)).optional()?;
    let size = size_of(connection)?;
    let kept_from = archive.kept_from().min(size);
    if gaps == Gaps::LookedFor && count(connection, kept_from)? != size - kept_from {
        return Ok(false);
    }
    let Some(index) = size.checked_sub(1) else { return Ok(origin.as_deref() == Some(archive.origin())) };
    let leaf: Option<[u8; 32]> = connection
        .query_row("SELECT leaf FROM entries WHERE idx = ?1", [signed(index)], |row| row.get(0))
        .optional()?;
    let found = if index < archive.size() { archive.entry(index).ok().flatten() } else { None };
    let same = found.is_some_and(|entry| leaf.map(Digest) == Some(leaf_hash(&entry)));
    Ok(origin.as_deref() == Some(archive.origin()) && same)
}

/// How many entries there are that retention has kept: a look at each of them.
fn count(connection: &Connection, kept_from: u64) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM entries WHERE idx >= ?1";
    connection.query_row(sql, [signed(kept_from)], |row| row.get(0)).map(unsigned)
}

/// How many entries there are, where there are no gaps: whoever opens the file first looks for them, and rows are only added.
fn size_of(connection: &Connection) -> rusqlite::Result<u64> {
    let last: Option<i64> = connection.query_row("SELECT max(idx) FROM entries", [], |row| row.get(0))?;
    Ok(last.map_or(0, |last| unsigned(last) + 1))
}

impl Index {
    /// Takes in what the checkpoint covers and the index does not.
    pub(super) fn update(&mut self, archive: &mut Archive, progress: &dyn Fn(u64, u64)) -> Result<(), RecordError> {
        let size = archive.size();
        self.forget(archive)?;
        let mut end = 0;
        loop {
            let path = self.path.clone();
            let wrong = |error| failed(&path, error);
            let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate);
            let transaction = transaction.map_err(wrong)?;
            // Another process may have been here meanwhile. Entries that retention removed leave no row.
            let first = size_of(&transaction).map_err(wrong)?.max(end);
            end = first.saturating_add(STEP_ENTRIES).min(size);
            fill(&transaction, "entries", archive, first..end, &path)?;
            transaction.commit().map_err(wrong)?;
            if end >= size {
                return Ok(());
            }
            progress(end, size);
        }
    }

    /// Leaves out what retention removed since the last time.
    fn forget(&self, archive: &mut Archive) -> Result<(), RecordError> {
        let wrong = |error| self.failed(error);
        let sql = "SELECT kept_from FROM log";
        let before = self.connection.query_row(sql, [], |row| row.get(0)).map(unsigned).map_err(wrong)?;
        let kept_from = archive.kept_from();
        if before >= kept_from {
            return Ok(());
        }
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate);
        let transaction = transaction.map_err(wrong)?;
        for index in before..kept_from {
            if archive.entry(index)?.is_none() {
                transaction.execute("DELETE FROM entries WHERE idx = ?1", [signed(index)]).map_err(wrong)?;
            }
        }
        transaction.execute("UPDATE log SET kept_from = ?1", [signed(kept_from)]).map_err(wrong)?;
        transaction.commit().map_err(wrong)
    }

    /// The same, unless somebody else does it at this moment.
    pub(super) fn update_at_once(&mut self, archive: &mut Archive) -> Result<(), RecordError> {
        let patience = |ms| self.connection.busy_timeout(Duration::from_millis(ms)).map_err(|error| self.failed(error));
        patience(BUSY_SHORT_MS)?;
        let updated = self.update(archive, &|_, _| {});
        self.connection.busy_timeout(Duration::from_millis(BUSY_MS)).map_err(|error| self.failed(error))?;
        updated
    }

    /// Entries under the checkpoint that are not here.
    pub(super) fn missing(&self, archive: &Archive) -> Result<u64, RecordError> {
        let size = size_of(&self.connection).map_err(|error| self.failed(error))?;
        Ok(archive.size().saturating_sub(size))
    }

    /// Adds what lies behind the checkpoint to this connection alone: it may still come to nothing.
    pub(super) fn load_tail(&self, archive: &mut Archive) -> Result<(), RecordError> {
        let wrong = |error| self.failed(error);
        self.connection
            .execute_batch(&format!(
                "CREATE TEMP TABLE tail ({COLUMNS});
                 CREATE TEMP VIEW everything AS SELECT * FROM main.entries UNION ALL SELECT * FROM temp.tail;"
            ))
            .map_err(wrong)?;
        let first = size_of(&self.connection).map_err(wrong)?;
        let behind = first.max(archive.size())..archive.end();
        fill(&self.connection, "temp.tail", archive, behind, &self.path)
    }
}

/// Adds the rows of these entries to a table.
fn fill(
    connection: &Connection,
    table: &str,
    archive: &mut Archive,
    indexes: Range<u64>,
    path: &Path,
) -> Result<(), RecordError> {
    let places: Vec<String> = (1..=17).map(|place| format!("?{place}")).collect();
    let sql = format!("INSERT INTO {table} VALUES ({})", places.join(", "));
    let mut statement = connection.prepare(&sql).map_err(|error| failed(path, error))?;
    for index in indexes {
        if let Some(row) = row(archive, index)? {
            insert(&mut statement, &row).map_err(|error| failed(path, error))?;
        }
    }
    Ok(())
}

/// The row of an entry; `None` where retention removed it.
fn row(archive: &mut Archive, index: u64) -> Result<Option<Row>, RecordError> {
    let entry = archive.entry(index)?;
    if entry.is_none() && index < archive.kept_from() {
        return Ok(None);
    }
    entry.as_ref().and_then(|entry| Row::of(index, entry)).map(Some).ok_or_else(|| RecordError::Corrupt {
        path: archive.index_path().with_file_name("log"),
        offset: 0,
        reason: "an entry cannot be read: run `countersign receipts verify`",
    })
}

fn insert(statement: &mut Statement<'_>, row: &Row) -> rusqlite::Result<()> {
    statement.execute(params![
        signed(row.index),
        row.leaf_hash.0,
        row.receipt_id,
        row.kind,
        row.action_id,
        row.session,
        row.seq.map(signed),
        signed(row.time.as_micros()),
        row.human,
        row.agent,
        row.tool,
        row.operation,
        row.result,
        row.enforced,
        row.status,
        row.policy,
        row.tenant,
    ])?;
    Ok(())
}

/// SQLite has no unsigned integers. No index or time of ours has 64 bits.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn is_unwritable(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied))
}

/// Not a database, a damaged one, or one with other tables.
fn is_damaged(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull)
    )
}
