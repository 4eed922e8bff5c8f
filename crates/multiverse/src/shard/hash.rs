//! PostgreSQL's hash functions with a seed, as hash partitioning uses them.
//!
//! They are those of `access/hashfunc.c` and `common/hashfn.c` on a little-endian machine: Bob Jenkins' lookup3, whose two
//! last words together are the hash of 64 bits. `satisfies_hash_partition` tells the truth about them.

/// The seed of hash partitioning.
const PARTITION_SEED: u64 = 0x7A5B_2236_7996_DCFD;
/// What combining with an empty hash adds.
const COMBINED: u64 = 0x49a0_f4dd_15e5_a8e3;

/// The partition among so many in which PostgreSQL puts a row whose only key has this hash; `None` is the hash of NULL.
pub(crate) fn partition_of(hash: Option<u64>, partitions: u32) -> u32 {
    let row = hash.map_or(0, |hash| hash.wrapping_add(COMBINED));
    // The remainder of a number below 2³² is one.
    u32::try_from(row % u64::from(partitions.max(1))).unwrap_or(0)
}

/// An expression of SQL for the partition of a row with this key, for counting on the server: whatever the type, the hash of
/// an array of one element is 31 and the element's.
pub(crate) fn partition_sql(column: &str, partitions: u32) -> String {
    let (seed, two_to_64) = (PARTITION_SEED.cast_signed(), 1_u128 << 64);
    // What is added first keeps the number above 0.
    let added = u128::from(COMBINED) + 2 * two_to_64 - 31;
    format!(
        "(CASE WHEN {column} IS NULL THEN 0 ELSE pg_catalog.mod(pg_catalog.mod(\
         pg_catalog.hash_array_extended(ARRAY[{column}], {seed})::pg_catalog.numeric + {added}, {two_to_64}), \
         {partitions}) END)"
    )
}

/// The hash of int2, int4, date, and, as 0 and 1, of bool.
pub(crate) fn of_int4(value: i32) -> u64 {
    of_word(value.cast_unsigned())
}

/// The hash of int8 and timestamps: that of int4 for values that int4 has too.
pub(crate) fn of_int8(value: i64) -> u64 {
    let bits = value.cast_unsigned();
    let (low, high) = (bits as u32, (bits >> 32) as u32);
    of_word(low ^ if value >= 0 { high } else { !high })
}

/// The hash of float8, and of float4 as float8.
pub(crate) fn of_float(value: f64) -> u64 {
    if value == 0.0 {
        // Both zeros are equal.
        return PARTITION_SEED;
    }
    let value = if value.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { value };
    of_bytes(&value.to_le_bytes())
}

/// The hash of numeric: its digits to the base of 10,000 without zeros at either end, and the weight of the first.
pub(crate) fn of_numeric(digits: &[i16], weight: i32) -> u64 {
    let leading = digits.iter().take_while(|digit| **digit == 0).count();
    let rest = digits.get(leading..).unwrap_or_default();
    let trailing = rest.iter().rev().take_while(|digit| **digit == 0).count();
    let Some(kept) = rest.get(..rest.len() - trailing).filter(|kept| !kept.is_empty()) else {
        return PARTITION_SEED.wrapping_sub(1);
    };
    let weight = i64::from(weight) - i64::try_from(leading).unwrap_or(0);
    let bytes: Vec<u8> = kept.iter().flat_map(|digit| digit.to_le_bytes()).collect();
    of_bytes(&bytes) ^ weight.cast_unsigned()
}

/// The hash of a numeric that is no number, or infinite.
pub(crate) fn of_special_numeric() -> u64 {
    PARTITION_SEED
}

fn of_word(word: u32) -> u64 {
    let mut state = State::new(4);
    state.a = state.a.wrapping_add(word);
    state.finish()
}

/// The hash of text, bytea and uuid.
pub(crate) fn of_bytes(bytes: &[u8]) -> u64 {
    let mut state = State::new(bytes.len());
    let (blocks, rest) = bytes.as_chunks::<12>();
    for block in blocks {
        state.add(block);
        state.mix();
    }
    // The lowest byte of the last word is the length's.
    let mut last = [0; 12];
    for (place, byte) in (0..8).chain(9..12).zip(rest) {
        if let Some(slot) = last.get_mut(place) {
            *slot = *byte;
        }
    }
    state.add(&last);
    state.finish()
}

/// The state of lookup3.
struct State {
    a: u32,
    b: u32,
    c: u32,
}

impl State {
    /// The state for so many bytes, with the seed mixed in.
    fn new(length: usize) -> Self {
        let start = 0x9e37_79b9_u32.wrapping_add(length as u32).wrapping_add(3_923_095);
        let mut state = Self { a: start, b: start, c: start };
        state.a = state.a.wrapping_add((PARTITION_SEED >> 32) as u32);
        state.b = state.b.wrapping_add(PARTITION_SEED as u32);
        state.mix();
        state
    }

    fn add(&mut self, block: &[u8; 12]) {
        let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3] = *block;
        self.a = self.a.wrapping_add(u32::from_le_bytes([a0, a1, a2, a3]));
        self.b = self.b.wrapping_add(u32::from_le_bytes([b0, b1, b2, b3]));
        self.c = self.c.wrapping_add(u32::from_le_bytes([c0, c1, c2, c3]));
    }

    fn mix(&mut self) {
        let Self { mut a, mut b, mut c } = *self;
        a = a.wrapping_sub(c) ^ c.rotate_left(4);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(6);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(8);
        b = b.wrapping_add(a);
        a = a.wrapping_sub(c) ^ c.rotate_left(16);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(19);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(4);
        b = b.wrapping_add(a);
        *self = Self { a, b, c };
    }

    fn finish(self) -> u64 {
        let Self { mut a, mut b, mut c } = self;
        c = (c ^ b).wrapping_sub(b.rotate_left(14));
        a = (a ^ c).wrapping_sub(c.rotate_left(11));
        b = (b ^ a).wrapping_sub(a.rotate_left(25));
        c = (c ^ b).wrapping_sub(b.rotate_left(16));
        a = (a ^ c).wrapping_sub(c.rotate_left(4));
        b = (b ^ a).wrapping_sub(a.rotate_left(14));
        c = (c ^ b).wrapping_sub(b.rotate_left(24));
        u64::from(b) << 32 | u64::from(c)
    }
}
