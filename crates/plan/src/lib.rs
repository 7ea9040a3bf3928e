//! longweave-plan.
