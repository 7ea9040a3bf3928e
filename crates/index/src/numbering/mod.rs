//! Numbering: every distinct phrase among the candidates of all documents gets a number, in memory
//! or on the disk: partition by partition of the phrases' hashes, in each in the order in which
//! they first occur.

mod dealt;
mod in_memory;
mod numbered;
mod on_disk;
mod partitions;

pub(crate) use dealt::Dealt;
pub(crate) use in_memory::in_memory;
pub(crate) use numbered::{Numbered, Place, Texts};
pub(crate) use on_disk::on_disk;
pub(crate) use partitions::{Naming, PARTITIONS};
