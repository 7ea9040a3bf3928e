//! Columns of token ids on disk, of two or four bytes each, with a bound on the number of open
//! files.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

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

    /// Appends `n` ids from `start` on to `out`.
    pub(crate) fn read_into(&self, start: u64, n: usize, out: &mut Vec<u32>) -> Result<()> {
        match self {
            Column::U16(file) => file.read_wider_into(start, n, out),
            Column::U32(file) => file.read_into(start, n, out),
        }
    }

    /// Fills `out` with the ids from `start` on.
    pub(crate) fn read(&self, start: u64, out: &mut [u32]) -> Result<()> {
        match self {
            Column::U16(file) => file.read_wider(start, out),
            Column::U32(file) => file.read(start, out),
        }
    }
}

/// A column that may be open.
struct Slot {
    open: RwLock<Option<Arc<Column>>>,
    /// Whether it was compared with its checksum, or need not be.
    checked: AtomicBool,
}

/// Columns by number, opened on demand. Threads can share them; those that read different columns
/// do not meet.
pub(crate) struct Columns {
    paths: Vec<PathBuf>,
    slots: Vec<Slot>,
    /// Columns that are open, the longest open first.
    order: Mutex<VecDeque<usize>>,
}

impl Columns {
    /// Columns that are compared with their checksums when they are first opened.
    pub(crate) fn checked(paths: Vec<PathBuf>) -> Columns {
        Columns::new(paths, false)
    }

    /// Columns whose reader compares what it reads.
    pub(crate) fn unchecked(paths: Vec<PathBuf>) -> Columns {
        Columns::new(paths, true)
    }

    fn new(paths: Vec<PathBuf>, checked: bool) -> Columns {
        let slot = |_: &PathBuf| Slot { open: RwLock::default(), checked: checked.into() };
        Columns { slots: paths.iter().map(slot).collect(), paths, order: Mutex::default() }
    }

    pub(crate) fn path(&self, number: usize) -> &Path {
        &self.paths[number]
    }

    /// Column `number`.
    ///
    /// Errors: `FILE_CORRUPT`, `IO`.
    pub(crate) fn get(&self, number: usize) -> Result<Arc<Column>> {
        let slot = &self.slots[number];
        let open = slot.open.read().unwrap_or_else(PoisonError::into_inner).clone();
        match open {
            Some(column) => Ok(column),
            None => self.open(number),
        }
    }

    /// Closes a column that is damaged, so that the one that is made in its place is opened.
    pub(crate) fn forget(&self, number: usize) {
        self.close(number);
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        order.retain(|&other| other != number);
    }

    fn close(&self, number: usize) {
        *self.slots[number].open.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn open(&self, number: usize) -> Result<Arc<Column>> {
        let slot = &self.slots[number];
        let column = {
            let mut open = slot.open.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(column) = &*open {
                return Ok(Arc::clone(column));
            }
            let column = Arc::new(Column::open(&self.paths[number])?);
            if !slot.checked.load(Ordering::Relaxed) {
                column.check()?;
                slot.checked.store(true, Ordering::Relaxed);
            }
            *open = Some(Arc::clone(&column));
            column
        };
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        order.push_back(number);
        if order.len() > MOST_OPEN
            && let Some(oldest) = order.pop_front()
        {
            self.close(oldest);
        }
        Ok(column)
    }

    #[cfg(test)]
    pub(crate) fn open_files(&self) -> usize {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).len()
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
    pub(crate) fn append(&mut self, column: &Column, start: u64, n: usize) -> Result<()> {
        if let (Ids::U16(ids), Column::U32(_)) = (&*self, column) {
            *self = Ids::U32(ids.iter().map(|&id| u32::from(id)).collect());
        }
        match (self, column) {
            (Ids::U16(ids), Column::U16(file)) => file.read_into(start, n, ids),
            (Ids::U32(ids), column) => column.read_into(start, n, ids),
            (Ids::U16(_), Column::U32(_)) => unreachable!("made wide just above"),
        }
    }

    /// Fills `out` with ids from `start` on; panics beyond the end, as a slice does.
    pub fn copy(&self, start: usize, out: &mut [u32]) {
        match self {
            Ids::U16(ids) => {
                let ids = &ids[start..][..out.len()];
                out.iter_mut().zip(ids).for_each(|(to, &id)| *to = id.into());
            }
            Ids::U32(ids) => out.copy_from_slice(&ids[start..][..out.len()]),
        }
    }

    /// Forgets all ids, but not their memory.
    pub fn clear(&mut self) {
        match self {
            Ids::U16(ids) => ids.clear(),
            Ids::U32(ids) => ids.clear(),
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
