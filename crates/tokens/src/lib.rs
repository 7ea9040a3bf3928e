//! longweave-tokens.
