//! Start of the write-ahead log, after a clean end and after a crash alike: find the entries, copy what is still needed
//! into a new segment, flush it, drop the old ones.
//!
//! The copy is what makes entries durable that were read from a cache whose flush failed in an earlier process. It never
//! drops an entry that anybody may have been told of: what is cut off was never synced, and anything else is refused.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::RecordError;
use super::disk::{Disk, Operation};
use super::layout::Layout;
use super::publish::{Publisher, list_dir};
use super::read::Tail;
use super::wal::frame::encode;
use super::wal::scan::{Stopped, Window, find_later_write, scan};
use super::wal::segment::{HEADER_BYTES, Header, Segment, make_zeros};
use super::wal::spare::Spare;

/// The new segment is written in pieces of this size.
const COPY_BYTES: usize = 1 << 20;

/// What recovery works with.
pub(crate) struct Recovery<'a> {
    pub(crate) disk: &'a Arc<dyn Disk>,
    pub(crate) layout: &'a Layout,
    pub(crate) log_id: [u8; 16],
    pub(crate) now_unix_ns: u64,
    /// Entries below this are in full bundles under the checkpoint and are not needed here.
    pub(crate) settled: u64,
    /// The size of the checkpoint.
    pub(crate) checkpointed: u64,
    /// The largest size that the log is known to have signed.
    pub(crate) promised: u64,
    /// The size with which the log was closed, if it was.
    pub(crate) closed_with: Option<u64>,
    pub(crate) segment_bytes: u64,
    pub(crate) first_segment_bytes: u64,
    pub(crate) tail_bytes_max: usize,
}

/// The state to go on from.
pub(crate) struct Recovered {
    pub(crate) active: Arc<Segment>,
    /// Where its next frame goes.
    pub(crate) offset: u64,
    /// The entries of the log.
    pub(crate) size: u64,
    pub(crate) tail: Tail,
    /// The entries of the bundle that the checkpoint ends in.
    pub(crate) partial: Vec<Bytes>,
    pub(crate) spare: Option<Spare>,
}

/// Entries of one segment that count.
struct Piece {
    segment: Segment,
    offset: u64,
    entries: Range<u64>,
    bytes: u64,
}

