//! longweave-formats.
