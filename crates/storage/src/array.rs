//! Flat little-endian columns behind a header of 32 bytes: magic `lwarray1`, element width in bytes
//! (u32), reserved 0 (u32), number of elements (u64), xxh3-64 of the elements' bytes (u64).
//! Elements follow.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytemuck::{Pod, cast_slice, cast_slice_mut, pod_read_unaligned};
use longweave_common::{Error, Offsets, Result, ResultExt};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use crate::atomic::{AtomicFile, Sealed, UnlinkedFile, read_exact_at};
use crate::failpoint;

const MAGIC: &[u8; 8] = b"lwarray1";
const HEADER: usize = 32;
/// Bytes that are read at once where elements become wider.
const CHUNK: usize = 64 << 10;
/// Bytes that are written, or read to compare a checksum, at once.
const BLOCK_BYTES: usize = 1 << 20;

/// An element of a flat column. Its bytes in memory are those on disk.
pub trait Scalar: Pod + Send + Sync {
    /// Width in bytes.
    const WIDTH: usize = size_of::<Self>();
}

const _: () = assert!(cfg!(target_endian = "little"), "columns are little-endian");

impl Scalar for u8 {}
impl Scalar for u16 {}
impl Scalar for u32 {}
impl Scalar for u64 {}
impl Scalar for u128 {}
impl Scalar for i16 {}
impl Scalar for i32 {}
impl Scalar for f32 {}

fn header(width: usize, count: u64, xxh3: u64) -> [u8; HEADER] {
    let mut header = [0u8; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&(width as u32).to_le_bytes());
    header[16..24].copy_from_slice(&count.to_le_bytes());
    header[24..].copy_from_slice(&xxh3.to_le_bytes());
    header
}

/// Writes a column piece by piece.
pub struct ArrayWriter<T> {
    file: AtomicFile,
    body: Xxh3Default,
    count: u64,
    element: PhantomData<T>,
}

impl<T: Scalar> ArrayWriter<T> {
    /// Creates a column file at `path`.
    pub fn create(path: &Path) -> Result<ArrayWriter<T>> {
        let mut file = AtomicFile::create_unsummed(path)?;
        file.put(&[0; HEADER])?;
        Ok(ArrayWriter { file, body: Xxh3Default::new(), count: 0, element: PhantomData })
    }

    /// Appends `elements`.
    pub fn push(&mut self, elements: &[T]) -> Result<()> {
        for bytes in cast_slice::<T, u8>(elements).chunks(BLOCK_BYTES) {
            self.body.update(bytes);
            self.file.write_all(bytes).map_err(|e| self.file.error(&e))?;
        }
        self.count += elements.len() as u64;
        Ok(())
    }

    /// Elements pushed so far.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Puts the column in its place. The seal's checksum is of the header's 32 bytes, which hold
    /// the body's checksum.
    pub fn commit(self) -> Result<Sealed> {
        let header = header(T::WIDTH, self.count, self.body.digest());
        self.file.commit_with_header(&header, xxh3_64(&header))
    }

    /// The column, readable as long as it is open; it never gets a name.
    pub fn into_unlinked(self) -> Result<ArrayFile<T>> {
        let UnlinkedFile { file, path } = self.file.into_unlinked()?;
        Ok(ArrayFile {
            file,
            path,
            count: self.count,
            xxh3: self.body.digest(),
            element: PhantomData,
        })
    }
}

/// A column on disk, read by position.
pub struct ArrayFile<T> {
    file: File,
    path: PathBuf,
    count: u64,
    xxh3: u64,
    element: PhantomData<T>,
}

