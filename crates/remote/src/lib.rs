//! Files behind URLs: `s3://bucket/key`, `https://host/path`.
//!
//! In: locations and a cancel flag. Out: listings, ranges read ahead and retried, objects that
//! appear whole or not at all. Functions block; one thread, which ends with the last [`Remote`],
//! does what waits for the network. Uses: common, storage.
//! Begin with `handle.rs`, then `store.rs`: one request each. `network.rs` makes them, with the
//! feature `remote`; all else is the same code in every build.

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
