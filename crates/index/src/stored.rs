//! Columns that are held in memory while they are small, and on the disk beyond that.

use std::path::PathBuf;

use longweave_common::Result;
use longweave_storage::{ArrayWriter, Scalar, Stored};

use crate::scratch::Scratch;

/// The folder of columns that are on disk, and the most bytes of a column that memory may hold.
#[derive(Clone, Copy)]
pub(crate) struct Space<'a> {
    /// Bytes of one column.
    pub(crate) most: u64,
    /// Without it all columns are held.
    pub(crate) scratch: Option<&'a Scratch>,
}

impl Space<'_> {
    /// Elements of `T` that may be held; at least one.
    pub(crate) fn most<T: Scalar>(&self) -> usize {
        match self.scratch {
            Some(_) => ((self.most / T::WIDTH as u64) as usize).max(1),
            None => usize::MAX,
        }
    }

    /// Begins a column. On the disk it has no name once it is made, and is gone when it is dropped.
    pub(crate) fn store<T: Scalar>(&self, name: &str) -> ColumnWriter<T> {
        ColumnWriter {
            held: Vec::new(),
            most: self.most::<T>(),
            path: self.scratch.map(|scratch| scratch.column(name)),
            file: None,
        }
    }
}

/// A column that is being made.
pub(crate) struct ColumnWriter<T> {
    held: Vec<T>,
    most: usize,
    path: Option<PathBuf>,
    file: Option<ArrayWriter<T>>,
}

impl<T: Scalar> ColumnWriter<T> {
    /// Appends elements.
    pub(crate) fn push(&mut self, items: &[T]) -> Result<()> {
        if let Some(file) = &mut self.file {
            return file.push(items);
        }
        match &self.path {
            Some(path) if self.held.len() + items.len() > self.most => {
                let mut file = ArrayWriter::create(path)?;
                file.push(&std::mem::take(&mut self.held))?;
                file.push(items)?;
                self.file = Some(file);
            }
            _ => self.held.extend_from_slice(items),
        }
        Ok(())
    }

    /// Number of elements so far.
    pub(crate) fn len(&self) -> u64 {
        self.file.as_ref().map_or(self.held.len() as u64, ArrayWriter::len)
    }

    /// The column.
    pub(crate) fn finish(self) -> Result<Stored<T>> {
        match self.file {
            Some(file) => file.into_unlinked().map(Stored::File),
            None => Ok(Stored::Held(self.held)),
        }
    }
}
