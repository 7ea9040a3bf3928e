//! The token store: per split the ids of all documents end to end, as u16 or u32, and where each document's end.
//! Files: `PREFIX.ids` (a column of ids) and `PREFIX.ends` (a column of u64, one for each row of the split).

use std::path::{Path, PathBuf};

use longweave_common::{Code, DocId, Error, Result};
use longweave_storage::{ArrayFile, ArrayWriter, FileRecord};

/// Bytes of a stored id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Two.
    U16,
    /// Four.
    U32,
}

/// The width for ids up to `max_id`.
pub fn width_for(max_id: u32) -> Width {
    if max_id <= u32::from(u16::MAX) { Width::U16 } else { Width::U32 }
}

fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

enum Ids {
    U16(ArrayWriter<u16>, Vec<u16>),
    U32(ArrayWriter<u32>),
}

/// Writes the tokens of a split, document after document.
pub struct TokenWriter {
    ids: Ids,
    ends: Vec<u64>,
    total: u64,
    prefix: PathBuf,
}

impl TokenWriter {
    /// Begins the store of a split at `PREFIX.ids` and `PREFIX.ends`.
    pub fn create(prefix: &Path, width: Width) -> Result<TokenWriter> {
        let path = with_suffix(prefix, ".ids");
        let ids = match width {
            Width::U16 => Ids::U16(ArrayWriter::create(&path)?, Vec::new()),
            Width::U32 => Ids::U32(ArrayWriter::create(&path)?),
        };
        Ok(TokenWriter { ids, ends: Vec::new(), total: 0, prefix: prefix.to_owned() })
    }

    /// Appends a document; a row without one is an empty document.
    ///
    /// Errors: `INTERNAL` for an id beyond the width.
    pub fn push(&mut self, tokens: &[u32]) -> Result<()> {
        match &mut self.ids {
            Ids::U32(writer) => writer.push(tokens)?,
            Ids::U16(writer, narrow) => {
                narrow.clear();
                for &id in tokens {
                    narrow.push(
                        u16::try_from(id)
                            .map_err(|_| Error::new(Code::Internal, format!("the id {id} is larger than the vocabulary says")))?,
                    );
                }
                writer.push(narrow)?;
            }
        }
        self.total += tokens.len() as u64;
        self.ends.push(self.total);
        Ok(())
    }

    /// Puts the files in place.
    pub fn commit(self) -> Result<Vec<FileRecord>> {
        let sealed = match self.ids {
            Ids::U16(writer, _) => writer.commit()?,
            Ids::U32(writer) => writer.commit()?,
        };
        let ends = longweave_storage::write_array(&with_suffix(&self.prefix, ".ends"), &self.ends)?;
        let name = |suffix| with_suffix(&self.prefix, suffix).file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(vec![FileRecord::new(name(".ids"), sealed), FileRecord::new(name(".ends"), ends)])
    }
}

enum Column {
    U16(ArrayFile<u16>),
    U32(ArrayFile<u32>),
}

/// Reads the tokens of a split by row. Costs 8 bytes a row.
pub struct TokenReader {
    ids: Column,
    ends: Vec<u64>,
}

impl TokenReader {
    /// Opens the store of a split.
    pub fn open(prefix: &Path) -> Result<TokenReader> {
        let path = with_suffix(prefix, ".ids");
        let ids = match ArrayFile::<u16>::open(&path) {
            Ok(file) => Column::U16(file),
            Err(_) => Column::U32(ArrayFile::open(&path)?),
        };
        let ends = longweave_storage::read_array(&with_suffix(prefix, ".ends"))?;
        Ok(TokenReader { ids, ends })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.ends.len()
    }

    fn start(&self, row: usize) -> u64 {
        if row == 0 { 0 } else { self.ends[row - 1] }
    }

