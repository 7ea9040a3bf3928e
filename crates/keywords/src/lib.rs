//! longweave-keywords.
