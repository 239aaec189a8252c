//! Latencies in logarithmic ranges of 1,024 equal steps: every value is kept to three digits, whatever its size.

/// Steps in each range between two powers of two: an error of at most one in a thousand.
const STEPS: u64 = 1 << STEP_BITS;
const STEP_BITS: u32 = 10;
/// The largest value that is told apart: 2^36 ns, 68 seconds. A call that takes longer than this ran into the client's
/// own time-out long before.
const VALUE_MAX: u64 = (1 << 36) - 1;

/// How often each latency was seen. Values are nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u32>,
    total: u64,
    largest: u64,
}

impl Histogram {
    /// Nothing seen yet.
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; position(VALUE_MAX) + 1], total: 0, largest: 0 }
    }

    /// Notes one value.
    pub(crate) fn record(&mut self, value_ns: u64) {
        if let Some(count) = self.counts.get_mut(position(value_ns.min(VALUE_MAX))) {
            *count += 1;
        }
        self.total += 1;
        self.largest = self.largest.max(value_ns);
    }

    /// Adds all values of `other`.
    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.largest = self.largest.max(other.largest);
    }

    /// How many values were seen.
    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    /// The value that a share of `per_ten_thousand` / 10,000 of all values does not pass (5,000 is the median, 9,990 the
    /// 99.9th percentile), in nanoseconds. `None` when nothing was seen.
    pub(crate) fn quantile_ns(&self, per_ten_thousand: u64) -> Option<u64> {
        let rank = (self.total * per_ten_thousand).div_ceil(10_000).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return Some(upper_end(index).min(self.largest));
            }
        }
        None
    }
}

fn position(value: u64) -> usize {
    let shift = shift_of(value);
    usize::try_from(u64::from(shift) * STEPS + (value >> shift)).unwrap_or(usize::MAX)
}

fn shift_of(value: u64) -> u32 {
    (u64::BITS - value.leading_zeros()).saturating_sub(STEP_BITS + 1)
}

/// The largest value that falls on `position`.
fn upper_end(position: usize) -> u64 {
    let position = position as u64;
    let shift = (position / STEPS).saturating_sub(1);
    ((position - shift * STEPS + 1) << shift) - 1
}

/// Checks the histogram against a plain sort of the same values.
///
/// # Errors
/// What differs.
pub(crate) fn check() -> Result<(), String> {
    let mut histogram = Histogram::new();
    let mut half = Histogram::new();
    let mut sorted = Vec::new();
    let mut state = 88_172_645_463_325_252_u64;
    for turn in 0..20_000_u32 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let value = state >> (28 + turn % 30);
        sorted.push(value);
        if turn % 2 == 0 { histogram.record(value) } else { half.record(value) }
    }
    histogram.add(&half);
    sorted.sort_unstable();
    for share in [1_u64, 1_000, 5_000, 9_000, 9_900, 9_990, 10_000] {
        let rank = usize::try_from((20_000 * share).div_ceil(10_000).max(1)).unwrap_or_default();
        let exact = sorted.get(rank - 1).copied().unwrap_or_default();
        let told = histogram.quantile_ns(share).unwrap_or_default();
        if told < exact || told - exact > exact / 1_000 {
            return Err(format!("histogram: quantile {share} is {exact}, not {told}"));
        }
    }
    if histogram.count() != 20_000 {
        return Err(format!("histogram: counted {} of 20000", histogram.count()));
    }
    Ok(())
}
