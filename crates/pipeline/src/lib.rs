//! longweave-pipeline.
