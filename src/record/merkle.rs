//! The Merkle tree of RFC 6962 §2.1 over SHA-256: hashes, roots, and proofs with their verification.
//!
//! ```text
//! leaf  = SHA-256(0x00 ‖ entry)        node = SHA-256(0x01 ‖ left ‖ right)        empty tree = SHA-256("")
//! ```
//!
//! Pure: where the hashes lie is the business of whoever implements [`Nodes`].

use crate::model::Digest;

/// No proof has more hashes than a tree of 2^63 entries needs (C2SP tlog-witness has the same bound).
pub const PROOF_HASHES_MAX: usize = 63;

/// The hash of a leaf.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], entry])
}

/// The hash of an inner node.
#[must_use]
pub fn node_hash(left: Digest, right: Digest) -> Digest {
    Digest::of_parts(&[&[1], &left.0, &right.0])
}

/// The root of the tree without entries.
#[must_use]
pub fn empty_root() -> Digest {
    Digest::of(b"")
}

/// The root over a number of hashes that is a power of two; the hash itself over one.
pub(crate) fn perfect_root(hashes: &[Digest]) -> Digest {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        let pairs = row.chunks(2).map(|pair| match *pair {
            [left, right] => node_hash(left, right),
            _ => pair.first().copied().unwrap_or_else(empty_root),
        });
        row = pairs.collect();
    }
    row.first().copied().unwrap_or_else(empty_root)
}

/// Where the hashes of perfect subtrees come from.
pub trait Nodes {
    /// Why a hash could not be had.
    type Error;

    /// The root of the perfect subtree over the entries `index << level` to `(index + 1) << level`.
    ///
    /// # Errors
    /// When it is not there.
    fn node(&self, level: u32, index: u64) -> Result<Digest, Self::Error>;
}

/// The root of the tree of the first `size` entries.
///
/// # Errors
/// Those of `nodes`.
pub fn root<N: Nodes>(nodes: &N, size: u64) -> Result<Digest, N::Error> {
    if size == 0 { Ok(empty_root()) } else { range(nodes, 0, size) }
}

/// The audit path of the entry `index` in the tree of `size` entries, sibling first (RFC 6962 §2.1.1). Empty when the
/// tree does not hold the entry.
///
/// # Errors
/// Those of `nodes`.
pub fn inclusion_proof<N: Nodes>(nodes: &N, index: u64, size: u64) -> Result<Vec<Digest>, N::Error> {
    let mut path = Vec::new();
    let (mut low, mut high) = (0, size);
    while index < size && high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(range(nodes, middle, high)?);
            high = middle;
        } else {
            path.push(range(nodes, low, middle)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `old` entries is a prefix of the tree of `new` (RFC 6962 §2.1.2). Empty when `old` is 0
/// or not less than `new`.
///
/// # Errors
/// Those of `nodes`.
pub fn consistency_proof<N: Nodes>(nodes: &N, old: u64, new: u64) -> Result<Vec<Digest>, N::Error> {
    let mut path = Vec::new();
    if old == 0 || old >= new {
        return Ok(path);
    }
    let (mut low, mut high, mut whole) = (0, new, true);
    while old != high {
        let middle = low + split(high - low);
        if old <= middle {
            path.push(range(nodes, middle, high)?);
            high = middle;
        } else {
            path.push(range(nodes, low, middle)?);
            low = middle;
            whole = false;
        }
    }
    if !whole {
        path.push(range(nodes, low, high)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether `proof` shows that `leaf` is the entry `index` of the tree of `size` entries with this root (RFC 9162
/// §2.1.3.2).
#[must_use]
pub fn verify_inclusion(proof: &[Digest], index: u64, size: u64, leaf: Digest, root: Digest) -> bool {
    if index >= size || proof.len() > PROOF_HASHES_MAX {
        return false;
    }
    let (mut place, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = node_hash(*sibling, hash);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(hash, *sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && hash == root
}

/// Whether `proof` shows that the tree of `old` entries is a prefix of the tree of `new` (RFC 9162 §2.1.4.2).
#[must_use]
pub fn verify_consistency(proof: &[Digest], old: (u64, Digest), new: (u64, Digest)) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == 0 || old_size >= new_size {
        let same = old_size == new_size && old_root == new_root;
        let from_nothing = old_size == 0 && old_root == empty_root();
        return proof.is_empty() && (same || from_nothing && old_size < new_size);
    }
    let whole = old_size.is_power_of_two().then_some(old_root);
    let mut hashes = whole.into_iter().chain(proof.iter().copied());
    let Some(first) = hashes.next().filter(|_| proof.len() <= PROOF_HASHES_MAX) else { return false };
    let (mut place, mut last) = (old_size - 1, new_size - 1);
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in hashes {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            old_hash = node_hash(sibling, old_hash);
            new_hash = node_hash(sibling, new_hash);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(new_hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == old_root && new_hash == new_root
}

/// The largest power of two below `n`, which is at least 2.
const fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// The hash over the entries `low` to `high`: a subtree of a tree of RFC 6962, so `low` is a multiple of its size
/// rounded up to a power of two.
fn range<N: Nodes>(nodes: &N, low: u64, high: u64) -> Result<Digest, N::Error> {
    let count = high - low;
    if count.is_power_of_two() {
        let level = count.ilog2();
        return nodes.node(level, low >> level);
    }
    let middle = low + split(count);
    let left = range(nodes, low, middle)?;
    Ok(node_hash(left, range(nodes, middle, high)?))
}
