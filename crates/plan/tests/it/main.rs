//! The laws of plans, on random small corpora with random options.

mod golden;
mod laws;
mod world;
