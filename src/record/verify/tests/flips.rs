//! Every single-byte flip in what the current checkpoint commits to is noticed.
//!
//! Flipping each byte of a log and running the whole verifier every time would take hours. So the whole verifier sees a
//! sample, at least some of every file; every byte is flipped before the functions that the verifier compares files with:
//! framing of the bundle and leaf hash of the entry against the lowest tile, tiles against the tree of the entries, the
//! checkpoint against its key. Lengths, tiles and checkpoint are flipped in all eight bits of each byte, entries in one
//! bit of each, a different one from byte to byte.

use super::*;
use crate::record::tiles::{Edge, decode_bundle, decode_tile};

const ENTRIES: usize = 300;
/// Flips per file that the whole verifier sees.
const SAMPLES: usize = 12;

/// Files of the log: current ones only, nothing that an earlier checkpoint needed.
const FILES: [&str; 6] =
    ["checkpoint", "tile/entries/000", "tile/entries/001.p/44", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"];

async fn written() -> (Made, Forged) {
    let mut made = Made::begin();
    made.act_many(40).await;
    while made.recorder.size() < ENTRIES as u64 {
        made.note().await;
    }
    let entries = made.entries();
    let forged = made.forge(&entries[..ENTRIES]);
    let report = verify(&forged.dir);
    assert_eq!((report.problems.len(), report.size), (0, ENTRIES as u64));
    (made, forged)
}

#[tokio::test]
async fn every_flipped_byte_is_noticed() {
    let (made, forged) = written().await;
    let entries = &made.entries()[..ENTRIES];
    let read = |name: &str| fs::read(forged.dir.join("log").join(name)).unwrap();
    let mut edge = Edge::default();
    let mut tiles = Vec::new();
    entries
        .iter()
        .for_each(|entry| edge.push(leaf_hash(entry), |tile| tiles.push((tile.level, tile.number, tile.hashes))));
    tiles.extend(edge.partial_tiles().map(|(level, number, hashes)| (level, number, hashes.to_vec())));
    assert_eq!(tiles.len(), 3, "every tile is looked at");
    let mut flips = 0_u64;
    for (level, number, hashes) in tiles {
        let path = tile_path(Row::Level(level), number, hashes.len() as u64 % TILE_WIDTH);
        flips += each_flip(&read(path.to_str().unwrap()), |flipped| decode_tile(flipped) != Some(hashes.clone()));
    }
    for (number, held) in entries.chunks(256).enumerate() {
        let path = tile_path(Row::Entries, number as u64, held.len() as u64 % TILE_WIDTH);
        flips += flip_bundle(&read(path.to_str().unwrap()), held);
    }
    let log = made.recorder.log();
    let key = log.signing_key().log.public();
    let opens = |note: &[u8]| Checkpoint::open(note, &log.instance().origin, &key).is_ok();
    assert!(opens(&read("checkpoint")));
    flips += each_flip(&read("checkpoint"), |flipped| !opens(flipped));
    let bytes: usize = FILES.iter().map(|name| read(name).len()).sum();
    let of_entries: usize = entries.iter().map(|entry| entry.len()).sum();
    assert_eq!(flips, (8 * bytes - 7 * of_entries) as u64, "every byte of every file was flipped");
}

/// Flips one bit of every byte; each must be noticed. Returns how many there were.
fn each_byte(bytes: &[u8], noticed: impl Fn(&[u8]) -> bool) -> u64 {
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len() {
        bytes[at] ^= 1 << (at % 8);
        assert!(noticed(&bytes), "byte {at}");
        bytes[at] ^= 1 << (at % 8);
    }
    bytes.len() as u64
}

/// Flips every bit; each must be noticed. Returns how many there were.
fn each_flip(bytes: &[u8], noticed: impl Fn(&[u8]) -> bool) -> u64 {
    let mut bytes = bytes.to_vec();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(noticed(&bytes), "bit {} of byte {}", bit % 8, bit / 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    bytes.len() as u64 * 8
}

/// A flip in a length moves every entry behind it, so the whole bundle is looked at; a flip in an entry changes that
/// entry alone.
fn flip_bundle(bundle: &[u8], held: &[Bytes]) -> u64 {
    let leaves: Vec<Digest> = held.iter().map(|entry| leaf_hash(entry)).collect();
    let differs = |bundle: &[u8]| {
        let found = decode_bundle(&Bytes::copy_from_slice(bundle));
        found.is_none_or(|found| {
            found.len() != leaves.len() || found.iter().zip(&leaves).any(|(entry, leaf)| leaf_hash(entry) != *leaf)
        })
    };
    assert!(!differs(bundle));
    let (mut flips, mut start) = (0, 0);
    let mut flipped = bundle.to_vec();
    for (entry, leaf) in held.iter().zip(&leaves) {
        for bit in 0..16 {
            flipped[start + bit / 8] ^= 1 << (bit % 8);
            assert!(differs(&flipped), "length at {start}");
            flipped[start + bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(&bundle[start + 2..start + 2 + entry.len()], entry, "the bundle holds the entry here");
        flips += 16 + each_byte(entry, |entry| leaf_hash(entry) != *leaf);
        start += 2 + entry.len();
    }
    assert_eq!(start, bundle.len());
    flips
}

#[tokio::test]
async fn a_sample_of_flips_fails_the_whole_verifier() {
    let (_made, forged) = written().await;
    for name in FILES {
        let path = forged.dir.join("log").join(name);
        let good = fs::read(&path).unwrap();
        for sample in 0..SAMPLES {
            // Spread over the file, and over the bits of a byte.
            let at = sample * (good.len() - 1) / (SAMPLES - 1);
            let mut bad = good.clone();
            bad[at] ^= 1 << (sample % 8);
            fs::write(&path, &bad).unwrap();
            let report = verify(&forged.dir);
            assert_eq!(report.verdict(), Verdict::Fault, "byte {at} of {name}");
            let named = |problem: &Problem| problem.index.is_some() || problem.file.as_ref() == Some(&path);
            assert!(report.problems.iter().any(named), "byte {at} of {name}: {:#?}", report.problems);
        }
        fs::write(&path, good).unwrap();
    }
    assert_in_order(&verify(&forged.dir));
}
