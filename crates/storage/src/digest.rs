//! Digests that address results by content, and checksums of whole files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use longweave_common::{Result, ResultExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

/// 16 hexadecimal digits: half of the xxh3-128 of a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The digest of a value: of its JSON with object keys in byte order.
pub fn digest_of(value: &serde_json::Value) -> Digest {
    digest_of_text(value.to_string().as_bytes()) // serde_json's Map is ordered by key
}

/// The digest of a text, whatever is in it.
pub fn digest_of_text(text: &[u8]) -> Digest {
    Digest(format!("{:016x}", (xxh3_128(text) >> 64) as u64))
}

/// A SHA-256 in the making.
#[derive(Default)]
pub struct Sha256Sum(Sha256);

impl Sha256Sum {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The sum in lower-case hexadecimal.
    pub fn finish(self) -> String {
        self.0.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// (bytes, xxh3-64, lower-case sha-256) of a file, read once.
pub fn checksum_file(path: &Path) -> Result<(u64, u64, String)> {
    checksum_with(path, |_| Ok(()))
}

/// As [`checksum_file`]. Calls `read` with the bytes of each part that was read, about a megabyte;
/// an error of `read` ends the reading.
pub fn checksum_with(
    path: &Path,
    mut read: impl FnMut(u64) -> Result<()>,
) -> Result<(u64, u64, String)> {
    let mut file = File::open(path).at("open", path)?;
    let (mut xxh3, mut sha, mut bytes) = (Xxh3Default::new(), Sha256Sum::default(), 0);
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        let n = file.read(&mut buffer).at("read", path)?;
        if n == 0 {
            return Ok((bytes, xxh3.digest(), sha.finish()));
        }
        xxh3.update(&buffer[..n]);
        sha.update(&buffer[..n]);
        bytes += n as u64;
        read(n as u64)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_keys_does_not_matter_and_every_value_does() {
        assert_eq!(digest_of(&json!({"a": 1, "b": [2]})), digest_of(&json!({"b": [2], "a": 1})));
        assert_ne!(digest_of(&json!({"a": 1})), digest_of(&json!({"a": 2})));
        assert_eq!(digest_of(&json!(null)).as_str().len(), 16);
    }

    #[test]
    fn sha256_is_the_known_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let (bytes, _, sha) = checksum_file(&path).unwrap();
        assert_eq!(
            (bytes, sha.as_str()),
            (3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        );
    }
}
