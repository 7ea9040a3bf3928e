//! longweave-index.
