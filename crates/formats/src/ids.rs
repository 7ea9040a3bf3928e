//! Token ids as flat little-endian numbers of two or four bytes, as `megatron`, `datatrove`,
//! `numpy` and `litdata` keep them.

use std::fs::File;
use std::path::Path;

use longweave_common::{Code, Error, Result, ResultExt};
use longweave_storage::read_exact_at;

/// Bytes of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Two,
    Four,
}

impl Width {
    /// The narrowest width of ids up to `max_id`, as datatrove and OLMo-core choose it.
    pub(crate) fn narrowest(max_id: u32) -> Width {
        if max_id <= u32::from(u16::MAX) { Width::Two } else { Width::Four }
    }

    /// The width of ids up to `max_id` in Megatron's files: its preprocessing takes u16 for
    /// vocabularies below 65,500.
    pub(crate) fn of_megatron(max_id: u32) -> Width {
        if max_id < 65_500 { Width::Two } else { Width::Four }
    }

    pub(crate) fn bytes(self) -> u64 {
        match self {
            Width::Two => 2,
            Width::Four => 4,
        }
    }

    /// Appends the bytes of `ids` to `out`.
    ///
    /// Errors: `INTERNAL` where an id is larger than what the width was chosen by.
    pub(crate) fn encode(self, ids: &[u32], out: &mut Vec<u8>) -> Result<()> {
        match self {
            Width::Two => {
                if ids.iter().fold(0, |all, id| all | id) > u32::from(u16::MAX) {
                    let message = "an id is larger than the vocabulary says: it needs four bytes";
                    return Err(Error::new(Code::Internal, message));
                }
                put_numbers::<2>(ids.iter().copied(), out);
            }
            Width::Four => put_numbers::<4>(ids.iter().copied(), out),
        }
        Ok(())
    }

    fn decode(self, bytes: &[u8]) -> Vec<u32> {
        match self {
            Width::Two => {
                bytes.chunks_exact(2).map(|b| u32::from(u16::from_le_bytes([b[0], b[1]]))).collect()
            }
            Width::Four => bytes
                .chunks_exact(4)
                .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
        }
    }

    /// `n` ids of a file, from byte `offset` on. Nothing is held for ids that the file does not
    /// have.
    pub(crate) fn read(self, path: &Path, offset: u64, n: u64) -> Result<Vec<u32>> {
        let file = File::open(path).at("open", path)?;
        let bytes = read_part(&file, path, offset, n.saturating_mul(self.bytes()))?;
        Ok(self.decode(&bytes))
    }
}

/// Appends the low `WIDTH` bytes of each number. Through a block on the stack, so that the compiler
/// makes vectors of it and no byte is written twice.
pub(crate) fn put_numbers<const WIDTH: usize>(
    mut numbers: impl ExactSizeIterator<Item = u32>,
    out: &mut Vec<u8>,
) {
    const BLOCK: usize = 512;
    out.reserve(numbers.len() * WIDTH);
    let mut block = [[0u8; WIDTH]; BLOCK];
    while numbers.len() > 0 {
        let n = numbers.len().min(BLOCK);
        for (bytes, number) in block[..n].iter_mut().zip(&mut numbers) {
            bytes.copy_from_slice(&number.to_le_bytes()[..WIDTH]);
        }
        out.extend_from_slice(block[..n].as_flattened());
    }
}

/// `n` bytes of a file, from `offset` on. Nothing is held for bytes that the file does not have.
///
/// Errors: `FILE_CORRUPT` where the file ends before.
pub(crate) fn read_part(file: &File, path: &Path, offset: u64, n: u64) -> Result<Vec<u8>> {
    let length = file.metadata().at("read", path)?.len();
    if offset.checked_add(n).is_none_or(|end| end > length) {
        return Err(corrupt(
            path,
            &format!("it has {length} bytes, but {n} are expected at {offset}"),
        ));
    }
    let mut bytes = vec![0u8; n as usize];
    read_exact_at(file, &mut bytes, offset).map_err(|e| corrupt(path, &e))?;
    Ok(bytes)
}

/// The token ids of a sequence of a file that holds nothing but `sequences` of them, `length` tokens
/// each.
pub(crate) fn read_flat(
    path: &Path,
    sequence: u64,
    sequences: u64,
    length: u32,
) -> Result<Vec<u32>> {
    let bytes = std::fs::metadata(path).at("read", path)?.len();
    // The file does not say how wide its ids are; its length does.
    let of =
        |width: Width| sequences.saturating_mul(u64::from(length)).saturating_mul(width.bytes());
    let Some(width) = [Width::Two, Width::Four].into_iter().find(|&width| of(width) == bytes)
    else {
        return Err(corrupt(
            path,
            &format!(
                "it has {bytes} bytes, which are not {sequences} sequences of {length} tokens"
            ),
        ));
    };
    let offset = sequence.saturating_mul(u64::from(length)).saturating_mul(width.bytes());
    width.read(path, offset, u64::from(length))
}

/// `FILE_CORRUPT` for a file of an output.
pub(crate) fn corrupt(path: &Path, what: &dyn std::fmt::Display) -> Error {
    Error::new(Code::FileCorrupt, format!("{} cannot be read: {what}", path.display()))
        .with_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_value_or_are_refused() {
        let mut bytes = Vec::new();
        Width::Two.encode(&[0, 258, 65_535], &mut bytes).unwrap();
        assert_eq!(bytes, [0, 0, 2, 1, 255, 255]);
        assert_eq!(Width::Two.decode(&bytes), [0, 258, 65_535]);
        assert_eq!(Width::Two.encode(&[65_536], &mut bytes).unwrap_err().code(), Code::Internal);
        bytes.clear();
        Width::Four.encode(&[70_000], &mut bytes).unwrap();
        assert_eq!(
            (bytes.as_slice(), Width::Four.decode(&bytes)),
            (&[0x70, 0x11, 1, 0][..], vec![70_000])
        );
    }

    #[test]
    fn what_a_file_does_not_have_is_not_held() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ids");
        std::fs::write(&path, [1, 0, 2, 0]).unwrap();
        assert_eq!(Width::Two.read(&path, 2, 1).unwrap(), [2]);
        for (offset, n) in [(2, 2), (5, 0), (0, u64::MAX), (u64::MAX, 1)] {
            assert_eq!(
                Width::Two.read(&path, offset, n).unwrap_err().code(),
                Code::FileCorrupt,
                "{offset} {n}"
            );
        }
    }
}
