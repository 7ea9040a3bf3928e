//! Bit masks of 64 bytes of text: which are ASCII characters of words, which are not ASCII. Sixteen
//! bytes at once with the instructions that every x86-64 has, byte by byte elsewhere.

/// Bytes of a block: a bit of a mask for each.
pub(crate) const BLOCK: usize = 64;

/// Of each byte, from the lowest bit on: whether it is an ASCII character of a word (a letter, a
/// digit, `_`, `+`, `#`), and whether it is not ASCII.
#[cfg(target_arch = "x86_64")]
pub(crate) fn masks(bytes: &[u8; BLOCK]) -> (u64, u64) {
    // SAFETY: SSE2 is a part of x86-64.
    #[allow(unsafe_code)]
    unsafe {
        sse2(bytes)
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use byte_by_byte as masks;

#[cfg(any(test, not(target_arch = "x86_64")))]
pub(crate) fn byte_by_byte(bytes: &[u8; BLOCK]) -> (u64, u64) {
    bytes.iter().rev().fold((0, 0), |(word, high), &byte| {
        let is_word = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'#');
        (word << 1 | u64::from(is_word), high << 1 | u64::from(byte >> 7))
    })
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
fn sse2(bytes: &[u8; BLOCK]) -> (u64, u64) {
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_cmpgt_epi8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set_epi64x, _mm_set1_epi8,
    };
    let each = |byte: u8| _mm_set1_epi8(byte as i8);
    // Comparisons are signed: bytes that are not ASCII are below all others.
    let within = |x: __m128i, least: u8, most: u8| {
        _mm_and_si128(_mm_cmpgt_epi8(x, each(least - 1)), _mm_cmpgt_epi8(each(most + 1), x))
    };
    let (mut word, mut high) = (0, 0);
    for sixteen in bytes.as_chunks::<16>().0.iter().rev() {
        let all = u128::from_le_bytes(*sixteen);
        let x = _mm_set_epi64x((all >> 64) as i64, all as i64);
        let letters = within(_mm_or_si128(x, each(0x20)), b'a', b'z');
        let digits = within(x, b'0', b'9');
        // '#' and '+' differ in one bit.
        let signs = _mm_cmpeq_epi8(_mm_or_si128(x, each(8)), each(b'+'));
        let others = _mm_or_si128(signs, _mm_cmpeq_epi8(x, each(b'_')));
        let any = _mm_or_si128(_mm_or_si128(letters, digits), others);
        word = word << 16 | u64::from(_mm_movemask_epi8(any) as u16);
        high = high << 16 | u64::from(_mm_movemask_epi8(x) as u16);
    }
    (word, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_those_of_each_byte() {
        for first in 0..=u8::MAX {
            for step in [1, 3, 64] {
                let byte = |i: usize| first.wrapping_add((i as u8).wrapping_mul(step));
                let bytes = std::array::from_fn(byte);
                assert_eq!(masks(&bytes), byte_by_byte(&bytes));
            }
        }
    }
}
