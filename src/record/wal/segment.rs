//! Segment files: the header, zero-filling, and a handle that writer and readers share.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::scan::{Window, scan};
use crate::model::Digest;
use crate::record::RecordError;
use crate::record::disk::{Disk, DiskFile, Operation};
use crate::record::publish::create_anew;

/// Bytes before the first frame.
pub(crate) const HEADER_BYTES: usize = 64;

const MAGIC: &[u8; 8] = b"AARMWAL1";
const VERSION: u32 = 1;

/// Zeros go to the file in pieces of this size.
const ZEROS_BYTES: usize = 1 << 20;

/// Zeros are flushed after this many bytes, so that the commits of the active segment never wait behind a whole one.
const ZEROS_SYNC_BYTES: u64 = 8 << 20;

/// A reader looks for its entry from the nearest mark: one in so many bytes.
const MARK_BYTES: u64 = 64 << 10;

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The first 16 bytes of the digest of the origin.
    pub(crate) log_id: [u8; 16],
    pub(crate) first_index: u64,
    /// One more for every segment of a log, never used twice.
    pub(crate) number: u64,
    pub(crate) created_unix_ns: u64,
}

impl Header {
    /// The id of the log of an origin.
    pub(crate) fn log_id(origin: &str) -> [u8; 16] {
        let Digest(digest) = Digest::of(origin.as_bytes());
        digest.first_chunk().copied().unwrap_or_default()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.log_id);
        for number in [self.first_index, self.number, self.created_unix_ns, 0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let checksum = crc32c::crc32c(&out);
        out.splice(12..16, checksum.to_le_bytes());
        out
    }

    /// `None` when the bytes are no header of this version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.get(..HEADER_BYTES)?;
        let mut take = |count: usize| rest.split_off(..count);
        take(16)?;
        let log_id = take(16)?.try_into().ok()?;
        let mut number = || Some(u64::from_le_bytes(take(8)?.try_into().ok()?));
        let header = Self { log_id, first_index: number()?, number: number()?, created_unix_ns: number()? };
        (bytes.get(..HEADER_BYTES)? == header.encode()).then_some(header)
    }
}

/// A segment that is being written or read.
pub(crate) struct Segment {
    pub(crate) header: Header,
    pub(crate) path: PathBuf,
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) bytes: u64,
    /// Index and place of some frames, ascending.
    marks: Mutex<Vec<(u64, u64)>>,
}

impl Segment {
    pub(crate) fn new(header: Header, path: PathBuf, file: Box<dyn DiskFile>, bytes: u64) -> Self {
        let marks = Mutex::new(vec![(header.first_index, HEADER_BYTES as u64)]);
        Self { header, path, file, bytes, marks }
    }

    /// Notes that the frame of `index` begins at `offset`.
    pub(crate) fn mark(&self, index: u64, offset: u64) {
        let mut marks = self.marks();
        if marks.last().is_none_or(|(_, last)| last.saturating_add(MARK_BYTES) <= offset) {
            marks.push((index, offset));
        }
    }

    /// Reads the entries `from` to `end`, both within this segment, until `enough` says so.
    pub(crate) fn read(
        &self,
        from: u64,
        end: u64,
        mut enough: impl FnMut(&Bytes) -> bool,
    ) -> Result<Vec<Bytes>, RecordError> {
        let (mark, offset) = {
            let marks = self.marks();
            let position = marks.partition_point(|(index, _)| *index <= from);
            marks.get(position.saturating_sub(1)).copied().unwrap_or((self.header.first_index, HEADER_BYTES as u64))
        };
        let mut entries = Vec::new();
        let mut window = Window::new(&*self.file, self.bytes);
        let stopped = scan(&mut window, self.header.number, offset, mark, |_, frame| {
            if frame.index < from {
                return true;
            }
            let entry = Bytes::copy_from_slice(frame.body);
            let enough = frame.index + 1 >= end || enough(&entry);
            entries.push(entry);
            !enough
        });
        let stopped = stopped.map_err(RecordError::on(Operation::Read, &self.path))?;
        if entries.is_empty() {
            let reason = "a durable entry cannot be read back";
            return Err(RecordError::Corrupt { path: self.path.clone(), offset: stopped.offset, reason });
        }
        Ok(entries)
    }

    fn marks(&self) -> MutexGuard<'_, Vec<(u64, u64)>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a file of `bytes` zeros and flushes it: later writes into it change no metadata, so their flush is one write.
pub(crate) fn make_zeros(
    disk: &dyn Disk,
    path: &Path,
    bytes: u64,
    mut go_on: impl FnMut() -> bool,
) -> Result<Box<dyn DiskFile>, RecordError> {
    let file = create_anew(disk, path, 0o600)?;
    let zeros = vec![0; ZEROS_BYTES];
    let (mut written, mut flushed) = (0, 0);
    let sync = || file.sync().map_err(RecordError::on(Operation::Sync, path));
    while written < bytes && go_on() {
        let count = usize::try_from(bytes - written).unwrap_or(usize::MAX).min(ZEROS_BYTES);
        let piece = zeros.get(..count).unwrap_or_default();
        file.write_at(piece, written).map_err(RecordError::on(Operation::Write, path))?;
        written += count as u64;
        if written - flushed >= ZEROS_SYNC_BYTES {
            sync()?;
            flushed = written;
        }
    }
    sync()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_round_trip_and_notice_every_flipped_bit() {
        let header =
            Header { log_id: Header::log_id("localhost/x"), first_index: 5, number: 6, created_unix_ns: 1 << 60 };
        let mut bytes = header.encode();
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(Header::decode(&bytes), Some(header));
        for bit in 0..HEADER_BYTES * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&bytes), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
