//! Deterministic randomness: everything that varies in the embedded cluster varies by a seed, never by chance.

/// A small generator (splitmix64): the same seed gives the same numbers on every machine.
#[derive(Debug, Clone)]
pub struct Noise(u64);

impl Noise {
    /// A generator for this seed and purpose; different purposes of one seed are independent of each other.
    pub fn new(seed: u64, purpose: &str) -> Self {
        Self(seed ^ (hash128(&[purpose]) as u64))
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in 0..1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in -1..1.
    pub fn signed(&mut self) -> f64 {
        2.0 * self.unit() - 1.0
    }

    /// 128 random bits, for ids.
    pub fn id(&mut self) -> u128 {
        (u128::from(self.bits()) << 64) | u128::from(self.bits())
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stable 128-bit hash of texts, for ids that must be the same in every run (vertex ids follow from names, as Flink's do
/// from operator uids).
pub fn hash128(parts: &[&str]) -> u128 {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash ^= u128::from(byte);
            hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
    (u128::from(mix((hash >> 64) as u64)) << 64) | u128::from(mix(hash as u64 ^ (hash >> 64) as u64))
}
