//! The token store: per split the ids of all documents end to end, as u16 or u32, and where each
//! document's end. Files: `PREFIX.ids` (a column of ids) and `PREFIX.ends` (a column of u64, one
//! for each row of the split).

use std::path::{Path, PathBuf};

use longweave_common::{Code, DocId, Error, Offsets, Result};
use longweave_storage::{ArrayWriter, FileRecord, read_array, with_suffix};

use crate::columns::Columns;

/// Ids that are made narrow at once.
const NARROWED: usize = 1 << 16;

/// Bytes of a stored id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Two.
    U16,
    /// Four.
    U32,
}

impl Width {
    /// Bytes of an id.
    pub fn bytes(self) -> u64 {
        match self {
            Width::U16 => 2,
            Width::U32 => 4,
        }
    }
}

/// The width for ids up to `max_id`.
pub fn width_for(max_id: u32) -> Width {
    if max_id <= u32::from(u16::MAX) { Width::U16 } else { Width::U32 }
}

enum Ids {
    U16(ArrayWriter<u16>, Vec<u16>),
    U32(ArrayWriter<u32>),
}

/// Writes the tokens of a split, document after document.
pub struct TokenWriter {
    ids: Ids,
    ends: ArrayWriter<u64>,
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
        let ends = ArrayWriter::create(&with_suffix(prefix, ".ends"))?;
        Ok(TokenWriter { ids, ends, total: 0, prefix: prefix.to_owned() })
    }

    /// Appends a document; a row without one is an empty document.
    ///
    /// Errors: `INTERNAL` for an id beyond the width.
    pub fn push(&mut self, tokens: &[u32]) -> Result<()> {
        match &mut self.ids {
            Ids::U32(writer) => writer.push(tokens)?,
            Ids::U16(writer, narrow) => {
                for part in tokens.chunks(NARROWED) {
                    narrow.clear();
                    for &id in part {
                        narrow.push(u16::try_from(id).map_err(|_| {
                            Error::new(
                                Code::Internal,
                                format!("the id {id} is larger than the vocabulary says"),
                            )
                        })?);
                    }
                    writer.push(narrow)?;
                }
            }
        }
        self.total += tokens.len() as u64;
        self.ends.push(&[self.total])
    }

    /// Puts the files in place.
    pub fn commit(self) -> Result<Vec<FileRecord>> {
        let sealed = match self.ids {
            Ids::U16(writer, _) => writer.commit()?,
            Ids::U32(writer) => writer.commit()?,
        };
        let ends = self.ends.commit()?;
        let at = |suffix| with_suffix(&self.prefix, suffix);
        Ok(vec![FileRecord::at(&at(".ids"), sealed), FileRecord::at(&at(".ends"), ends)])
    }
}

/// The split of a document, by the `DocId` of the first row of each: the last one that begins at or
/// before it, as empty splits begin where the next does.
pub fn split_of(first: &[u32], doc: DocId) -> usize {
    first.partition_point(|&first| first <= doc.get()) - 1
}

/// Reads the tokens of a corpus by document, from the stores of its splits. Threads can share it.
/// Costs 8 bytes a document, and a bounded number of open files, however many splits there are. The
/// ids of a split are compared with their checksum when they are first read.
pub struct TokenStore {
    first: Vec<u32>,
    /// By split, the ids of each row.
    splits: Vec<Offsets>,
    columns: Columns,
}

