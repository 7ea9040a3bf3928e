//! The needs of a run before it runs: the sizes that are known, bytes against the free space, a
//! dry run.

pub(crate) mod disk;
pub(crate) mod dry_run;
pub(crate) mod facts;
