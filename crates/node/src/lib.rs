//! longweave-node.
