//! Lines of JSON that end in a checksum: `{xxh3}` of all bytes before, in 16 hexadecimal digits.

use longweave_common::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sum {
    xxh3: String,
}

impl Sum {
    fn of(lines: &[u8]) -> Sum {
        Sum { xxh3: format!("{:016x}", xxh3_64(lines)) }
    }
}

/// Appends a line.
///
/// Errors: `INTERNAL` for a value that is not JSON.
pub fn push_line(lines: &mut Vec<u8>, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *lines, value)
        .map_err(|e| Error::new(Code::Internal, format!("a line as JSON: {e}")))?;
    lines.push(b'\n');
    Ok(())
}

/// Appends the checksum of `lines`.
pub fn push_sum(lines: &mut Vec<u8>) -> Result<()> {
    let sum = Sum::of(lines);
    push_line(lines, &sum)
}

/// The lines before the checksum that ends `text`, without line feeds; `None` where it is missing or
/// that of other lines.
pub fn summed_lines(text: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let without_end = text.strip_suffix(b"\n")?;
    let last = without_end.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
    let (lines, sum) = (&text[..last], &without_end[last..]);
    let Sum { xxh3 } = serde_json::from_slice(sum).ok()?;
    (xxh3 == Sum::of(lines).xxh3)
        .then(|| lines.split(|&b| b == b'\n').filter(|line| !line.is_empty()))
}
