//! Columns that are held in memory while they are small, and on the disk beyond that.

use std::path::PathBuf;

use longweave_common::{Offsets, Result};
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

    /// Begins a column of `lists` lists. On the disk it has no name once it is made, and is gone
    /// when it is dropped.
    pub(crate) fn store<T: Scalar>(&self, name: &str, lists: usize) -> ListWriter<T> {
        let items = ColumnWriter {
            held: Vec::new(),
            most: self.most::<T>(),
            path: self.scratch.map(|scratch| scratch.column(name)),
            file: None,
        };
        ListWriter { offsets: Offsets::with_capacity(lists), items }
    }
}

/// A column that is being made.
struct ColumnWriter<T> {
    held: Vec<T>,
    most: usize,
    path: Option<PathBuf>,
    file: Option<ArrayWriter<T>>,
}

impl<T: Scalar> ColumnWriter<T> {
    fn push(&mut self, items: &[T]) -> Result<()> {
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

    fn finish(self) -> Result<Stored<T>> {
        match self.file {
            Some(file) => file.into_unlinked().map(Stored::File),
            None => Ok(Stored::Held(self.held)),
        }
    }
}

/// Lists that are being made, list after list.
pub(crate) struct ListWriter<T> {
    offsets: Offsets,
    items: ColumnWriter<T>,
}

impl<T: Scalar> ListWriter<T> {
    /// Appends a list.
    pub(crate) fn push(&mut self, list: &[T]) -> Result<()> {
        self.items.push(list)?;
        self.offsets.push(self.offsets.end() as usize + list.len());
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<StoredLists<T>> {
        Ok(StoredLists { offsets: self.offsets, items: self.items.finish()? })
    }
}

/// Lists in one column. Costs 8 bytes a list, and the column's.
pub(crate) struct StoredLists<T> {
    pub(crate) offsets: Offsets,
    pub(crate) items: Stored<T>,
}

impl<T: Scalar> StoredLists<T> {
    /// A list, in `buffer` unless the column is held.
    pub(crate) fn get<'b>(&'b self, list: usize, buffer: &'b mut Vec<T>) -> Result<&'b [T]> {
        self.items.get(self.offsets.span(list), buffer)
    }
}
