//! Entries behind the checkpoint, from the write-ahead log. They are durable and signed; only their place in the tree is
//! not committed yet.
//!
//! The writer may be at work: what was whole once stays whole, so a second look tells a torn end from a damaged middle.

use std::path::Path;

use bytes::Bytes;

use super::files::{Fault, Files, reason};
use crate::record::disk::{Disk as _, Operation, RealDisk};
use crate::record::tiles::TILE_WIDTH;
use crate::record::wal::scan::{Stopped, Window, find_later_write, scan};
use crate::record::wal::segment::{HEADER_BYTES, Header, Segment};
use crate::record::{RecordError, publish};

/// A segment, and the entries of it that count.
struct Piece {
    segment: Segment,
    end: u64,
    stopped: Stopped,
}

/// Hands out the entries from `from` on, one after another. Returns the index behind the last, and the faults of files.
pub(in crate::record) fn read(
    files: &Files,
    origin: &str,
    from: u64,
    mut each: impl FnMut(u64, Bytes),
) -> (u64, Vec<Fault>) {
    let mut faults = Vec::new();
    let pieces = pieces(files, origin, from, &mut faults);
    let mut next = from;
    for (position, piece) in pieces.iter().enumerate() {
        let path = &piece.segment.path;
        let start = piece.segment.header.first_index;
        if start > next {
            // The checkpoint has moved on since it was read, and segments below it were removed.
            next = from_bundles(files, next, start, &mut each);
        }
        if start > next {
            faults.push(Fault::new(path, format!("entries {next} to {} are missing before it", start - 1)));
            break;
        }
        if next < piece.end {
            match entries(piece, next) {
                Ok(found) => {
                    for entry in found {
                        each(next, entry);
                        next += 1;
                    }
                }
                Err(error) => faults.push(Fault::new(path, reason(&error))),
            }
        }
        let last = position + 1 == pieces.len();
        if last && is_damaged(piece).unwrap_or(true) {
            let what = format!("a damaged entry at byte {} with later ones behind it", piece.stopped.offset);
            faults.push(Fault::new(path, what));
        }
    }
    (next, faults)
}

/// The segments that are needed, in the order in which they were made. One that begins before the end of the one before
/// it is the copy of an interrupted recovery: what it holds goes before.
fn pieces(files: &Files, origin: &str, from: u64, faults: &mut Vec<Fault>) -> Vec<Piece> {
    let directory = files.layout.wal();
    let names = publish::list_dir(&RealDisk, &directory).unwrap_or_else(|error| {
        faults.push(Fault::new(&directory, reason(&error)));
        Vec::new()
    });
    let mut segments = Vec::new();
    for first in names.iter().filter_map(|name| name.strip_suffix(".seg")?.parse().ok()) {
        let path = files.layout.segment(first);
        match open(&path, first, origin) {
            Ok(Some(segment)) => segments.push(segment),
            // Removed between the look at the directory and this one.
            Ok(None) => {}
            Err(error) => faults.push(Fault::new(&path, reason(&error))),
        }
    }
    segments.sort_by_key(|segment: &Segment| segment.header.number);
    let needed = segments.iter().rposition(|segment| segment.header.first_index <= from).unwrap_or(0);
    let mut pieces: Vec<Piece> = Vec::new();
    for segment in segments.into_iter().skip(needed) {
        let mut window = Window::new(&*segment.file, segment.bytes);
        let (first, start) = (segment.header.first_index, HEADER_BYTES as u64);
        match scan(&mut window, segment.header.number, start, first, |_, _| true) {
            Ok(stopped) => {
                pieces.retain(|before| before.segment.header.first_index < first);
                if let Some(before) = pieces.last_mut() {
                    before.end = before.end.min(first);
                }
                pieces.push(Piece { segment, end: stopped.index, stopped });
            }
            Err(error) => faults.push(Fault::new(&segment.path, format!("cannot be read: {error}"))),
        }
    }
    pieces
}

fn open(path: &Path, first: u64, origin: &str) -> Result<Option<Segment>, RecordError> {
    let corrupt = |reason| RecordError::Corrupt { path: path.to_owned(), offset: 0, reason };
    let file = match RealDisk.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(RecordError::on(Operation::Open, path))?,
    };
    let bytes = file.len().map_err(RecordError::on(Operation::Stat, path))?;
    let mut head = [0; HEADER_BYTES];
    file.read_at(&mut head, 0).map_err(RecordError::on(Operation::Read, path))?;
    let header = Header::decode(&head).ok_or_else(|| corrupt("the header of the segment is damaged"))?;
    if header.first_index != first || header.log_id != Header::log_id(origin) {
        return Err(corrupt("the segment belongs elsewhere"));
    }
    Ok(Some(Segment::new(header, path.to_owned(), file, bytes)))
}

/// The entries of a piece from `from` on; a few at a time would save memory, but a segment is small.
fn entries(piece: &Piece, from: u64) -> Result<Vec<Bytes>, RecordError> {
    piece.segment.read(from, piece.end, |_| false)
}

/// Full bundles may go further than the checkpoint.
fn from_bundles(files: &Files, mut next: u64, end: u64, each: &mut impl FnMut(u64, Bytes)) -> u64 {
    while next < end {
        let Ok(bundle) = files.bundle(next / TILE_WIDTH, TILE_WIDTH) else { break };
        let skip = usize::try_from(next % TILE_WIDTH).unwrap_or(usize::MAX);
        for entry in bundle.items.into_iter().skip(skip) {
            each(next, entry);
            next += 1;
        }
    }
    next
}

/// Whether something was written behind the end of the last segment, and the end stays where it is.
fn is_damaged(piece: &Piece) -> std::io::Result<bool> {
    let segment = &piece.segment;
    let look =
        || find_later_write(&mut Window::new(&*segment.file, segment.bytes), segment.header.number, piece.stopped);
    if look()?.is_none() {
        return Ok(false);
    }
    let Stopped { offset, index } = piece.stopped;
    let mut window = Window::new(&*segment.file, segment.bytes);
    let again = scan(&mut window, segment.header.number, offset, index, |_, _| false)?;
    Ok(again.index == index)
}
