//! Files behind URLs: `s3://bucket/key`, `https://host/path`. Listed, read by ranges with
//! read-ahead and retries, and written so that an object appears whole or not at all. Functions
//! block and watch the run's cancel flag; whatever waits for the network does so on one thread of
//! this crate's own, which ends with the last [`Remote`].
//!
//! The network itself comes with the feature `remote`; without it [`Remote::open`] says how to
//! build it. Everything else, from the reading of URLs to the resuming of uploads, is the same code
//! in both builds.

mod handle;
mod location;
#[cfg(feature = "remote")]
mod network;
mod pending;
mod read;
mod store;
mod upload;

pub use handle::Remote;
pub use location::{Location, Scheme, is_remote};
pub use read::{BlockReader, ObjectReader};
pub use store::Stat;
pub use upload::UploadState;
