//! The write-ahead log: preallocated segment files of framed entries, written by one thread, scanned at start.
//!
//! ```text
//! segment   header[64] frame frame frame … zeros              wal/<first index, 20 digits>.seg
//! frame     u16 length | u16 place | u32 crc32c | u64 index | body | zeros to a multiple of 8      little endian
//! ```
//!
//! `place` says how many frames of the same write stand before this one. A write begins only after the sync of the
//! write before it, so a valid frame proves that every write before its own was durable: behind a torn write there can
//! be frames of that same write, in any selection, but never one of a later write. That tells a torn tail, which is
//! dropped, from a corrupt middle, which is refused. The checksum is for torn writes only; integrity comes from the
//! tree. It covers the number of the segment, so that frames of another file are never taken for its own.

pub(crate) mod frame;
pub(crate) mod scan;
pub(crate) mod segment;
pub(crate) mod spare;
