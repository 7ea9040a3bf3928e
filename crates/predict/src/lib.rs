//! longweave-predict.
