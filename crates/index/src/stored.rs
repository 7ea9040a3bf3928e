//! Columns that are held in memory while they are small, and on the disk beyond that.

use longweave_common::{Offsets, Result};
use longweave_storage::{Scalar, Stored, StoredWriter};

use crate::lists::Lists;
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
        let path = self.scratch.map(|scratch| scratch.column(name));
        let items = StoredWriter::new(self.most::<T>(), path);
        ListWriter { offsets: Offsets::with_capacity(lists), items }
    }
}

/// Lists that are being made, list after list.
pub(crate) struct ListWriter<T> {
    offsets: Offsets,
    items: StoredWriter<T>,
}

impl<T: Scalar> ListWriter<T> {
    /// Appends lists.
    pub(crate) fn extend(&mut self, lists: &Lists<T>) -> Result<()> {
        let (items, offsets) = lists.parts();
        self.items.push(items)?;
        self.offsets.extend(offsets);
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