impl<T: Scalar> ArrayFile<T> {
    /// Opens a column and checks header and length; the elements' checksum is compared by
    /// [`ArrayFile::read_all`] and [`ArrayFile::check`].
    ///
    /// Errors: `FILE_CORRUPT` for another magic, width or length.
    pub fn open(path: &Path) -> Result<ArrayFile<T>> {
        let file = File::open(path).at("open", path)?;
        let length = file.metadata().at("open", path)?.len();
        let mut bytes = [0u8; HEADER];
        read_exact_at(&file, &mut bytes, 0)
            .map_err(|_| corrupt(path, "is shorter than its header"))?;
        if &bytes[..8] != MAGIC {
            return Err(corrupt(path, "is not a longweave column of this version"));
        }
        let width = pod_read_unaligned::<u32>(&bytes[8..12]) as usize;
        let (count, xxh3) =
            (pod_read_unaligned::<u64>(&bytes[16..24]), pod_read_unaligned::<u64>(&bytes[24..]));
        if width != T::WIDTH || pod_read_unaligned::<u32>(&bytes[12..16]) != 0 {
            return Err(corrupt(
                path,
                &format!("has elements of {width} bytes where {} are expected", T::WIDTH),
            ));
        }
        let expected = count.checked_mul(width as u64).and_then(|n| n.checked_add(HEADER as u64));
        if expected != Some(length) {
            return Err(corrupt(
                path,
                &format!(
                    "is {length} bytes long, but its header says {count} elements of {width} bytes"
                ),
            ));
        }
        Ok(ArrayFile { file, path: path.to_owned(), count, xxh3, element: PhantomData })
    }

    /// Number of elements.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends elements `start..start + n` to `out`.
    ///
    /// Errors: `FILE_CORRUPT` when the range reaches beyond the end.
    pub fn read_into(&self, start: u64, n: usize, out: &mut Vec<T>) -> Result<()> {
        self.check_range(start, n)?;
        let before = out.len();
        out.resize(before + n, T::zeroed());
        self.read(start, &mut out[before..])
    }

    /// As [`ArrayFile::read_into`], into wider elements.
    pub fn read_wider_into<U: From<T> + Copy + Default>(
        &self,
        start: u64,
        n: usize,
        out: &mut Vec<U>,
    ) -> Result<()> {
        self.check_range(start, n)?;
        let before = out.len();
        out.resize(before + n, U::default());
        self.read_wider(start, &mut out[before..])
    }

    /// As [`ArrayFile::read`], into wider elements.
    pub fn read_wider<U: From<T>>(&self, mut start: u64, out: &mut [U]) -> Result<()> {
        thread_local! {
            // As aligned as the widest element.
            static WORDS: RefCell<Vec<u128>> = RefCell::new(vec![0; CHUNK / size_of::<u128>()]);
        }
        self.check_range(start, out.len())?;
        WORDS.with_borrow_mut(|words| {
            let narrow: &mut [T] = cast_slice_mut(words);
            for out in out.chunks_mut(narrow.len()) {
                let narrow = &mut narrow[..out.len()];
                self.read(start, narrow)?;
                out.iter_mut().zip(&*narrow).for_each(|(to, &element)| *to = element.into());
                start += narrow.len() as u64;
            }
            Ok(())
        })
    }

    /// Fills `out` with the elements from `start` on.
    ///
    /// Errors: `FILE_CORRUPT` when they reach beyond the end.
    pub fn read(&self, start: u64, out: &mut [T]) -> Result<()> {
        self.check_range(start, out.len())?;
        self.read_bytes(cast_slice_mut(out), HEADER as u64 + start * T::WIDTH as u64)
    }

    fn check_range(&self, start: u64, n: usize) -> Result<()> {
        if start.checked_add(n as u64).is_none_or(|end| end > self.count) {
            return Err(corrupt(
                &self.path,
                &format!("has {} elements, but {n} from {start} on are asked for", self.count),
            ));
        }
        Ok(())
    }

    fn read_bytes(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        let read = failpoint::hit("read", &self.path)
            .and_then(|()| read_exact_at(&self.file, bytes, offset));
        read.map_err(|e| read_error(&e, &self.path))
    }

    /// Compares the checksum of all elements, which are not kept: for readers of parts.
    ///
    /// Errors: `FILE_CORRUPT` when it differs.
    pub fn check(&self) -> Result<()> {
        self.scan(|_| Ok(()))
    }

    /// As [`ArrayFile::check`], and passes the elements to `see`, some at a time: before they are
    /// known to be those that were written.
    ///
    /// Errors: `FILE_CORRUPT` when the checksum differs, and those of `see`.
    pub fn scan(&self, mut see: impl FnMut(&[T]) -> Result<()>) -> Result<()> {
        let at_once = ((BLOCK_BYTES / T::WIDTH) as u64).min(self.count);
        let (mut hash, mut some) = (Xxh3Default::new(), vec![T::zeroed(); at_once as usize]);
        let mut start = 0;
        while start < self.count {
            let some = &mut some[..at_once.min(self.count - start) as usize];
            self.read(start, some)?;
            hash_elements(some, &mut hash);
            see(some)?;
            start += some.len() as u64;
        }
        self.compare(hash.digest())
    }

