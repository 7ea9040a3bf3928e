//! Which documents are nearly the same text, by MinHash (Broder 1997) and locality-sensitive
//! hashing (Indyk and Motwani 1998).
//!
//! A text becomes the hashes of its runs of words ([`runs`]), these a signature ([`Hashes`]), this
//! the hash of each of its bands ([`Bands`]). Texts that share a band are a bucket; [`Bucket`]
//! compares their signatures, and [`Clusters`] joins those that are near. No file, no document's
//! id. Begin with `signature.rs`.

mod bands;
mod bucket;
mod clusters;
mod runs;
mod signature;

pub use bands::Bands;
pub use bucket::{Bucket, Nearness};
pub use clusters::Clusters;
pub use runs::{mix, runs};
pub use signature::Hashes;
