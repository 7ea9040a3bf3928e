//! longweave-pack.
