//! Similarities with the instructions of AVX-512 VNNI or of AVX2: rows on the left are laid out four
//! side by side, in aligned runs of 32 components, those on the right are read where they are, and
//! 4 × 4 or 4 × 2 similarities are summed up at once in registers. 14 and 7 times as fast as [`similarity`](crate::similarity), of whose loop the
//! compiler makes vector instructions too; sums of whole numbers, so they are equal.

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_shuffle_epi32,
    _mm256_add_epi32, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_setzero_si256, _mm512_add_epi32, _mm512_castsi512_si256,
    _mm512_dpwssd_epi32, _mm512_extracti64x4_epi64, _mm512_loadu_si512, _mm512_setzero_si512,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

/// Rows that are laid side by side.
const SIDE: usize = 4;
/// Components of a run.
const RUN: usize = 32;

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Run([i16; RUN]);

/// The same run of several rows.
type Runs = [Run; SIDE];

/// Sums up the products of four rows with the same number of others, row after row, into a list
/// for each of the four.
type Kernel = unsafe fn(&[Runs], &[i16], usize, &mut [Vec<i32>; SIDE]);

/// As [`crate::products::Products`].
pub(crate) struct Products {
    /// The processor has its instructions.
    kernel: Kernel,
    dims: usize,
    queries: usize,
    left: Vec<Runs>,
    out: [Vec<i32>; SIDE],
}

impl Products {
    /// One for each set of instructions that the processor has, the fastest first.
    pub(crate) fn all(dims: usize) -> impl Iterator<Item = Products> {
        let vnni = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni");
        let kernels: [(bool, Kernel); 2] =
            [(vnni, products_vnni), (is_x86_feature_detected!("avx2"), products_avx2)];
        let kernels = kernels.into_iter().filter(|kernel| kernel.0);
        kernels.map(move |(_, kernel)| Products {
            kernel,
            dims,
            queries: 0,
            left: Vec::new(),
            out: Default::default(),
        })
    }

    pub(crate) fn queries<'a>(&mut self, rows: impl ExactSizeIterator<Item = &'a [i16]>) {
        self.queries = rows.len();
        lay(rows, self.dims, &mut self.left);
    }

    pub(crate) fn with(&mut self, base: &[i16], mut each: impl FnMut(usize, &[i32])) {
        let width = base.len() / self.dims;
        self.out.iter_mut().for_each(|out| out.resize(width.next_multiple_of(SIDE), 0));
        for (group, left) in self.left.chunks_exact(runs(self.dims)).enumerate() {
            // SAFETY: the processor has the instructions of the kernel, which is all that it asks
            // for: `all` gives no other.
            #[allow(unsafe_code)]
            unsafe {
                (self.kernel)(left, base, self.dims, &mut self.out);
            }
            for (query, out) in (group * SIDE..self.queries).zip(&self.out) {
                each(query, &out[..width]);
            }
        }
    }
}

/// Four rows in runs; the last runs are filled up with zeros. Rows beyond the end are the last.
struct Right<'a> {
    whole: [&'a [[i16; RUN]]; SIDE],
    rest: Option<Runs>,
}