impl Recovery<'_> {
    pub(crate) fn run(&self) -> Result<Recovered, RecordError> {
        let (segments, others) = self.segments()?;
        let number = segments.last().map_or(1, |last| last.header.number + 1);
        let old: Vec<PathBuf> = segments.iter().map(|segment| segment.path.clone()).collect();
        let pieces = self.pieces(segments)?;
        let first = pieces.first().map_or(self.settled, |piece| piece.entries.start);
        let size = pieces.last().map_or(0, |piece| piece.entries.end);
        if first > self.settled || size < self.promised {
            return Err(RecordError::Truncated { first, end: size, size: self.promised });
        }
        let recovered = self.copy(&pieces, number, size)?;
        let kept = [&recovered.active.path, &self.layout.spare()];
        let temporary = self.temporary();
        for path in old.iter().chain(&others).filter(|path| !kept.contains(path) && **path != temporary) {
            let removed = self.disk.remove_file(path);
            removed.map_err(RecordError::on(Operation::Remove, path))?;
        }
        // Before the first new entry: an old segment beside it would look like a log that forks.
        Publisher::new(Arc::clone(self.disk), self.layout.root()).sync_dir_of(&recovered.active.path)?;
        Ok(recovered)
    }

    /// The new segment before it has its name. One that an interrupted recovery left is overwritten.
    fn temporary(&self) -> PathBuf {
        self.layout.wal().join("recovered.tmp")
    }

    /// The segments in the order in which they were made, and the other files beside them.
    fn segments(&self) -> Result<(Vec<Segment>, Vec<PathBuf>), RecordError> {
        let (mut segments, mut others) = (Vec::new(), Vec::new());
        for name in list_dir(&**self.disk, &self.layout.wal())? {
            let path = self.layout.wal().join(&name);
            let Some(first) = name.strip_suffix(".seg").and_then(|first| first.parse::<u64>().ok()) else {
                others.push(path);
                continue;
            };
            let file = self.disk.open(&path).map_err(RecordError::on(Operation::Open, &path))?;
            let bytes = file.len().map_err(RecordError::on(Operation::Stat, &path))?;
            let mut head = [0; HEADER_BYTES];
            file.read_at(&mut head, 0).map_err(RecordError::on(Operation::Read, &path))?;
            let corrupt = |reason| RecordError::Corrupt { path: path.clone(), offset: 0, reason };
            let header = Header::decode(&head).ok_or_else(|| corrupt("the header of the segment is damaged"))?;
            if header.first_index != first || header.log_id != self.log_id {
                return Err(corrupt("the segment belongs elsewhere"));
            }
            segments.push(Segment::new(header, path, file, bytes));
        }
        segments.sort_by_key(|segment| segment.header.number);
        Ok((segments, others))
    }

    /// The entries that count, in order and without a gap.
    ///
    /// A segment that begins before the end of the one before it is the copy of an interrupted recovery: what it holds
    /// goes before.
    fn pieces(&self, segments: Vec<Segment>) -> Result<Vec<Piece>, RecordError> {
        let needed = segments.iter().rposition(|segment| segment.header.first_index <= self.settled).unwrap_or(0);
        let last = segments.len().saturating_sub(1);
        let mut pieces: Vec<Piece> = Vec::new();
        for (position, segment) in segments.into_iter().enumerate().skip(needed) {
            let (piece, stopped) = self.piece(segment)?;
            if position == last && self.closed_with != Some(stopped.index) {
                refuse_corruption(&piece.segment, stopped)?;
            }
            let start = piece.segment.header.first_index;
            if let Some(before) = pieces.last().filter(|before| before.entries.end < start) {
                let reason = "entries between this segment and the one before it are missing";
                let path = before.segment.path.clone();
                return Err(RecordError::Corrupt { path, offset: before.offset + before.bytes, reason });
            }
            pieces.retain(|before| before.entries.start < start);
            if let Some(before) = pieces.last_mut() {
                before.entries.end = start;
            }
            pieces.push(piece);
        }
        Ok(pieces)
    }

    fn piece(&self, segment: Segment) -> Result<(Piece, Stopped), RecordError> {
        let first = segment.header.first_index;
        let mut offset = None;
        let mut window = Window::new(&*segment.file, segment.bytes);
        let stopped = scan(&mut window, segment.header.number, HEADER_BYTES as u64, first, |at, frame| {
            if frame.index >= self.settled && offset.is_none() {
                offset = Some((at, frame.index));
            }
            true
        });
        let stopped = stopped.map_err(RecordError::on(Operation::Read, &segment.path))?;
        let (offset, start) = offset.unwrap_or((stopped.offset, stopped.index));
        let piece = Piece { offset, entries: start..stopped.index, bytes: stopped.offset - offset, segment };
        Ok((piece, stopped))
    }

    fn copy(&self, pieces: &[Piece], number: u64, size: u64) -> Result<Recovered, RecordError> {
        let needed: u64 = pieces.iter().map(|piece| piece.bytes).sum();
        let bytes = self.first_segment_bytes + needed.next_multiple_of(4_096);
        let temporary = self.temporary();
        let file = make_zeros(&**self.disk, &temporary, bytes, || true)?;
        let header =
            Header { log_id: self.log_id, first_index: self.settled, number, created_unix_ns: self.now_unix_ns };
        let path = self.layout.segment(self.settled);
        let active = Segment::new(header, path.clone(), file, bytes);
        let mut copy = Copy {
            buffer: header.encode(),
            offset: 0,
            tail: Tail::new(self.settled, self.tail_bytes_max),
            partial: Vec::new(),
            active,
        };
        for piece in pieces {
            self.copy_piece(piece, &mut copy)?;
        }
        copy.flush().map_err(RecordError::on(Operation::Write, &temporary))?;
        copy.active.file.sync().map_err(RecordError::on(Operation::Sync, &temporary))?;
        let renamed = self.disk.rename(&temporary, &path);
        renamed.map_err(RecordError::on(Operation::Rename, &path))?;
        Publisher::new(Arc::clone(self.disk), self.layout.root()).sync_dir_of(&path)?;
        // COMMIT POINT: everything that the old segments held and that is needed survives a power cut without them.
        let Copy { offset, tail, partial, active, .. } = copy;
        let spare = self.spare()?;
        Ok(Recovered { active: Arc::new(active), offset, size, tail, partial, spare })
    }

    fn copy_piece(&self, piece: &Piece, copy: &mut Copy) -> Result<(), RecordError> {
        let mut window = Window::new(&*piece.segment.file, piece.segment.bytes);
        let mut failed = None;
        let Range { start, end } = piece.entries;
        let stopped = scan(&mut window, piece.segment.header.number, piece.offset, start, |_, frame| {
            if frame.index < end {
                failed = copy.add(frame.index, frame.body, self.checkpointed).err();
            }
            frame.index + 1 < end && failed.is_none()
        });
        if let Some(error) = failed {
            return Err(RecordError::disk(Operation::Write, &copy.active.path, error));
        }
        let stopped = stopped.map_err(RecordError::on(Operation::Read, &piece.segment.path))?;
        if stopped.index < end {
            let path = piece.segment.path.clone();
            return Err(RecordError::Corrupt { path, offset: stopped.offset, reason: "changed while it was read" });
        }
        Ok(())
    }

    /// A spare of the right size is as good as new: it gets its name only when it is whole and flushed, and its first
    /// entry only when it has another name.
    fn spare(&self) -> Result<Option<Spare>, RecordError> {
        let path = self.layout.spare();
        let Ok(file) = self.disk.open_writable(&path) else { return Ok(None) };
        let bytes = file.len().map_err(RecordError::on(Operation::Stat, &path))?;
        if bytes == self.segment_bytes {
            return Ok(Some(Spare { file, bytes }));
        }
        self.disk.remove_file(&path).map_err(RecordError::on(Operation::Remove, &path))?;
        Ok(None)
    }
}

fn refuse_corruption(segment: &Segment, stopped: Stopped) -> Result<(), RecordError> {
    let mut window = Window::new(&*segment.file, segment.bytes);
    let later = find_later_write(&mut window, segment.header.number, stopped);
    match later.map_err(RecordError::on(Operation::Read, &segment.path))? {
        None => Ok(()),
        Some(_) => Err(RecordError::Corrupt {
            path: segment.path.clone(),
            offset: stopped.offset,
            reason: "a damaged entry with later ones behind it: not the mark of a crash",
        }),
    }
}

/// A segment under construction.
struct Copy {
    active: Segment,
    buffer: Vec<u8>,
    offset: u64,
    tail: Tail,
    partial: Vec<Bytes>,
}

impl Copy {
    fn add(&mut self, index: u64, body: &[u8], checkpointed: u64) -> std::io::Result<()> {
        self.active.mark(index, self.offset + self.buffer.len() as u64);
        // All of it is flushed before the file gets its name, so each frame may count as a write of its own.
        encode(&mut self.buffer, self.active.header.number, index, 0, body);
        let entry = Bytes::copy_from_slice(body);
        if index < checkpointed {
            self.partial.push(entry.clone());
        }
        self.tail.push(entry.into());
        if self.buffer.len() >= COPY_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.active.file.write_at(&self.buffer, self.offset)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
