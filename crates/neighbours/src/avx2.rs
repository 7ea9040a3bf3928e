//! Similarities with the instructions of AVX2: rows are laid out four or two side by side, in
//! aligned runs of 16 components, and 4 × 2 similarities are summed up at once in registers. Seven
//! times as fast as [`similarity`](crate::similarity), of whose loop the compiler makes vector
//! instructions too; sums of whole numbers, so they are equal.

use std::arch::x86_64::{
    __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_shuffle_epi32, _mm256_add_epi32,
    _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_load_si256, _mm256_madd_epi16,
    _mm256_setzero_si256,
};

/// Rows that are laid side by side on the left and on the right.
const LEFT: usize = 4;
const RIGHT: usize = 2;

/// Components that one register holds.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Run([i16; 16]);

/// The same run of several rows.
type Runs<const N: usize> = [Run; N];

/// As [`crate::products::Products`]. There is one only where the processor has AVX2.
pub(crate) struct Products {
    dims: usize,
    queries: usize,
    left: Vec<Runs<LEFT>>,
    right: Vec<Runs<RIGHT>>,
    out: [Vec<i32>; LEFT],
}

impl Products {
    /// None where the processor has no AVX2.
    pub(crate) fn new(dims: usize) -> Option<Products> {
        let products = Products {
            dims,
            queries: 0,
            left: Vec::new(),
            right: Vec::new(),
            out: Default::default(),
        };
        is_x86_feature_detected!("avx2").then_some(products)
    }

    pub(crate) fn queries<'a>(&mut self, rows: impl ExactSizeIterator<Item = &'a [i16]>) {
        self.queries = rows.len();
        lay(rows, self.dims, &mut self.left);
    }

    pub(crate) fn with<'a>(
        &mut self,
        base: impl ExactSizeIterator<Item = &'a [i16]>,
        mut each: impl FnMut(usize, &[i32]),
    ) {
        let width = base.len();
        lay(base, self.dims, &mut self.right);
        self.out.iter_mut().for_each(|out| out.resize(width.next_multiple_of(RIGHT), 0));
        for (group, left) in self.left.chunks_exact(runs(self.dims)).enumerate() {
            // SAFETY: the processor has AVX2, which is all that the function asks for: else `new`
            // had given no `self`.
            #[allow(unsafe_code)]
            unsafe {
                products(left, &self.right, &mut self.out);
            }
            for (query, out) in (group * LEFT..self.queries).zip(&self.out) {
                each(query, &out[..width]);
            }
        }
    }
}

/// Runs of a row; the last one is filled up with zeros, which add nothing.
fn runs(dims: usize) -> usize {
    dims.div_ceil(16)
}

/// Lays rows out `N` side by side; the last group is filled up with zeros.
fn lay<'a, const N: usize>(
    rows: impl ExactSizeIterator<Item = &'a [i16]>,
    dims: usize,
    out: &mut Vec<Runs<N>>,
) {
    out.clear();
    out.resize(rows.len().div_ceil(N) * runs(dims), [Run([0; 16]); N]);
    for (i, row) in rows.enumerate() {
        let group = &mut out[i / N * runs(dims)..][..runs(dims)];
        let (whole, rest) = row.as_chunks::<16>();
        for (place, run) in group.iter_mut().zip(whole) {
            place[i % N].0 = *run;
        }
        if !rest.is_empty() {
            group[whole.len()][i % N].0[..rest.len()].copy_from_slice(rest);
        }
    }
}

/// The similarities of four rows with those on the right, into a list for each of the four.
#[target_feature(enable = "avx2")]
// Of iterators over the few sums the compiler makes calls, which keep them out of registers.
#[allow(clippy::needless_range_loop)]
fn products(left: &[Runs<LEFT>], right: &[Runs<RIGHT>], out: &mut [Vec<i32>; LEFT]) {
    for (pair, right) in right.chunks_exact(left.len()).enumerate() {
        let mut sums = [[_mm256_setzero_si256(); RIGHT]; LEFT];
        for (left, right) in left.iter().zip(right) {
            let right = [load(&right[0]), load(&right[1])];
            for l in 0..LEFT {
                let left = load(&left[l]);
                for r in 0..RIGHT {
                    sums[l][r] = _mm256_add_epi32(sums[l][r], _mm256_madd_epi16(left, right[r]));
                }
            }
        }
        for l in 0..LEFT {
            for r in 0..RIGHT {
                out[l][pair * RIGHT + r] = total(sums[l][r]);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(run: &Run) -> __m256i {
    // SAFETY: a run is 32 bytes that can be read, at an address that is a multiple of 32.
    #[allow(unsafe_code)]
    unsafe {
        _mm256_load_si256(std::ptr::from_ref(run).cast())
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn total(sums: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b11_10>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b01>(two)))
}
