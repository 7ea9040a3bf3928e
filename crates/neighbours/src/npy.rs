//! Reader of `.npy` files (NEP 1): a matrix of floating-point numbers as NumPy saves it in, rows of
//! doubles out. Versions 1 to 3 of the format, little-endian `f2`, `f4` and `f8`, in C order.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use half::f16;
use longweave_common::{Code, Error, Result, ResultExt};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Bytes of a header that there is no reason to exceed.
const LONGEST_HEADER: u64 = 1 << 16;

/// How numbers are stored.
#[derive(Clone, Copy)]
enum Kind {
    Half,
    Single,
    Double,
}

impl Kind {
    fn bytes(self) -> usize {
        match self {
            Kind::Half => 2,
            Kind::Single => 4,
            Kind::Double => 8,
        }
    }
}

/// An open file, read row by row.
pub struct Npy {
    path: PathBuf,
    file: BufReader<File>,
    kind: Kind,
    rows: u64,
    dims: usize,
    /// Rows not yet read.
    left: u64,
    bytes: Vec<u8>,
}

impl Npy {
    /// Opens a file and reads its header.
    ///
    /// Errors: `VECTORS_INVALID` when it is no such file, or longer or shorter than its header
    /// says; those of the operating system.
    pub fn open(path: &Path) -> Result<Npy> {
        let file = File::open(path).at("open", path)?;
        let size = file.metadata().at("open", path)?.len();
        let mut file = BufReader::with_capacity(1 << 18, file);
        let (header, start) = header(&mut file, size, path)?;
        let Header { kind, rows, dims } = parse(&header).map_err(|wrong| wrong.at(path))?;
        let expected = rows
            .checked_mul(dims)
            .and_then(|n| n.checked_mul(kind.bytes() as u64))
            .and_then(|n| n.checked_add(start));
        if expected != Some(size) {
            let expected = expected.map_or_else(|| "more than 2⁶⁴".to_owned(), |n| n.to_string());
            let found = format!("{size} bytes");
            return Err(Wrong {
                found,
                expected: format!("{expected} bytes for {rows} rows of {dims} numbers"),
            }
            .at(path));
        }
        Ok(Npy {
            path: path.to_owned(),
            file,
            kind,
            rows,
            dims: dims as usize,
            left: rows,
            bytes: Vec::new(),
        })
    }

    /// Number of rows in the file.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Numbers of a row, at least 1.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Replaces `out` by the next rows, row-major: `rows` of them unless the file ends before.
    /// Returns their number, 0 at the end.
    ///
    /// Errors: `VECTORS_INVALID` when the file became shorter since it was opened; those of the
    /// operating system.
    pub fn read(&mut self, rows: usize, out: &mut Vec<f64>) -> Result<usize> {
        let rows = self.left.min(rows as u64) as usize;
        let width = self.kind.bytes();
        self.bytes.resize(rows * self.dims * width, 0);
        self.file.read_exact(&mut self.bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => Wrong {
                found: "an earlier end".to_owned(),
                expected: format!("{} rows as when it was opened", self.rows),
            }
            .at(&self.path),
            _ => Error::io(&error, "read", &self.path),
        })?;
        self.left -= rows as u64;
        out.clear();
        match self.kind {
            Kind::Half => {
                out.extend(self.bytes.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f64()))
            }
            Kind::Single => out
                .extend(self.bytes.as_chunks().0.iter().map(|&b| f64::from(f32::from_le_bytes(b)))),
            Kind::Double => {
                out.extend(self.bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)))
            }
        }
        Ok(rows)
    }
}

/// The first defect of a file.
struct Wrong {
    found: String,
    expected: String,
}

impl Wrong {
    fn at(self, path: &Path) -> Error {
        let Wrong { found, expected } = self;
        Error::new(
            Code::VectorsInvalid,
            format!(
                "{}: found {found}, expected {expected}; save a matrix of floats, a row for each \
                 document, with numpy.save",
                path.display()
            ),
        )
        .with_file(path)
        .with("found", found)
        .with("expected", expected)
    }
}

