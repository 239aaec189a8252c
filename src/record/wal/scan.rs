//! Reads a segment from start to end, and tells a torn tail from a corrupt middle.

use std::io;

use super::frame::{ALIGNMENT, Decoded, FRAME_BYTES_MAX, Frame, decode};
use crate::record::disk::DiskFile;

/// Bytes read at once.
const CHUNK_BYTES: usize = 256 << 10;

const ZEROS: [u8; 4096] = [0; 4096];

/// A file, seen through a buffer that moves forward.
pub(crate) struct Window<'a> {
    file: &'a dyn DiskFile,
    file_bytes: u64,
    start: u64,
    /// What is read of the buffer, from its start.
    held: usize,
    buffer: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(crate) const fn new(file: &'a dyn DiskFile, file_bytes: u64) -> Self {
        Self { file, file_bytes, start: 0, held: 0, buffer: Vec::new() }
    }

    /// What is at `offset`: at least a whole frame's worth, or all that is left.
    pub(crate) fn at(&mut self, offset: u64) -> io::Result<&[u8]> {
        let left = usize::try_from(self.file_bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let skip = offset.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        let ahead = skip.map_or(0, |skip| self.held.saturating_sub(skip));
        if ahead < FRAME_BYTES_MAX.min(left) {
            if self.buffer.is_empty() {
                self.buffer = vec![0; CHUNK_BYTES.min(left)];
            }
            self.held = self.file.read_at(&mut self.buffer, offset)?;
            self.start = offset;
        }
        let skip = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        Ok(self.buffer.get(skip..self.held).unwrap_or_default())
    }
}

/// Where a scan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped {
    /// The place behind the last frame.
    pub(crate) offset: u64,
    /// The index behind the last frame.
    pub(crate) index: u64,
}

/// Visits frame after frame from `offset`, which holds `index`, until one is missing, invalid or out of order, or
/// `visit` (place, frame) says no more.
pub(crate) fn scan(
    window: &mut Window<'_>,
    segment_number: u64,
    mut offset: u64,
    mut index: u64,
    mut visit: impl FnMut(u64, &Frame<'_>) -> bool,
) -> io::Result<Stopped> {
    loop {
        let frame = match decode(window.at(offset)?, segment_number) {
            Decoded::Frame(frame) if frame.index == index => frame,
            _ => break,
        };
        let (at, more) = (offset, visit(offset, &frame));
        offset = at + frame.bytes() as u64;
        index += 1;
        if !more {
            break;
        }
    }
    Ok(Stopped { offset, index })
}

/// Looks behind the end of a scan for a frame that cannot be there after a torn write: one of a later write than the
/// frame that is missing. Returns its place.
pub(crate) fn find_later_write(
    window: &mut Window<'_>,
    segment_number: u64,
    stopped: Stopped,
) -> io::Result<Option<u64>> {
    let mut offset = stopped.offset;
    loop {
        let bytes = window.at(offset)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.starts_with(&ZEROS) {
            offset += ZEROS.len() as u64;
            continue;
        }
        if let Some((place, index)) = plausible(bytes)
            && index.checked_sub(place).is_some_and(|first_of_write| first_of_write > stopped.index)
            && matches!(decode(bytes, segment_number), Decoded::Frame(_))
        {
            return Ok(Some(offset));
        }
        offset += ALIGNMENT as u64;
    }
}

/// Place and index of what may be a frame: cheap, before the checksum is worth its time.
fn plausible(bytes: &[u8]) -> Option<(u64, u64)> {
    let &[l0, l1, p0, p1, _, _, _, _, index @ ..] = bytes.first_chunk::<16>()?;
    let place = u64::from(u16::from_le_bytes([p0, p1]));
    (u16::from_le_bytes([l0, l1]) > 0).then(|| (place, u64::from_le_bytes(index)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::frame::encode;
    use super::*;
    use crate::record::disk::{Disk as _, FaultyDisk};

    const NUMBER: u64 = 3;
    const FIRST: u64 = 100;

    fn file(bytes: &[u8]) -> Box<dyn DiskFile> {
        let file = FaultyDisk::new().create(Path::new("/segment"), 0o600).unwrap();
        file.write_at(bytes, 0).unwrap();
        file
    }

    fn run(bytes: &[u8]) -> (u64, Option<u64>) {
        let file = file(bytes);
        let mut window = Window::new(&*file, bytes.len() as u64);
        let stopped = scan(&mut window, NUMBER, 0, FIRST, |_, _| true).unwrap();
        (stopped.index - FIRST, find_later_write(&mut window, NUMBER, stopped).unwrap())
    }

    /// Forty frames in writes of `per_write`, and where each ends.
    fn image(per_write: u16) -> (Vec<u8>, Vec<usize>) {
        let (mut out, mut ends) = (Vec::new(), Vec::new());
        for number in 0..40_u16 {
            let body = vec![b'a' + u8::try_from(number % 26).unwrap(); usize::from(number * 7 % 97 + 1)];
            encode(&mut out, NUMBER, FIRST + u64::from(number), number % per_write, &body);
            ends.push(out.len());
        }
        (out, ends)
    }

    #[test]
    fn a_torn_tail_at_every_byte_keeps_every_whole_frame() {
        let (image, ends) = image(40);
        for cut in 0..=image.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count() as u64;
            // What follows the cut: the end of the file, the zeros of a preallocated one, or garbage.
            for tail in [&[][..], &[0; 9_000], &[0xff; 999]] {
                let torn = [&image[..cut], tail].concat();
                let (found, later) = run(&torn);
                // Padding is not covered by the checksum: the last frame may be whole without it.
                assert!(found == whole || found == whole + 1 && !ends.contains(&cut), "cut {cut}: {found} of {whole}");
                assert_eq!(later, None, "cut {cut}");
            }
        }
    }

    #[test]
    fn frames_of_the_torn_write_itself_are_no_corruption() {
        let (mut image, ends) = image(8);
        image.truncate(ends[23]);
        // The write of the frames 16 to 23 was under way: some of its sectors are there, others are not.
        for lost in 16..24 {
            let mut torn = image.clone();
            torn[ends[lost - 1]..ends[lost]].fill(0);
            assert_eq!(run(&torn), (lost as u64, None));
        }
    }

    #[test]
    fn a_frame_of_a_later_write_shows_corruption() {
        let (image, ends) = image(8);
        for lost in 0..32 {
            let start = if lost == 0 { 0 } else { ends[lost - 1] };
            let next_write = lost.next_multiple_of(8) + if lost % 8 == 0 { 8 } else { 0 };
            for fill in [0, 0xff] {
                let mut corrupt = image.clone();
                corrupt[start..ends[lost]].fill(fill);
                assert_eq!(run(&corrupt), (lost as u64, Some(ends[next_write - 1] as u64)), "frame {lost}");
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_frames() {
        let mut seed = 0x9e37_79b9_u32;
        let noise = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        });
        let noise: Vec<u8> = noise.take(100_000).collect();
        assert_eq!(run(&noise), (0, None));
    }
}
