//! Thrift's compact protocol, walked without reading it: whether a struct ends where its bytes do,
//! and asks for no more elements than it has bytes for. The library that reads Parquet believes the
//! sizes of lists: it takes memory for them, and counts through elements of no bytes.

use std::collections::BTreeSet;
use std::io;

use parquet::file::reader::ChunkReader;

/// Structs and lists within each other.
const DEEPEST: u32 = 64;

/// Why a struct cannot be walked to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The bytes end before.
    Short,
    /// It declares impossible sizes.
    Unsound,
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Elements without bytes that may still come.
    empty: usize,
}

/// Walks the struct that `bytes` begin with, whose file or page has `most` bytes after its
/// beginning. Returns its length.
pub(crate) fn walk(bytes: &[u8], most: u64) -> Result<usize, Broken> {
    let mut walk = Walk::new(bytes, most);
    walk.structure(most, DEEPEST)?;
    Ok(walk.at)
}

/// The number that a varint stands for.
fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

impl Walk<'_> {
    /// A walk along `bytes`, after whose beginning a file or page has `most` bytes.
    fn new(bytes: &[u8], most: u64) -> Walk<'_> {
        Walk { bytes, at: 0, empty: usize::try_from(most).unwrap_or(usize::MAX) }
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        let byte = *self.bytes.get(self.at).ok_or(Broken::Short)?;
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, n: u64, most: u64) -> Result<(), Broken> {
        if n > most {
            return Err(Broken::Unsound);
        }
        self.at += n as usize;
        if self.at > self.bytes.len() { Err(Broken::Short) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<u64, Broken> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Broken::Unsound)
    }

    fn structure(&mut self, most: u64, depth: u32) -> Result<(), Broken> {
        self.fields(&mut |walk, _, kind| walk.value(kind, most, depth))
    }

    /// Walks a struct. `each` walks the value of a field, given its number and kind.
    fn fields(
        &mut self,
        each: &mut dyn FnMut(&mut Self, i64, u8) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let mut field = 0i64;
        loop {
            let head = self.byte()?;
            if head & 0x0f == 0 {
                return Ok(());
            }
            field = match head >> 4 {
                0 => zigzag(self.number()?),
                difference => field.wrapping_add(i64::from(difference)),
            };
            each(self, field, head & 0x0f)?;
        }
    }

    fn value(&mut self, kind: u8, most: u64, depth: u32) -> Result<(), Broken> {
        let Some(depth) = depth.checked_sub(1) else { return Err(Broken::Unsound) };
        match kind {
            1 | 2 => Ok(()),
            3 => self.skip(1, most),
            4..=6 => self.number().map(drop),
            7 => self.skip(8, most),
            8 => {
                let length = self.number()?;
                self.skip(length, most)
            }
            9 | 10 => {
                let (size, kind) = self.list()?;
                self.elements(size, &[kind], most, depth)
            }
            11 => {
                let size = self.number()?;
                let kinds = if size == 0 { 0 } else { self.byte()? };
                self.elements(size, &[kinds >> 4, kinds & 0x0f], most, depth)
            }
            12 => self.structure(most, depth),
            13 => self.skip(16, most),
            _ => Err(Broken::Unsound),
        }
    }

    /// Walks a list of structs. `each` walks one, given its index.
    fn structs(
        &mut self,
        most: u64,
        each: &mut dyn FnMut(&mut Self, usize) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let (size, kind) = self.list()?;
        if size > most || kind != STRUCT {
            return Err(Broken::Unsound);
        }
        (0..size as usize).try_for_each(|i| each(self, i))
    }

    /// The size of a list and the kind of its elements.
    fn list(&mut self) -> Result<(u64, u8), Broken> {
        let head = self.byte()?;
        let size = if head >> 4 == 15 { self.number()? } else { u64::from(head >> 4) };
        Ok((size, head & 0x0f))
    }

    /// A size of 32 bits.
    fn size(&mut self) -> Result<u64, Broken> {
        i32::try_from(zigzag(self.number()?))
            .ok()
            .and_then(|size| u64::try_from(size).ok())
            .ok_or(Broken::Unsound)
    }

    fn elements(&mut self, size: u64, kinds: &[u8], most: u64, depth: u32) -> Result<(), Broken> {
        if size > most {
            return Err(Broken::Unsound);
        }
        for _ in 0..size {
            self.empty = self.empty.checked_sub(1).ok_or(Broken::Unsound)?;
            for &kind in kinds {
                self.value(kind, most, depth)?;
            }
        }
        Ok(())
    }
}

