//! What we write, readers that we did not write must accept, and must refuse once it is altered.

use std::fs;

use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{Checkpoint as TheirCheckpoint, Hash, HashReader as _, Tile, TileHashReader, TileReader};

use super::*;

const ENTRIES: u64 = 700;

struct TheirTiles(PathBuf);

impl TileReader for TheirTiles {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let path = |tile: &Tile| self.0.join(tile.path().replacen("tile/8/", "tile/", 1));
        // A partial tile may be gone once the full one is there.
        let read = |tile: &Tile| {
            fs::read(path(tile)).or_else(|_| {
                let full = Tile::new(8, tile.level(), tile.level_index(), 256, false);
                let mut bytes = fs::read(path(&full))?;
                bytes.truncate(tile.width() as usize * 32);
                Ok::<_, std::io::Error>(bytes)
            })
        };
        Ok(tiles.iter().map(|tile| read(tile).unwrap()).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

async fn written() -> (Scratch, Log, Vec<Arc<crate::record::Checkpoint>>) {
    let scratch = Scratch::new();
    let (log, _) = Log::open(&config(scratch.path()), Arc::new(RealDisk), clock()).unwrap();
    let mut checkpoints = Vec::new();
    for (from, to) in [(0, 1), (1, 200), (200, 256), (256, 600), (600, ENTRIES)] {
        append_many(&log, from, to, 300).await.unwrap();
        checkpoints.push(log.checkpoint_now().await.unwrap());
    }
    (scratch, log, checkpoints)
}

#[tokio::test]
async fn signed_note_accepts_the_checkpoint_and_notices_changes() {
    let (scratch, log, _) = written().await;
    let vkey = fs::read_to_string(scratch.path().join("keys/log.vkey")).unwrap();
    let accepts = |bytes: &[u8]| {
        let verifier = StandardVerifier::new(vkey.trim_end()).unwrap();
        let list = VerifierList::new(vec![Box::new(verifier)]);
        Note::from_bytes(bytes).ok().and_then(|note| note.verify(&list).ok()).is_some_and(|(known, _)| known.len() == 1)
    };
    let note = fs::read(scratch.path().join("log/checkpoint")).unwrap();
    assert!(accepts(&note));
    let key = log.signing_key().log.public();
    let ours = |bytes: &[u8]| crate::record::Checkpoint::open(bytes, &log.instance().origin, &key).is_ok();
    assert!(ours(&note));
    for at in 0..note.len() {
        let mut altered = note.clone();
        altered[at] ^= 1;
        assert!(!ours(&altered), "byte {at}");
        assert!(!accepts(&altered), "byte {at}");
    }
    let body = Note::from_bytes(&note).unwrap();
    let checkpoint = TheirCheckpoint::from_bytes(body.text()).unwrap();
    assert_eq!(checkpoint.origin(), &*log.instance().origin);
    assert_eq!(checkpoint.size(), ENTRIES);
}

#[tokio::test]
async fn tlog_tiles_accepts_tiles_entries_and_proofs() {
    let (scratch, log, checkpoints) = written().await;
    let head = checkpoints.last().unwrap();
    let tiles = TheirTiles(scratch.path().join("log"));
    let root = Hash(head.root.0);
    let reader = TileHashReader::new(ENTRIES, root, &tiles);
    assert_eq!(tlog_tiles::tree_hash(ENTRIES, &reader).unwrap(), root);
    for (index, stored) in (0..).zip(read_all(&log)) {
        let leaf = tlog_tiles::record_hash(&stored);
        let theirs = reader.read_hashes(&[tlog_tiles::stored_hash_index(0, index)]).unwrap();
        assert_eq!(theirs, [leaf]);
        let proof = tree::inclusion_proof(&log.tiles().tree(ENTRIES), index, ENTRIES).unwrap();
        let proof: Vec<_> = proof.into_iter().map(|hash| Hash(hash.0)).collect();
        assert_eq!(tlog_tiles::prove_record(ENTRIES, index, &reader).unwrap(), proof);
        tlog_tiles::check_record(&proof, ENTRIES, root, index, leaf).unwrap();
    }
    for old in &checkpoints[..checkpoints.len() - 1] {
        let proof = tree::consistency_proof(&log.tiles().tree(ENTRIES), old.size, ENTRIES).unwrap();
        let theirs: Vec<_> = proof.iter().map(|hash| Hash(hash.0)).collect();
        assert_eq!(tlog_tiles::prove_tree(ENTRIES, old.size, &reader).unwrap(), theirs);
        tlog_tiles::check_tree(&theirs, ENTRIES, root, old.size, Hash(old.root.0)).unwrap();
    }
}

#[test]
fn tile_paths_are_those_of_tlog_tiles() {
    use crate::record::tiles::{Row, tile_path};
    for number in [0, 7, 999, 1_000, 1_234_067, 4_000_000_000] {
        for width in [0_u64, 1, 255] {
            let theirs = Tile::new(8, 3, number, if width == 0 { 256 } else { u32::try_from(width).unwrap() }, false);
            let ours = tile_path(Row::Level(3), number, width);
            assert_eq!(ours.to_str().unwrap(), theirs.path().replacen("tile/8/", "tile/", 1));
        }
    }
    assert_eq!(tile_path(Row::Entries, 1_234_067, 0).to_str().unwrap(), "tile/entries/x001/x234/067");
}
