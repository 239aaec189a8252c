//! The tree of RFC 6962, against its definition and the vectors of Certificate Transparency.

use std::convert::Infallible;

use crate::model::Digest;
use crate::record::merkle::{
    Nodes, consistency_proof, empty_root, inclusion_proof, leaf_hash, node_hash, root, verify_consistency,
    verify_inclusion,
};

/// The plainest possible tree: the definition of RFC 6962 §2.1, over all leaves.
struct Plain(Vec<Digest>);

impl Plain {
    fn root(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node_hash(Self::root(left), Self::root(right))
            }
        }
    }
}

impl Nodes for Plain {
    type Error = Infallible;

    fn node(&self, level: u32, index: u64) -> Result<Digest, Infallible> {
        let at = |index: u64| usize::try_from(index << level).unwrap();
        Ok(Self::root(&self.0[at(index)..at(index + 1)]))
    }
}

/// The eight leaves and roots that the reference implementation of Certificate Transparency is tested with.
const LEAVES: [&[u8]; 8] = [
    b"",
    &[0x00],
    &[0x10],
    &[0x20, 0x21],
    &[0x30, 0x31],
    &[0x40, 0x41, 0x42, 0x43],
    &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
    &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn golden() -> Plain {
    Plain(LEAVES.iter().map(|leaf| leaf_hash(leaf)).collect())
}

fn numbered(size: u64) -> Plain {
    Plain((0..size).map(|index| leaf_hash(&index.to_be_bytes())).collect())
}

#[test]
fn gives_the_golden_roots() {
    for (size, hex) in (0..).zip(ROOTS) {
        assert_eq!(root(&golden(), size), Ok(Digest::parse(hex).unwrap()), "size {size}");
    }
}

#[test]
fn gives_the_golden_proofs() {
    let proof = |hashes: &[&str]| hashes.iter().map(|hex| Digest::parse(hex).unwrap()).collect::<Vec<_>>();
    let fifth = proof(&[
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]);
    assert_eq!(inclusion_proof(&golden(), 5, 8).unwrap().len(), 3);
    assert_eq!(inclusion_proof(&golden(), 5, 8), Ok(fifth));
    let whole = proof(&["5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"]);
    assert_eq!(inclusion_proof(&golden(), 2, 3).unwrap().len(), 1);
    assert_eq!(consistency_proof(&golden(), 2, 3).unwrap(), inclusion_proof(&golden(), 0, 3).unwrap()[1..]);
    assert_eq!(consistency_proof(&golden(), 6, 8).unwrap().len(), 3);
    assert_eq!(consistency_proof(&golden(), 2, 4), Ok(whole));
}

#[test]
fn every_proof_of_small_trees_verifies_and_no_altered_one_does() {
    let tree = numbered(40);
    for size in 1..=40 {
        let head = root(&tree, size).unwrap();
        for index in 0..size {
            let leaf = leaf_hash(&index.to_be_bytes());
            let mut proof = inclusion_proof(&tree, index, size).unwrap();
            assert!(verify_inclusion(&proof, index, size, leaf, head));
            assert!(!verify_inclusion(&proof, (index + 1) % (size + 1), size, leaf, head));
            assert!(!verify_inclusion(&proof, index, size, empty_root(), head));
            proof.push(head);
            assert!(!verify_inclusion(&proof, index, size, leaf, head));
        }
        for old in 0..=size {
            let (then, now) = ((old, root(&tree, old).unwrap()), (size, head));
            let proof = consistency_proof(&tree, old, size).unwrap();
            assert!(verify_consistency(&proof, then, now), "{old} {size}");
            assert!(!verify_consistency(&proof, (old, leaf_hash(b"fork")), now), "{old} {size}");
            for at in 0..proof.len() {
                let mut altered = proof.clone();
                altered[at].0[7] ^= 1;
                assert!(!verify_consistency(&altered, then, now), "{old} {size} {at}");
            }
        }
    }
}