/// Checks the footer of a Parquet file before the library reads it.
///
/// Errors: those of reading; `InvalidData` for a footer that is longer than the file, or declares
/// impossible sizes.
pub fn check_parquet_footer(file: &impl ChunkReader) -> io::Result<()> {
    let read = |start, length| file.get_bytes(start, length).map_err(io::Error::other);
    let Some(before) = file.len().checked_sub(8) else { return Ok(()) }; // the library says what such a file is
    let end = read(before, 8)?;
    let footer = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
    let Some(start) = before.checked_sub(footer).filter(|_| &end[4..] == b"PAR1") else {
        return Ok(());
    };
    let walked = walk(&read(start, footer as usize)?, footer).map(drop);
    walked.map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, "its footer declares impossible sizes")
    })
}

/// The encryption of a Parquet file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParquetEncryption {
    /// Nothing is encrypted.
    None,
    /// The footer, so that nothing can be read.
    Footer,
    /// Columns, by number among all that hold values. Empty where the footer does not say which.
    Columns(BTreeSet<usize>),
}

/// The encryption of a Parquet file.
///
/// Errors: those of reading.
pub fn parquet_encryption(file: &impl ChunkReader) -> io::Result<ParquetEncryption> {
    let read = |start, length| file.get_bytes(start, length).map_err(io::Error::other);
    let Some(before) = file.len().checked_sub(8) else { return Ok(ParquetEncryption::None) };
    let end = read(before, 8)?;
    if &end[4..] == b"PARE" {
        return Ok(ParquetEncryption::Footer);
    }
    let footer = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
    let Some(start) = before.checked_sub(footer).filter(|_| &end[4..] == b"PAR1") else {
        return Ok(ParquetEncryption::None);
    };
    let bytes = read(start, footer as usize)?;
    let (mut encrypted, mut columns) = (false, BTreeSet::new());
    let mut walk = Walk::new(&bytes, footer);
    let walked = walk.fields(&mut |walk, field, kind| {
        encrypted |= field == ENCRYPTION_ALGORITHM;
        if (field, kind) != (ROW_GROUPS, LIST) {
            return walk.value(kind, footer, DEEPEST);
        }
        walk.structs(footer, &mut |walk, _| {
            walk.fields(&mut |walk, field, kind| {
                if (field, kind) != (COLUMNS, LIST) {
                    return walk.value(kind, footer, DEEPEST);
                }
                walk.structs(footer, &mut |walk, column| {
                    walk.fields(&mut |walk, field, kind| {
                        if field == CRYPTO_METADATA {
                            columns.insert(column);
                        }
                        walk.value(kind, footer, DEEPEST)
                    })
                })
            })
        })
    });
    let readable = walked.is_ok() && encrypted;
    Ok(if readable { ParquetEncryption::Columns(columns) } else { ParquetEncryption::None })
}

/// Kinds of fields.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const I32: u8 = 5;
const LIST: u8 = 9;
const STRUCT: u8 = 12;
/// Fields of `FileMetaData`; a file with encrypted columns has the second.
const ROW_GROUPS: i64 = 4;
const ENCRYPTION_ALGORITHM: i64 = 8;
/// The field of `RowGroup` that lists its columns.
const COLUMNS: i64 = 1;
/// The field of `ColumnChunk` that an encrypted column has.
const CRYPTO_METADATA: i64 = 8;
/// Fields of `PageHeader`.
const UNCOMPRESSED_SIZE: i64 = 2;
const HEADER_V2: i64 = 8;
/// Fields of `DataPageHeaderV2`.
const DEFINITION_LEVELS_LENGTH: i64 = 5;
const REPETITION_LEVELS_LENGTH: i64 = 6;
const IS_COMPRESSED: i64 = 7;

/// A page as its header describes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageHeader {
    /// Bytes of the header.
    pub(crate) length: usize,
    /// Bytes that the page unpacks to, its levels included.
    pub(crate) unpacked: u64,
    /// Bytes of levels before the values, which are not compressed: of a page of version 2.
    pub(crate) levels: u64,
    /// Whether a page of version 2 is not compressed, whatever the codec of its column.
    pub(crate) plain: bool,
}