/// The header's text, and where the numbers begin.
fn header(file: &mut impl Read, size: u64, path: &Path) -> Result<(String, u64)> {
    let wrong = |found: &str, expected: &str| {
        Wrong { found: found.to_owned(), expected: expected.to_owned() }.at(path)
    };
    let mut read = |bytes: &mut [u8], what: &str| {
        file.read_exact(bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                wrong(&format!("a file of {size} bytes that ends in its {what}"), "a .npy file")
            }
            _ => Error::io(&error, "read", path),
        })
    };
    let mut start = [0; 8];
    read(&mut start, "first eight bytes")?;
    if !start.starts_with(MAGIC) {
        return Err(wrong("other first bytes", "those of a .npy file"));
    }
    let (length, header_start) = match start[6] {
        1 => {
            let mut length = [0; 2];
            read(&mut length, "header")?;
            (u64::from(u16::from_le_bytes(length)), 10)
        }
        2 | 3 => {
            let mut length = [0; 4];
            read(&mut length, "header")?;
            (u64::from(u32::from_le_bytes(length)), 12)
        }
        version => {
            return Err(wrong(&format!("version {version} of the format"), "version 1, 2 or 3"));
        }
    };
    if length > LONGEST_HEADER {
        return Err(wrong(
            &format!("a header of {length} bytes"),
            &format!("at most {LONGEST_HEADER}"),
        ));
    }
    let mut text = vec![0; length as usize];
    read(&mut text, "header")?;
    // Versions 1 and 2 are Latin-1: names of fields, which are refused anyway, might not be UTF-8.
    Ok((String::from_utf8_lossy(&text).into_owned(), header_start + length))
}

struct Header {
    kind: Kind,
    rows: u64,
    dims: u64,
}

/// A header: a Python dictionary of `descr`, `fortran_order` and `shape`.
fn parse(header: &str) -> Result<Header, Wrong> {
    let value = |key: &str| {
        let quoted = |quote: char| header.split_once(&format!("{quote}{key}{quote}"));
        let after = quoted('\'')
            .or_else(|| quoted('"'))
            .and_then(|(_, after)| after.trim_start().strip_prefix(':'));
        after.map(str::trim_start).ok_or_else(|| Wrong {
            found: format!("a header without `{key}`"),
            expected: "that of a .npy file".to_owned(),
        })
    };
    let kind = match value("descr")?.split([',', '}']).next().unwrap_or_default().trim() {
        "'<f2'" | "\"<f2\"" => Kind::Half,
        "'<f4'" | "\"<f4\"" => Kind::Single,
        "'<f8'" | "\"<f8\"" => Kind::Double,
        other => {
            return Err(Wrong {
                found: format!("numbers of type {other}"),
                expected: "'<f2', '<f4' or '<f8'".to_owned(),
            });
        }
    };
    let shape = value("shape")?;
    let shape = shape
        .strip_prefix('(')
        .and_then(|shape| shape.split_once(')'))
        .map_or(shape, |(shape, _)| shape);
    let mut axes = shape.split(',').map(str::trim).collect::<Vec<_>>();
    axes.pop_if(|last| last.is_empty());
    let (rows, dims) =
        match axes.iter().map(|axis| axis.parse::<u64>()).collect::<Result<Vec<_>, _>>().as_deref()
        {
            Ok(&[rows, dims]) if dims > 0 => (rows, dims),
            _ => {
                return Err(Wrong {
                    found: format!("shape ({shape})"),
                    expected: "(rows, numbers of a row)".to_owned(),
                });
            }
        };
    if !value("fortran_order")?.starts_with("False") {
        return Err(Wrong {
            found: "the numbers column by column".to_owned(),
            expected: "row by row (numpy.ascontiguousarray)".to_owned(),
        });
    }
    Ok(Header { kind, rows, dims })
}
