//! longweave-corpus.
