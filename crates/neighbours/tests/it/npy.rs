use longweave_common::{Code, Error};
use longweave_neighbours::Npy;
use tempfile::TempDir;

/// A file: version, header, numbers.
fn file(version: u8, header: &str, numbers: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend((header.len() as u16).to_le_bytes()),
        _ => bytes.extend((header.len() as u32).to_le_bytes()),
    }
    bytes.extend(header.bytes());
    bytes.extend(numbers);
    bytes
}

/// As NumPy writes it.
fn header(kind: &str, order: &str, shape: &str) -> String {
    format!("{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}          \n")
}

fn open(bytes: &[u8]) -> Result<(TempDir, Npy), Error> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vectors.npy");
    std::fs::write(&path, bytes).unwrap();
    Ok((directory, Npy::open(&path)?))
}

#[test]
fn rows_come_as_doubles_in_all_kinds_and_versions() {
    let numbers = [1.0f64, -0.5, 0.0, 2048.0, 6.103515625e-5, f64::INFINITY];
    let halves = [0x3c00u16, 0xb800, 0x8000, 0x6800, 0x0400, 0x7c00];
    let two: Vec<u8> = halves.iter().flat_map(|x| x.to_le_bytes()).collect();
    let four: Vec<u8> = numbers.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect();
    let eight: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    for (kind, bytes) in [("'<f2'", two), ("'<f4'", four), ("'<f8'", eight)] {
        for version in 1..=3 {
            let (_directory, mut npy) =
                open(&file(version, &header(kind, "False", "(3, 2)"), &bytes)).unwrap();
            assert_eq!((npy.rows(), npy.dims()), (3, 2));
            let mut out = vec![9.0];
            assert_eq!(npy.read(2, &mut out).unwrap(), 2);
            assert_eq!(out, numbers[..4], "{kind} {version}");
            assert_eq!(npy.read(2, &mut out).unwrap(), 1);
            assert_eq!(out, numbers[4..], "{kind} {version}");
            assert_eq!(npy.read(2, &mut out).unwrap(), 0);
            assert!(out.is_empty());
        }
    }
}

#[test]
fn every_half_is_what_its_bits_say() {
    let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let (_directory, mut npy) =
        open(&file(1, &header("'<f2'", "False", "(1, 65536)"), &all)).unwrap();
    let mut out = Vec::new();
    npy.read(1, &mut out).unwrap();
    for (bits, &x) in (0..=u16::MAX).zip(&out) {
        // The same number in 64 bits: five bits of exponent become eleven.
        let (sign, exponent, fraction) = (bits >> 15, bits >> 10 & 31, bits & 1023);
        let expected = match exponent {
            0 => f64::from(fraction) * 2f64.powi(-24),
            31 if fraction > 0 => f64::NAN,
            31 => f64::INFINITY,
            _ => f64::from_bits(u64::from(exponent + 1008) << 52 | u64::from(fraction) << 42),
        };
        let expected = if sign == 1 { -expected } else { expected };
        assert!(x == expected || x.is_nan() && expected.is_nan(), "{bits:#x}: {x}");
    }
}

#[test]
fn other_ways_to_write_a_header_are_read() {
    for header in [
        "{\"shape\":(1,2),\"fortran_order\":False,\"descr\":\"<f4\"}",
        "{'fortran_order':False,'descr': '<f4','shape': ( 1 , 2 ,)}\n",
    ] {
        let (_directory, npy) = open(&file(1, header, &[0; 8])).unwrap();
        assert_eq!((npy.rows(), npy.dims()), (1, 2));
    }
    let (_directory, mut npy) = open(&file(1, &header("'<f8'", "False", "(0, 7)"), &[])).unwrap();
    assert_eq!((npy.rows(), npy.dims()), (0, 7));
    assert_eq!(npy.read(10, &mut Vec::new()).unwrap(), 0);
}

#[test]
fn what_cannot_be_read_is_said() {
    let fine = header("'<f4'", "False", "(2, 3)");
    let table: &[(&str, Vec<u8>, &[&str])] = &[
        ("empty", vec![], &["0 bytes", "a .npy file"]),
        ("another file", b"id,x,y\n1,2,3\n".to_vec(), &["other first bytes"]),
        ("an unknown version", file(4, &fine, &[0; 24]), &["version 4", "version 1, 2 or 3"]),
        ("cut in its header", file(1, &fine, &[])[..40].to_vec(), &["40 bytes", "header"]),
        ("a huge header", file(2, &" ".repeat(70_000), &[]), &["70000 bytes"]),
        (
            "no shape",
            file(1, "{'descr': '<f4', 'fortran_order': False}", &[0; 24]),
            &["without `shape`"],
        ),
        (
            "big-endian",
            file(1, &header("'>f4'", "False", "(2, 3)"), &[0; 24]),
            &["'>f4'", "'<f2', '<f4' or '<f8'"],
        ),
        ("whole numbers", file(1, &header("'<i8'", "False", "(2, 3)"), &[0; 48]), &["'<i8'"]),
        (
            "fields",
            file(1, &header("[('x', '<f4')]", "False", "(2, 3)"), &[0; 24]),
            &["[('x'", "'<f4'"],
        ),
        (
            "one axis",
            file(1, &header("'<f4'", "False", "(6,)"), &[0; 24]),
            &["shape (6,)", "(rows, numbers of a row)"],
        ),
        (
            "three axes",
            file(1, &header("'<f4'", "False", "(1, 2, 3)"), &[0; 24]),
            &["shape (1, 2, 3)"],
        ),
        (
            "no numbers in a row",
            file(1, &header("'<f4'", "False", "(2, 0)"), &[]),
            &["shape (2, 0)"],
        ),
        (
            "column by column",
            file(1, &header("'<f4'", "True", "(2, 3)"), &[0; 24]),
            &["column by column", "ascontiguousarray"],
        ),
        ("cut short", file(1, &fine, &[0; 23]), &["2 rows of 3 numbers"]),
        ("too long", file(1, &fine, &[0; 25]), &["2 rows of 3 numbers"]),
        (
            "an impossible size",
            file(1, &header("'<f8'", "False", "(9999999999, 9999999999)"), &[0; 24]),
            &["more than 2⁶⁴"],
        ),
    ];
    for (name, bytes, parts) in table {
        let error = open(bytes).map(|_| ()).unwrap_err();
        assert_eq!(error.code(), Code::VectorsInvalid, "{name}");
        for part in parts.iter().chain(&["vectors.npy", "numpy.save"]) {
            assert!(error.message().contains(part), "{name}: {}", error.message());
        }
        assert!(
            ["file", "found", "expected"].iter().all(|key| error.details().contains_key(*key)),
            "{name}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_or_shrinks_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vectors.npy");
    assert_eq!(Npy::open(&path).map(|_| ()).unwrap_err().code(), Code::InputNotFound);
    // Longer than what is read ahead.
    let bytes = file(1, &header("'<f8'", "False", "(1000, 100)"), &[0; 800_000]);
    std::fs::write(&path, &bytes).unwrap();
    let mut npy = Npy::open(&path).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(400_000).unwrap();
    let error = npy.read(1000, &mut Vec::new()).unwrap_err();
    assert_eq!(error.code(), Code::VectorsInvalid);
    assert!(error.message().contains("an earlier end"), "{}", error.message());
}