/// Reads the header of a page that `bytes` begin with, of a file with `most` bytes after it.
pub(crate) fn page_header(bytes: &[u8], most: u64) -> Result<PageHeader, Broken> {
    let (mut header, mut unpacked) = (PageHeader::default(), None);
    let mut walk = Walk::new(bytes, most);
    walk.fields(&mut |walk, field, kind| match (field, kind) {
        (UNCOMPRESSED_SIZE, I32) => {
            unpacked = Some(walk.size()?);
            Ok(())
        }
        (HEADER_V2, STRUCT) => {
            // Of a field that comes twice the last counts, for the library too.
            let mut levels = [0; 2];
            header.plain = false;
            walk.fields(&mut |walk, field, kind| {
                match (field, kind) {
                    (DEFINITION_LEVELS_LENGTH, I32) => levels[0] = walk.size()?,
                    (REPETITION_LEVELS_LENGTH, I32) => levels[1] = walk.size()?,
                    (IS_COMPRESSED, TRUE | FALSE) => header.plain = kind == FALSE,
                    _ => walk.value(kind, most, DEEPEST)?,
                }
                Ok(())
            })?;
            header.levels = levels.iter().sum();
            Ok(())
        }
        _ => walk.value(kind, most, DEEPEST),
    })?;
    (header.length, header.unpacked) = (walk.at, unpacked.ok_or(Broken::Unsound)?);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_struct_is_walked_to_its_end_and_no_further() {
        // 1: i32 5, 2: "ab", 3: list of two i64, 4: struct { 1: true }, end; other bytes after it.
        let bytes =
            [0x15, 0x0a, 0x18, 2, b'a', b'b', 0x19, 0x26, 2, 4, 0x1c, 0x11, 0, 0, 0xff, 0xff];
        let mut walked = Walk::new(&bytes, 16);
        assert_eq!((walked.structure(16, DEEPEST), walked.at), (Ok(()), 14));
        for cut in 0..14 {
            assert_eq!(walk(&bytes[..cut], 16), Err(Broken::Short), "{cut}");
        }
    }

    #[test]
    fn sizes_that_no_bytes_back_are_refused() {
        let huge = [0xff, 0xff, 0xff, 0xff, 0x07];
        let with = |head: &[u8]| [head, &huge, &[0; 40]].concat();
        assert_eq!(
            walk(&with(&[0x19, 0xf1]), 47),
            Err(Broken::Unsound),
            "a list of booleans, which have no bytes"
        );
        assert_eq!(walk(&with(&[0x19, 0xfc]), 47), Err(Broken::Unsound), "a list of structs");
        assert_eq!(walk(&with(&[0x1b]), 47), Err(Broken::Unsound), "a map");
        assert_eq!(walk(&with(&[0x18]), 47), Err(Broken::Unsound), "bytes");
        // Lists of lists of booleans, each small enough: together they are not.
        let rows = [&[0x19, 0x99][..], &[0xe1; 9], &[0; 40]].concat();
        assert_eq!(walk(&rows, rows.len() as u64), Err(Broken::Unsound));
        assert_eq!(walk(&[0x1c; 1000], 1000), Err(Broken::Unsound), "structs too deep");
    }

    #[test]
    fn a_page_says_what_it_unpacks_to_and_where_its_values_begin() {
        let header = |length, unpacked| PageHeader { length, unpacked, ..PageHeader::default() };
        let v1 = [0x15, 0x00, 0x15, 0x9a, 0x01, 0x15, 0x04, 0x00];
        assert_eq!(page_header(&v1, 99), Ok(header(8, 77)));
        let large = [0x15, 0x00, 0x15, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0x00];
        assert_eq!(page_header(&large, 99), Ok(header(9, 0x7fff_ffff)));
        // Version 2: 8: { 5: 3 bytes, 6: 2 bytes, 7: false }.
        let v2 = [0x15, 0x06, 0x15, 0x14, 0x15, 0x14, 0x5c, 0x55, 0x06, 0x15, 0x04, 0x12, 0, 0];
        let expected = PageHeader { length: 14, unpacked: 10, levels: 5, plain: true };
        assert_eq!(page_header(&v2, 99), Ok(expected));
        for cut in 0..v2.len() {
            assert_eq!(page_header(&v2[..cut], 99), Err(Broken::Short), "{cut}");
        }
        let negative = [0x15, 0, 0x15, 0x01, 0];
        assert_eq!(page_header(&negative, 99), Err(Broken::Unsound));
        let endless = [0x15, 0, 0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0];
        assert_eq!(page_header(&endless, 99), Err(Broken::Unsound));
        assert_eq!(page_header(&[0x15, 0, 0], 99), Err(Broken::Unsound), "no size");
    }
}
