//! longweave-storage.