    fn compare(&self, xxh3: u64) -> Result<()> {
        if xxh3 == self.xxh3 {
            Ok(())
        } else {
            Err(corrupt(&self.path, "does not match its checksum"))
        }
    }

    /// Reads everything and compares the checksum.
    ///
    /// Errors: `FILE_CORRUPT` when it differs.
    pub fn read_all(&self) -> Result<Vec<T>> {
        let count = usize::try_from(self.count)
            .map_err(|_| corrupt(&self.path, "is too large for this machine"))?;
        let mut out = Vec::new();
        self.read_into(0, count, &mut out)?;
        let mut hash = Xxh3Default::new();
        hash_elements(&out, &mut hash);
        self.compare(hash.digest())?;
        Ok(out)
    }
}

/// A column that is held in memory, or read by position from the disk.
pub enum Stored<T> {
    /// In memory.
    Held(Vec<T>),
    /// Read on demand.
    File(ArrayFile<T>),
}

impl<T: Scalar> Stored<T> {
    /// Number of elements.
    pub fn len(&self) -> u64 {
        match self {
            Stored::Held(items) => items.len() as u64,
            Stored::File(file) => file.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the elements of a range to `out`; panics beyond the end of a held one, as a slice does.
    ///
    /// Errors: as [`ArrayFile::read_into`].
    pub fn append(&self, range: Range<u64>, out: &mut Vec<T>) -> Result<()> {
        match self {
            Stored::Held(items) => {
                out.extend_from_slice(&items[range.start as usize..range.end as usize]);
                Ok(())
            }
            Stored::File(file) => {
                file.read_into(range.start, (range.end - range.start) as usize, out)
            }
        }
    }

    /// The elements of a range, in `buffer` unless they are held; panics beyond the end of a held
    /// one, as a slice does.
    ///
    /// Errors: as [`ArrayFile::read_into`].
    pub fn get<'b>(&'b self, range: Range<u64>, buffer: &'b mut Vec<T>) -> Result<&'b [T]> {
        match self {
            Stored::Held(items) => Ok(&items[range.start as usize..range.end as usize]),
            Stored::File(file) => {
                buffer.clear();
                file.read_into(range.start, (range.end - range.start) as usize, buffer)?;
                Ok(buffer)
            }
        }
    }
}

/// Writes a column that is held in memory while it is small, and that is on disk beyond that.
pub struct StoredWriter<T> {
    held: Vec<T>,
    most: usize,
    path: Option<PathBuf>,
    file: Option<ArrayWriter<T>>,
}

impl<T: Scalar> StoredWriter<T> {
    /// A column of which memory holds `most` elements. A larger one goes to a file at `path`, which
    /// has no name once it is made, and is gone when it is dropped; without a path all are held.
    pub fn new(most: usize, path: Option<PathBuf>) -> StoredWriter<T> {
        StoredWriter { held: Vec::new(), most, path, file: None }
    }

    /// Appends `items`.
    pub fn push(&mut self, items: &[T]) -> Result<()> {
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

    /// The column.
    pub fn finish(self) -> Result<Stored<T>> {
        match self.file {
            Some(file) => file.into_unlinked().map(Stored::File),
            None => Ok(Stored::Held(self.held)),
        }
    }
}

/// Adds the bytes of elements, as they are on disk, to a checksum.
pub fn hash_elements<T: Scalar>(elements: &[T], hash: &mut Xxh3Default) {
    hash.update(cast_slice(elements));
}

/// The xxh3-64 that a done record holds of the file at `path`, a column or not, and whether a
/// column's elements match its header.
pub(crate) fn sealed_of(path: &Path) -> Result<(Sealed, bool)> {
    let mut file = File::open(path).at("open", path)?;
    let (mut start, mut body) = ([0u8; HEADER], Xxh3Default::new());
    let mut n = 0;
    while n < HEADER {
        match file.read(&mut start[n..]).at("read", path)? {
            0 => break,
            more => n += more,
        }
    }
    let column = n == HEADER && &start[..8] == MAGIC;
    if !column {
        body.update(&start[..n]);
    }
    let (mut buffer, mut bytes) = (vec![0u8; 1 << 20], n as u64);
    loop {
        match file.read(&mut buffer).at("read", path)? {
            0 => break,
            n => {
                body.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
    let found = body.digest();
    let xxh3 = if column { xxh3_64(&start) } else { found };
    Ok((Sealed { bytes, xxh3 }, !column || pod_read_unaligned::<u64>(&start[24..]) == found))
}

/// Writes a whole column.
pub fn write_array<T: Scalar>(path: &Path, elements: &[T]) -> Result<Sealed> {
    let mut writer = ArrayWriter::create(path)?;
    writer.push(elements)?;
    writer.commit()
}

/// Reads a whole column, checksum compared.
pub fn read_array<T: Scalar>(path: &Path) -> Result<Vec<T>> {
    ArrayFile::open(path)?.read_all()
}

/// Reads a column of the ends of lists.
pub fn read_offsets(path: &Path) -> Result<Offsets> {
    Offsets::from_ends(read_array(path)?)
        .ok_or_else(|| corrupt(path, "holds a list that ends before it begins"))
}

/// `FILE_CORRUPT` for a file that differs from the file that its task wrote. The driver of a run
/// runs that task again.
pub(crate) fn corrupt(path: &Path, what: &str) -> Error {
    let message = format!(
        "{} {what}; delete it and run again; the task that made it then runs again",
        path.display()
    );
    Error::corrupt(path, message)
}

/// The error of a read from a column: one that ends early is corrupt.
pub(crate) fn read_error(error: &io::Error, path: &Path) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => corrupt(path, "ends early"),
        _ => Error::io(error, "read", path),
    }
}

#[cfg(test)]
mod tests {
    use longweave_common::Code;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_the_one_written_down() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        write_array(&path, &[1u16, 0x0203]).unwrap();
        let mut expected = b"lwarray1\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0".to_vec();
        expected.extend_from_slice(&xxh3_64(&[1, 0, 3, 2]).to_le_bytes());
        expected.extend_from_slice(&[1, 0, 3, 2]);
        assert_eq!(std::fs::read(&path).unwrap(), expected);
    }

    #[test]
    fn a_column_that_is_set_aside_is_read_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = ArrayWriter::create(&directory.path().join("x")).unwrap();
        let elements: Vec<u32> = (0..100_000).collect();
        elements.chunks(7).for_each(|chunk| writer.push(chunk).unwrap());
        let column = writer.into_unlinked().unwrap();
        assert_eq!(column.read_all().unwrap(), elements);
        let mut some = vec![];
        column.read_into(99_998, 2, &mut some).unwrap();
        assert_eq!(some, [99_998, 99_999]);
        assert_eq!(column.read_into(99_999, 2, &mut some).unwrap_err().code(), Code::FileCorrupt);
        drop(column);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn every_changed_byte_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        write_array(&path, &[1u32, 2, 3]).unwrap();
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            std::fs::write(&path, &bad).unwrap();
            assert_eq!(
                read_array::<u32>(&path).unwrap_err().code(),
                Code::FileCorrupt,
                "byte {at}"
            );
            let checked = ArrayFile::<u32>::open(&path).and_then(|file| file.check());
            assert_eq!(checked.unwrap_err().code(), Code::FileCorrupt, "byte {at}");
        }
        std::fs::write(&path, &good).unwrap();
        ArrayFile::<u32>::open(&path).unwrap().check().unwrap();
        std::fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert_eq!(read_array::<u32>(&path).unwrap_err().code(), Code::FileCorrupt);
    }

    proptest! {
        #[test]
        fn any_range_reads_back(values in proptest::collection::vec(any::<u64>(), 0..3000), a in 0usize..3000, b in 0usize..3000) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("x");
            let mut writer = ArrayWriter::create(&path).unwrap();
            values.chunks(7).for_each(|c| writer.push(c).unwrap());
            writer.commit().unwrap();
            let (a, b) = (a.min(b).min(values.len()), a.max(b).min(values.len()));
            let mut out = vec![];
            ArrayFile::<u64>::open(&path).unwrap().read_into(a as u64, b - a, &mut out).unwrap();
            prop_assert_eq!(&out, &values[a..b]);
            prop_assert_eq!(read_array::<u64>(&path).unwrap(), values);
        }
    }
}
