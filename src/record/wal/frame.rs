//! One entry in a segment. Pure: bytes in, bytes out.

use crate::record::tiles::ENTRY_BYTES_MAX;

/// Length, place, checksum, index.
pub(crate) const FRAME_HEADER_BYTES: usize = 16;

/// The largest frame: header, body, padding.
pub(crate) const FRAME_BYTES_MAX: usize = (FRAME_HEADER_BYTES + ENTRY_BYTES_MAX).next_multiple_of(ALIGNMENT);

/// Frames begin at multiples of this, so that a length never lies across two sectors.
pub(crate) const ALIGNMENT: usize = 8;

/// What stands at a place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded<'a> {
    /// Nothing was written here.
    Empty,
    /// A whole frame of this segment.
    Frame(Frame<'a>),
    /// Something that is no frame of this segment.
    Invalid,
}

/// A whole frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) index: u64,
    /// Frames of the same write before this one.
    pub(crate) place: u16,
    pub(crate) body: &'a [u8],
}

impl Frame<'_> {
    /// Bytes in the segment, padding included.
    pub(crate) const fn bytes(&self) -> usize {
        frame_bytes(self.body.len())
    }
}

/// Bytes in the segment of an entry of this length.
pub(crate) const fn frame_bytes(entry_bytes: usize) -> usize {
    (FRAME_HEADER_BYTES + entry_bytes).next_multiple_of(ALIGNMENT)
}

/// Appends a frame. The body has 1 to 65,535 bytes: the log refuses others before they get here.
pub(crate) fn encode(out: &mut Vec<u8>, segment_number: u64, index: u64, place: u16, body: &[u8]) {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    let checksum = checksum(segment_number, index, length, place, body);
    let end = out.len() + frame_bytes(body.len());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&place.to_le_bytes());
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(&index.to_le_bytes());
    out.extend_from_slice(body);
    out.resize(end, 0);
}

/// Reads what stands at the start of `bytes`.
pub(crate) fn decode(bytes: &[u8], segment_number: u64) -> Decoded<'_> {
    let Some((&[l0, l1, p0, p1, c0, c1, c2, c3, index @ ..], body)) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>()
    else {
        return Decoded::Empty;
    };
    let length = u16::from_le_bytes([l0, l1]);
    let place = u16::from_le_bytes([p0, p1]);
    let index = u64::from_le_bytes(index);
    if length == 0 {
        return Decoded::Empty;
    }
    let Some(body) = body.get(..usize::from(length)) else { return Decoded::Invalid };
    if checksum(segment_number, index, length, place, body) == u32::from_le_bytes([c0, c1, c2, c3]) {
        Decoded::Frame(Frame { index, place, body })
    } else {
        Decoded::Invalid
    }
}

fn checksum(segment_number: u64, index: u64, length: u16, place: u16, body: &[u8]) -> u32 {
    let mut head = [0; 20];
    let numbers = segment_number.to_le_bytes().into_iter().chain(index.to_le_bytes());
    let numbers = numbers.chain(length.to_le_bytes()).chain(place.to_le_bytes());
    head.iter_mut().zip(numbers).for_each(|(place, byte)| *place = byte);
    crc32c::crc32c_append(crc32c::crc32c(&head), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses_other_segments() {
        for length in [1, 7, 8, 9, 4_096, ENTRY_BYTES_MAX] {
            let body = vec![0xa5; length];
            let mut out = Vec::new();
            encode(&mut out, 9, 77, 3, &body);
            assert_eq!(out.len(), frame_bytes(length));
            assert_eq!(out.len() % ALIGNMENT, 0);
            assert_eq!(decode(&out, 9), Decoded::Frame(Frame { index: 77, place: 3, body: &body }));
            assert_eq!(decode(&out, 8), Decoded::Invalid);
        }
        assert_eq!(decode(&[0; 64], 9), Decoded::Empty);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut out = Vec::new();
        encode(&mut out, 1, 2, 0, b"entry");
        for bit in 0..(FRAME_HEADER_BYTES + 5) * 8 {
            out[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(decode(&out, 1), Decoded::Frame(_)), "bit {bit}");
            out[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