    /// Tokens of a row; panics beyond the last, as a slice does.
    pub fn len(&self, row: usize) -> u32 {
        (self.ends[row] - self.start(row)) as u32
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Appends tokens `start..start + len` of a row to `out`.
    ///
    /// Errors: `FILE_CORRUPT` beyond the end.
    pub fn read_into(&self, row: usize, start: u32, len: u32, out: &mut Vec<u32>) -> Result<()> {
        let at = self.start(row) + u64::from(start);
        match &self.ids {
            Column::U32(file) => file.read_into(at, len as usize, out),
            Column::U16(file) => {
                let mut narrow = Vec::new();
                file.read_into(at, len as usize, &mut narrow)?;
                out.extend(narrow.iter().map(|&id| u32::from(id)));
                Ok(())
            }
        }
    }
}

/// Reads the tokens of a corpus by document, from the stores of its splits. Threads can share it.
pub struct TokenStore {
    first: Vec<u32>,
    readers: Vec<TokenReader>,
}

impl TokenStore {
    /// Opens the stores of all splits, each with the `DocId` of its first row, in order.
    pub fn open(splits: Vec<(u32, PathBuf)>) -> Result<TokenStore> {
        let first = splits.iter().map(|(first, _)| *first).collect();
        let readers = splits.iter().map(|(_, prefix)| TokenReader::open(prefix)).collect::<Result<_>>()?;
        Ok(TokenStore { first, readers })
    }

    fn place(&self, doc: DocId) -> (&TokenReader, usize) {
        // The last split that begins at or before the document: empty splits begin where the next does.
        let split = self.first.partition_point(|&first| first <= doc.get()) - 1;
        (&self.readers[split], (doc.get() - self.first[split]) as usize)
    }

    /// Tokens of a document.
    pub fn len(&self, doc: DocId) -> u32 {
        let (reader, row) = self.place(doc);
        reader.len(row)
    }

    /// Whether the corpus has no rows.
    pub fn is_empty(&self) -> bool {
        self.readers.iter().all(TokenReader::is_empty)
    }

    /// Appends tokens `start..start + len` of a document to `out`.
    pub fn read_into(&self, doc: DocId, start: u32, len: u32, out: &mut Vec<u32>) -> Result<()> {
        let (reader, row) = self.place(doc);
        reader.read_into(row, start, len, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_run_of_any_document_reads_back(
            splits in prop::collection::vec(prop::collection::vec(prop::collection::vec(0u32..70_000, 0..40), 0..12), 1..5),
            wide in any::<bool>(), picks in prop::collection::vec((any::<u32>(), any::<u32>(), any::<u32>()), 20)
        ) {
            let directory = tempfile::tempdir().unwrap();
            let (mut all, mut stores) = (vec![], vec![]);
            for (i, split) in splits.iter().enumerate() {
                let prefix = directory.path().join(format!("{i:05}.tokens"));
                let mut writer = TokenWriter::create(&prefix, if wide { Width::U32 } else { Width::U16 }).unwrap();
                stores.push((all.len() as u32, prefix));
                for document in split {
                    let document: Vec<u32> = document.iter().map(|&id| if wide { id } else { id % 65_536 }).collect();
                    writer.push(&document).unwrap();
                    all.push(document);
                }
                writer.commit().unwrap();
            }
            let store = TokenStore::open(stores).unwrap();
            for (doc, a, b) in picks.into_iter().filter(|_| !all.is_empty()) {
                let doc = doc as usize % all.len();
                let (a, b) = (a as usize % (all[doc].len() + 1), b as usize % (all[doc].len() + 1));
                let (a, b) = (a.min(b), a.max(b));
                let mut out = vec![];
                store.read_into(DocId::new(doc as u32), a as u32, (b - a) as u32, &mut out).unwrap();
                prop_assert_eq!(&out, &all[doc][a..b]);
                prop_assert_eq!(store.len(DocId::new(doc as u32)) as usize, all[doc].len());
            }
        }
    }

    #[test]
    fn ids_of_two_bytes_serve_until_65535() {
        assert_eq!((width_for(65_535), width_for(65_536)), (Width::U16, Width::U32));
    }
}
