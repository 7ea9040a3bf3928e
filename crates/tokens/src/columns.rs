//! Columns of token ids on disk, of two or four bytes each, with a bound on the number of open
//! files.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use longweave_common::Result;
use longweave_storage::{ArrayFile, hash_elements};
use xxhash_rust::xxh3::Xxh3Default;

/// Files of ids that are held open: well below the 256 to 1,024 that systems allow a process.
pub(crate) const MOST_OPEN: usize = 128;

/// The ids of a split.
pub(crate) enum Column {
    U16(ArrayFile<u16>),
    U32(ArrayFile<u32>),
}

impl Column {
    /// Opens a column of ids, whichever width they have.
    pub(crate) fn open(path: &Path) -> Result<Column> {
        match ArrayFile::<u16>::open(path) {
            Ok(file) => Ok(Column::U16(file)),
            Err(_) => ArrayFile::open(path).map(Column::U32),
        }
    }

    /// Compares the ids with their checksum.
    ///
    /// Errors: `FILE_CORRUPT`.
    fn check(&self) -> Result<()> {
        match self {
            Column::U16(file) => file.check(),
            Column::U32(file) => file.check(),
        }
    }

    pub(crate) fn read_into(&self, start: u64, n: usize, out: &mut Vec<u32>) -> Result<()> {
        match self {
            Column::U32(file) => file.read_into(start, n, out),
            Column::U16(file) => {
                let mut narrow = Vec::new();
                file.read_into(start, n, &mut narrow)?;
                out.extend(narrow.iter().map(|&id| u32::from(id)));
                Ok(())
            }
        }
    }
}

/// Files that are open, the longest open first.
#[derive(Default)]
struct OpenFiles {
    files: HashMap<usize, Arc<Column>>,
    order: VecDeque<usize>,
}

/// Columns by number, opened on demand. Threads can share them.
pub(crate) struct Columns {
    paths: Vec<PathBuf>,
    open: Mutex<OpenFiles>,
    /// Whether each was compared with its checksum; empty where none is.
    checked: Vec<Mutex<bool>>,
}

impl Columns {
    /// Columns that are compared with their checksums when they are first opened.
    pub(crate) fn checked(paths: Vec<PathBuf>) -> Columns {
        let checked = paths.iter().map(|_| Mutex::new(false)).collect();
        Columns { paths, open: Mutex::default(), checked }
    }

    /// Columns whose reader compares what it reads.
    pub(crate) fn unchecked(paths: Vec<PathBuf>) -> Columns {
        Columns { paths, open: Mutex::default(), checked: Vec::new() }
    }

    pub(crate) fn path(&self, number: usize) -> &Path {
        &self.paths[number]
    }

    /// Column `number`.
    ///
    /// Errors: `FILE_CORRUPT`, `IO`.
    pub(crate) fn get(&self, number: usize) -> Result<Arc<Column>> {
        let column = self.open(number)?;
        if let Some(checked) = self.checked.get(number) {
            let mut checked = checked.lock().unwrap_or_else(PoisonError::into_inner);
            if !*checked {
                column.check().inspect_err(|_| self.forget(number))?;
                *checked = true;
            }
        }
        Ok(column)
    }

    /// Closes a column that is damaged, so that the one that is made in its place is opened.
    pub(crate) fn forget(&self, number: usize) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.files.remove(&number);
        open.order.retain(|&other| other != number);
    }

    fn open(&self, number: usize) -> Result<Arc<Column>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(column) = open.files.get(&number) {
            return Ok(Arc::clone(column));
        }
        if open.order.len() >= MOST_OPEN
            && let Some(oldest) = open.order.pop_front()
        {
            open.files.remove(&oldest);
        }
        let column = Arc::new(Column::open(&self.paths[number])?);
        open.files.insert(number, Arc::clone(&column));
        open.order.push_back(number);
        Ok(column)
    }

    #[cfg(test)]
    pub(crate) fn open_files(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).files.len()
    }
}

/// Ids in memory, as wide as they are on disk.
pub enum Ids {
    /// Of two bytes.
    U16(Vec<u16>),
    /// Of four.
    U32(Vec<u32>),
}

impl Ids {
    /// Appends `n` ids of a column from `start` on.
    pub(crate) fn read(&mut self, column: &Column, start: u64, n: usize) -> Result<()> {
        match (self, column) {
            (Ids::U16(ids), Column::U16(file)) => file.read_into(start, n, ids),
            (Ids::U32(ids), column) => column.read_into(start, n, ids),
            (narrow @ Ids::U16(_), Column::U32(file)) => {
                let Ids::U16(ids) = narrow else { unreachable!("matched just above") };
                let mut wide: Vec<u32> = ids.iter().map(|&id| u32::from(id)).collect();
                file.read_into(start, n, &mut wide)?;
                *narrow = Ids::U32(wide);
                Ok(())
            }
        }
    }

    /// Appends the ids of a range to `out`; panics beyond the end, as a slice does.
    pub fn copy(&self, range: Range<usize>, out: &mut Vec<u32>) {
        match self {
            Ids::U16(ids) => out.extend(ids[range].iter().map(|&id| u32::from(id))),
            Ids::U32(ids) => out.extend_from_slice(&ids[range]),
        }
    }

    /// Number of ids.
    pub fn len(&self) -> usize {
        match self {
            Ids::U16(ids) => ids.len(),
            Ids::U32(ids) => ids.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the bytes of a range, as they are on disk, to a checksum.
    pub(crate) fn hash(&self, range: Range<usize>, hash: &mut Xxh3Default) {
        match self {
            Ids::U16(ids) => hash_elements(&ids[range], hash),
            Ids::U32(ids) => hash_elements(&ids[range], hash),
        }
    }
}
