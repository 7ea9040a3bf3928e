//! Reader of `.npy` files (NEP 1): a matrix of floating-point numbers as NumPy saves it in, rows of
//! doubles out. Versions 1 to 3 of the format, little-endian `f2`, `f4` and `f8`, in C order.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use half::f16;
use longweave_common::{Code, Error, Result, ResultExt};
use longweave_storage::{NpyDefect, NpyHeader};

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
        let header = NpyHeader::read(&mut file, size).at("read", path)?;
        let read = header.and_then(|header| Ok((matrix(&header)?, header.start)));
        let ((kind, rows, dims), start) = read.map_err(|defect| error(defect, path))?;
        let expected = rows
            .checked_mul(dims)
            .and_then(|n| n.checked_mul(kind.bytes() as u64))
            .and_then(|n| n.checked_add(start));
        if expected != Some(size) {
            let expected = expected.map_or_else(|| "more than 2⁶⁴".to_owned(), |n| n.to_string());
            let expected = format!("{expected} bytes for {rows} rows of {dims} numbers");
            return Err(error(NpyDefect::new(format!("{size} bytes"), expected), path));
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
            std::io::ErrorKind::UnexpectedEof => {
                let expected = format!("{} rows as when it was opened", self.rows);
                self::error(NpyDefect::new("an earlier end", expected), &self.path)
            }
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

fn error(defect: NpyDefect, path: &Path) -> Error {
    let NpyDefect { found, expected } = defect;
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

/// The type, rows and numbers of a row of a matrix.
fn matrix(header: &NpyHeader) -> Result<(Kind, u64, u64), NpyDefect> {
    let kind = match header.descr.trim_matches(['\'', '"']) {
        "<f2" => Kind::Half,
        "<f4" => Kind::Single,
        "<f8" => Kind::Double,
        _ => {
            let found = format!("numbers of type {}", header.descr);
            return Err(NpyDefect::new(found, "'<f2', '<f4' or '<f8'"));
        }
    };
    let Some(&[rows, dims @ (1..)]) = header.axes().as_deref() else {
        let found = format!("shape ({})", header.shape);
        return Err(NpyDefect::new(found, "(rows, numbers of a row)"));
    };
    if header.fortran_order {
        let expected = "row by row (numpy.ascontiguousarray)";
        return Err(NpyDefect::new("the numbers column by column", expected));
    }
    Ok((kind, rows, dims))
}