impl<'a> Right<'a> {
    #[inline(always)]
    fn of(rows: &'a [i16], dims: usize) -> Right<'a> {
        let last = rows.len() / dims - 1;
        let row = |r: usize| rows[r.min(last) * dims..][..dims].as_chunks::<RUN>();
        let whole = [row(0).0, row(1).0, row(2).0, row(3).0];
        let rest = (!dims.is_multiple_of(RUN)).then(|| {
            let mut runs = [Run([0; RUN]); SIDE];
            for (r, run) in runs.iter_mut().enumerate() {
                let rest = row(r).1;
                run.0[..rest.len()].copy_from_slice(rest);
            }
            runs
        });
        Right { whole, rest }
    }
}

/// Runs of a row; the last one is filled up with zeros, which add nothing.
fn runs(dims: usize) -> usize {
    dims.div_ceil(RUN)
}

/// Lays rows out side by side; the last group is filled up with zeros.
fn lay<'a>(rows: impl ExactSizeIterator<Item = &'a [i16]>, dims: usize, out: &mut Vec<Runs>) {
    out.clear();
    out.resize(rows.len().div_ceil(SIDE) * runs(dims), [Run([0; RUN]); SIDE]);
    for (i, row) in rows.enumerate() {
        let group = &mut out[i / SIDE * runs(dims)..][..runs(dims)];
        let (whole, rest) = row.as_chunks::<RUN>();
        for (place, run) in group.iter_mut().zip(whole) {
            place[i % SIDE].0 = *run;
        }
        if !rest.is_empty() {
            group[whole.len()][i % SIDE].0[..rest.len()].copy_from_slice(rest);
        }
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
// Of iterators over the few sums the compiler makes calls, which keep them out of registers.
#[allow(clippy::needless_range_loop)]
fn products_vnni(left: &[Runs], base: &[i16], dims: usize, out: &mut [Vec<i32>; SIDE]) {
    for (group, rows) in base.chunks(SIDE * dims).enumerate() {
        let Right { whole: [a, b, c, d], rest } = Right::of(rows, dims);
        let mut sums = [[_mm512_setzero_si512(); SIDE]; SIDE];
        // A function might stay a call, which keeps sums out of registers.
        macro_rules! add {
            ($left:expr, $right:expr) => {
                let right = $right;
                for l in 0..SIDE {
                    let left = load_512(&$left[l].0);
                    for r in 0..SIDE {
                        sums[l][r] = _mm512_dpwssd_epi32(sums[l][r], left, right[r]);
                    }
                }
            };
        }
        for ((((left, a), b), c), d) in left.iter().zip(a).zip(b).zip(c).zip(d) {
            add!(left, [load_512(a), load_512(b), load_512(c), load_512(d)]);
        }
        if let (Some(left), Some([a, b, c, d])) = (left.last(), &rest) {
            add!(left, [load_512(&a.0), load_512(&b.0), load_512(&c.0), load_512(&d.0)]);
        }
        for l in 0..SIDE {
            out[l][group * SIDE..][..SIDE].copy_from_slice(&four_totals(sums[l]));
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_512(run: &[i16; RUN]) -> __m512i {
    // SAFETY: a run is 64 bytes that can be read; any address will do.
    #[allow(unsafe_code)]
    unsafe {
        _mm512_loadu_si512(std::ptr::from_ref(run).cast())
    }
}

/// The sum of each: pairs of them are added up crosswise until one register has all four.
#[inline]
#[target_feature(enable = "avx512f")]
fn four_totals([a, b, c, d]: [__m512i; SIDE]) -> [i32; SIDE] {
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    let all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64::<1>(all));
    let four: __m128i =
        _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
    // SAFETY: both are 16 bytes, of which any are numbers.
    #[allow(unsafe_code)]
    unsafe {
        std::mem::transmute::<__m128i, [i32; SIDE]>(four)
    }
}

#[target_feature(enable = "avx2")]
#[allow(clippy::needless_range_loop)]
fn products_avx2(left: &[Runs], base: &[i16], dims: usize, out: &mut [Vec<i32>; SIDE]) {
    // Registers hold the sums of two rows on the right.
    const PAIR: usize = 2;
    for (group, rows) in base.chunks(SIDE * dims).enumerate() {
        let Right { whole, rest } = Right::of(rows, dims);
        for first in [0, PAIR] {
            let mut sums = [[_mm256_setzero_si256(); PAIR]; SIDE];
            macro_rules! add {
                ($left:expr, $a:expr, $b:expr) => {
                    for part in 0..2 {
                        let right = [load_256($a, part), load_256($b, part)];
                        for l in 0..SIDE {
                            let left = load_256(&$left[l].0, part);
                            for r in 0..PAIR {
                                let product = _mm256_madd_epi16(left, right[r]);
                                sums[l][r] = _mm256_add_epi32(sums[l][r], product);
                            }
                        }
                    }
                };
            }
            for ((left, a), b) in left.iter().zip(whole[first]).zip(whole[first + 1]) {
                add!(left, a, b);
            }
            if let (Some(left), Some(rest)) = (left.last(), &rest) {
                add!(left, &rest[first].0, &rest[first + 1].0);
            }
            for l in 0..SIDE {
                for r in 0..PAIR {
                    out[l][group * SIDE + first + r] = total(sums[l][r]);
                }
            }
        }
    }
}

/// The first or the second half of a run.
#[inline]
#[target_feature(enable = "avx2")]
fn load_256(run: &[i16; RUN], part: usize) -> __m256i {
    let (halves, _) = run.as_chunks::<16>();
    // SAFETY: a half is 32 bytes that can be read; any address will do.
    #[allow(unsafe_code)]
    unsafe {
        _mm256_loadu_si256(std::ptr::from_ref(&halves[part]).cast())
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn total(sums: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b11_10>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b01>(two)))
}