impl TokenStore {
    /// Opens the stores of all splits, each with the `DocId` of its first row, in order.
    ///
    /// Errors: `FILE_CORRUPT`, also where a document would end before it begins.
    pub fn open(splits: Vec<(u32, PathBuf)>) -> Result<TokenStore> {
        let first = splits.iter().map(|(first, _)| *first).collect();
        let columns = Columns::checked(
            splits.iter().map(|(_, prefix)| with_suffix(prefix, ".ids")).collect(),
        );
        let read = |prefix: &Path| {
            let path = with_suffix(prefix, ".ends");
            let fits = |rows: &Offsets| {
                (0..rows.len()).all(|row| rows.range(row).len() <= u32::MAX as usize)
            };
            Offsets::from_ends(read_array(&path)?).filter(fits).ok_or_else(|| {
                let message = format!(
                    "{} lacks the ends of documents; delete its folder and run again",
                    path.display()
                );
                Error::corrupt(&path, message)
            })
        };
        let splits = splits.iter().map(|(_, prefix)| read(prefix)).collect::<Result<_>>()?;
        Ok(TokenStore { first, splits, columns })
    }

    /// Split and row in it of a document.
    fn place(&self, doc: DocId) -> (usize, usize) {
        let split = split_of(&self.first, doc);
        (split, (doc.get() - self.first[split]) as usize)
    }

    /// Tokens of a document; panics for one beyond the last, as a slice does.
    pub fn len(&self, doc: DocId) -> u32 {
        let (split, row) = self.place(doc);
        self.splits[split].range(row).len() as u32
    }

    /// Whether the corpus has no rows.
    pub fn is_empty(&self) -> bool {
        self.splits.iter().all(Offsets::is_empty)
    }

    /// Appends tokens `start..start + len` of a document to `out`.
    ///
    /// Errors: `FILE_CORRUPT` beyond the end of its split.
    pub fn read_into(&self, doc: DocId, start: u32, len: u32, out: &mut Vec<u32>) -> Result<()> {
        let (split, row) = self.place(doc);
        let at = self.splits[split].begin(row) + u64::from(start);
        self.columns.get(split)?.read_into(at, len as usize, out)
    }

    /// Fills `out` with tokens of a document from `start` on.
    ///
    /// Errors: `FILE_CORRUPT` beyond the end of its split.
    pub fn read(&self, doc: DocId, start: u32, out: &mut [u32]) -> Result<()> {
        let (split, row) = self.place(doc);
        self.columns.get(split)?.read(self.splits[split].begin(row) + u64::from(start), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::MOST_OPEN;
    use proptest::prelude::*;

    proptest! {
        // Each case makes several files durable.
        #![proptest_config(ProptestConfig::with_cases(48))]

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
    fn a_changed_id_is_noticed_before_it_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let prefix = directory.path().join("00000.tokens");
        let mut writer = TokenWriter::create(&prefix, Width::U16).unwrap();
        writer.push(&[1, 2, 3]).unwrap();
        writer.commit().unwrap();
        let path = with_suffix(&prefix, ".ids");
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let store = TokenStore::open(vec![(0, prefix)]).unwrap();
        let error = store.read_into(DocId::new(0), 0, 1, &mut vec![]).unwrap_err();
        assert_eq!(error.code(), Code::FileCorrupt);
    }

    #[test]
    fn a_corpus_of_more_splits_than_files_may_be_open_is_read_in_any_order() {
        let directory = tempfile::tempdir().unwrap();
        let splits = MOST_OPEN as u32 + 4;
        let store = |i: u32| directory.path().join(format!("{i:05}.tokens"));
        for i in 0..splits {
            let mut writer = TokenWriter::create(&store(i), Width::U16).unwrap();
            writer.push(&[i, i + 1]).unwrap();
            writer.commit().unwrap();
        }
        let store = TokenStore::open((0..splits).map(|i| (i, store(i))).collect()).unwrap();
        for i in (0..splits * 3).map(|i| i * 97 % splits) {
            let mut out = vec![];
            store.read_into(DocId::new(i), 1, 1, &mut out).unwrap();
            assert_eq!(out, [i + 1]);
        }
        assert_eq!(store.columns.open_files(), MOST_OPEN);
    }

    #[test]
    fn ids_of_two_bytes_serve_until_65535() {
        assert_eq!((width_for(65_535), width_for(65_536)), (Width::U16, Width::U32));
    }
}
