//! Thrift's compact protocol, walked without reading it: whether a struct ends where its bytes do,
//! and asks for no more elements than it has bytes for. The library that reads Parquet believes the
//! sizes of lists: it takes memory for them, and counts through elements of no bytes.

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
    let mut walk = Walk { bytes, at: 0, empty: usize::try_from(most).unwrap_or(usize::MAX) };
    walk.structure(most, DEEPEST)?;
    Ok(walk.at)
}

impl Walk<'_> {
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
        loop {
            let head = self.byte()?;
            if head & 0x0f == 0 {
                return Ok(());
            }
            if head >> 4 == 0 {
                self.number()?; // the field's number, unless it is given as a difference
            }
            self.value(head & 0x0f, most, depth)?;
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
                let head = self.byte()?;
                let size = if head >> 4 == 15 { self.number()? } else { u64::from(head >> 4) };
                self.elements(size, &[head & 0x0f], most, depth)
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

/// Whether a Parquet file is encrypted: its footer, or columns that a readable footer describes.
///
/// Errors: those of reading.
pub fn is_parquet_encrypted(file: &impl ChunkReader) -> io::Result<bool> {
    let read = |start, length| file.get_bytes(start, length).map_err(io::Error::other);
    let Some(before) = file.len().checked_sub(8) else { return Ok(false) };
    let end = read(before, 8)?;
    if &end[4..] == b"PARE" {
        return Ok(true);
    }
    let footer = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
    let Some(start) = before.checked_sub(footer).filter(|_| &end[4..] == b"PAR1") else {
        return Ok(false);
    };
    let bytes = read(start, footer as usize)?;
    Ok(top_fields(&bytes, footer).is_ok_and(|fields| fields.contains(&ENCRYPTION_ALGORITHM)))
}

/// Field of `FileMetaData` that a file with a readable footer and encrypted columns has.
const ENCRYPTION_ALGORITHM: i64 = 8;

/// The numbers of the fields of the struct that `bytes` begin with.
fn top_fields(bytes: &[u8], most: u64) -> Result<Vec<i64>, Broken> {
    let mut walk = Walk { bytes, at: 0, empty: usize::try_from(most).unwrap_or(usize::MAX) };
    let (mut fields, mut field) = (Vec::new(), 0i64);
    loop {
        let head = walk.byte()?;
        if head & 0x0f == 0 {
            return Ok(fields);
        }
        field = match head >> 4 {
            0 => {
                let zigzag = walk.number()?;
                (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)
            }
            difference => field + i64::from(difference),
        };
        fields.push(field);
        walk.value(head & 0x0f, most, DEEPEST)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_struct_is_walked_to_its_end_and_no_further() {
        // 1: i32 5, 2: "ab", 3: list of two i64, 4: struct { 1: true }, end; other bytes after it.
        let bytes =
            [0x15, 0x0a, 0x18, 2, b'a', b'b', 0x19, 0x26, 2, 4, 0x1c, 0x11, 0, 0, 0xff, 0xff];
        let mut walked = Walk { bytes: &bytes, at: 0, empty: 16 };
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
}
