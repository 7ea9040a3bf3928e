//! Headers of `.npy` files (NEP 1), versions 1 to 3: the type, order and shape of the numbers, and
//! where they begin.

use std::io::{self, Read};

/// The first bytes of a `.npy` file.
pub const NPY_MAGIC: &[u8] = b"\x93NUMPY";
/// Bytes of a header that there is no reason to exceed.
const LONGEST_HEADER: u64 = 1 << 16;

/// A header: a Python dictionary of `descr`, `fortran_order` and `shape`.
#[derive(Debug)]
pub struct NpyHeader {
    /// The type of the numbers as it is written, with quotes: `'<u2'`.
    pub descr: String,
    /// Whether the numbers are column by column.
    pub fortran_order: bool,
    /// The axes as they are written: `3, 2`.
    pub shape: String,
    /// The position of the first number.
    pub start: u64,
}

/// The first defect of a header.
#[derive(Debug)]
pub struct NpyDefect {
    /// The content of the file.
    pub found: String,
    /// The content that fits.
    pub expected: String,
}

impl NpyDefect {
    /// A defect, in words.
    pub fn new(found: impl Into<String>, expected: impl Into<String>) -> NpyDefect {
        NpyDefect { found: found.into(), expected: expected.into() }
    }
}

impl NpyHeader {
    /// Reads the header from the beginning of a file of `size` bytes.
    ///
    /// Errors: those of reading; a defect, where the file is not a `.npy` file.
    pub fn read(file: &mut impl Read, size: u64) -> io::Result<Result<NpyHeader, NpyDefect>> {
        let mut step = "first eight bytes";
        let mut read = || -> io::Result<Result<NpyHeader, NpyDefect>> {
            let mut start = [0; 8];
            file.read_exact(&mut start)?;
            if !start.starts_with(NPY_MAGIC) {
                return Ok(Err(NpyDefect::new("other first bytes", "those of a .npy file")));
            }
            step = "header";
            let mut length = [0; 4];
            let bytes = match start[6] {
                1 => 2,
                2 | 3 => 4,
                version => {
                    let found = format!("version {version} of the format");
                    return Ok(Err(NpyDefect::new(found, "version 1, 2 or 3")));
                }
            };
            file.read_exact(&mut length[..bytes])?;
            let length = u64::from(u32::from_le_bytes(length));
            if length > LONGEST_HEADER {
                let found = format!("a header of {length} bytes");
                return Ok(Err(NpyDefect::new(found, format!("at most {LONGEST_HEADER}"))));
            }
            let mut text = vec![0; length as usize];
            file.read_exact(&mut text)?;
            // Versions 1 and 2 are Latin-1: names of fields, which are refused anyway, might not be
            // UTF-8.
            Ok(parse(&String::from_utf8_lossy(&text), 8 + bytes as u64 + length))
        };
        match read() {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let found = format!("a file of {size} bytes that ends in its {step}");
                Ok(Err(NpyDefect::new(found, "a .npy file")))
            }
            read => read,
        }
    }

    /// The lengths of the axes; `None` where they are not numbers.
    pub fn axes(&self) -> Option<Vec<u64>> {
        let mut axes = self.shape.split(',').map(str::trim).collect::<Vec<_>>();
        axes.pop_if(|last| last.is_empty());
        axes.into_iter().map(|axis| axis.parse().ok()).collect()
    }
}

fn parse(header: &str, start: u64) -> Result<NpyHeader, NpyDefect> {
    let value = |key: &str| {
        let quoted = |quote: char| header.split_once(&format!("{quote}{key}{quote}"));
        let after = quoted('\'')
            .or_else(|| quoted('"'))
            .and_then(|(_, after)| after.trim_start().strip_prefix(':'));
        after.map(str::trim_start).ok_or_else(|| {
            NpyDefect::new(format!("a header without `{key}`"), "that of a .npy file")
        })
    };
    let descr = value("descr")?.split([',', '}']).next().unwrap_or_default().trim().to_owned();
    let shape = value("shape")?;
    let within = shape.strip_prefix('(').and_then(|shape| shape.split_once(')'));
    let shape = within.map_or(shape, |(shape, _)| shape).to_owned();
    let fortran_order = !value("fortran_order")?.starts_with("False");
    Ok(NpyHeader { descr, fortran_order, shape, start })
}
