//! The column `input_ids` of a Parquet row group: a dictionary of its ids, and pages of numbers in
//! it.
//!
//! In: the ids of parts, in order. Out: the column's bytes with what the footer says of them. The
//! library would hash every id, and copy a level for every token. Ids are dense, so that a table
//! gives their numbers; all rows are equally long, so that their levels are a few runs.
//!
//! **Numbers.** zstd finds few repetitions in tokens: most of what it saves, it saves by a code for
//! single bytes, one code for all of them. So numbers have whole bytes, and they are chosen such
//! that small bytes are frequent in either place: the more frequent the id, the smaller the product
//! of its number's bytes, each plus one. The ids of a part that are new to the row group follow
//! those of the parts before. So pages are encoded as parts come, and each has the width that the
//! numbers until then need.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::{self, Cursor, Read};

use ::parquet::basic::{self, Encoding, EncodingMask, PageType};
use ::parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use ::parquet::column::writer::ColumnCloseResult;
use ::parquet::errors::Result as Written;
use ::parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder, PageEncodingStats};
use ::parquet::file::reader::{ChunkReader, Length};
use ::parquet::file::statistics::Statistics;
use ::parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use ::parquet::schema::types::ColumnDescPtr;
use bytes::Bytes;
use rayon::prelude::*;
use zstd::bulk::Compressor;

use crate::ids::put_numbers;

/// Tokens of a page, about; a page has at least one row.
const PAGE_TOKENS: usize = 1 << 18;
/// zstd's level for numbers of up to two bytes: smaller than level 3 and nearly twice as fast. With
/// a third byte, which is nearly always zero, level 1 makes the smallest pages.
const LEVEL: i32 = 2;
const LEVEL_WIDE: i32 = 1;

/// A number for each id; 0 for those without one.
#[derive(Default)]
struct Table {
    /// Of ids below [`Table::NEAR`]; vocabularies end before.
    near: Vec<u32>,
    far: HashMap<u32, u32>,
}

impl Table {
    const NEAR: u32 = 1 << 20;

    #[inline]
    fn get(&self, id: u32) -> u32 {
        match self.near.get(id as usize) {
            Some(&number) => number,
            None if id < Table::NEAR => 0,
            None => self.far.get(&id).copied().unwrap_or(0),
        }
    }

    #[inline]
    fn entry(&mut self, id: u32) -> &mut u32 {
        if self.near.len() <= id as usize {
            return self.make(id);
        }
        &mut self.near[id as usize]
    }

    #[cold]
    fn make(&mut self, id: u32) -> &mut u32 {
        if id >= Table::NEAR {
            return self.far.entry(id).or_default();
        }
        self.near.resize((id as usize + 1).next_power_of_two(), 0);
        &mut self.near[id as usize]
    }

    /// Ids with their numbers.
    fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        (0..).zip(self.near.iter().copied()).chain(self.far.iter().map(|(&id, &n)| (id, n)))
    }
}

/// A page as it is in the file, without its header.
struct EncodedPage {
    bytes: Vec<u8>,
    unpacked: usize,
    rows: usize,
}

/// Encodes the ids of a row group.
pub(crate) struct IdColumn {
    /// Tokens of a row.
    length: usize,
    descr: ColumnDescPtr,
    compression: basic::Compression,
    /// The number of each id in the dictionary, plus one.
    numbers: Table,
    dictionary: Vec<u32>,
    /// Pages with their headers.
    pages: TrackedWrite<Vec<u8>>,
    written: Vec<(PageWriteSpec, usize)>,
}

impl IdColumn {
    /// A column of rows of `length` ids, compressed with zstd or not at all.
    pub(crate) fn new(length: u32, descr: ColumnDescPtr, compression: basic::Compression) -> Self {
        IdColumn {
            length: length as usize,
            descr,
            compression,
            numbers: Table::default(),
            dictionary: Vec::new(),
            pages: TrackedWrite::new(Vec::new()),
            written: Vec::new(),
        }
    }

    /// Appends the ids of parts, each of whole rows.
    pub(crate) fn push(&mut self, parts: &[&[u32]]) -> Written<()> {
        let found: Vec<Vec<u32>> = parts.par_iter().map(|ids| self.new_ids(ids)).collect();
        let widths: Vec<u32> = found.into_iter().map(|new| self.number(new)).collect();
        let page = (PAGE_TOKENS / self.length).max(1) * self.length;
        let pages: Vec<(&[u32], u32)> = parts
            .iter()
            .zip(widths)
            .flat_map(|(ids, width)| ids.chunks(page).map(move |ids| (ids, width)))
            .collect();
        let encode = |packers: &mut Packers, &(ids, width): &_| self.encode(packers, ids, width);
        let encoded: Vec<EncodedPage> =
            pages.par_iter().map_init(Packers::default, encode).collect::<io::Result<_>>()?;
        encoded.into_iter().zip(pages).try_for_each(|(page, (ids, _))| {
            let written = write_page(
                &mut self.pages,
                page.unpacked,
                Page::DataPage {
                    buf: page.bytes.into(),
                    num_values: ids.len() as u32,
                    encoding: Encoding::RLE_DICTIONARY,
                    def_level_encoding: Encoding::RLE,
                    rep_level_encoding: Encoding::RLE,
                    statistics: None,
                },
            )?;
            self.written.push((written, page.rows));
            Ok(())
        })
    }

    /// The ids that have no number yet, the most frequent first.
    fn new_ids(&self, ids: &[u32]) -> Vec<u32> {
        let mut counts = Table::default();
        for &id in ids {
            if self.numbers.get(id) == 0 {
                *counts.entry(id) += 1;
            }
        }
        let mut new: Vec<(Reverse<u32>, u32)> =
            counts.iter().filter(|&(_, n)| n > 0).map(|(id, n)| (Reverse(n), id)).collect();
        new.sort_unstable();
        new.into_iter().map(|(_, id)| id).collect()
    }

    /// Numbers ids, unless a part before has done so; the bits that numbers now take in pages.
    fn number(&mut self, mut ids: Vec<u32>) -> u32 {
        ids.retain(|&id| self.numbers.get(id) == 0);
        let first = self.dictionary.len() as u32;
        let mut places: Vec<(u64, u32)> = (first..first + ids.len() as u32)
            .map(|n| (n.to_le_bytes().iter().map(|&byte| u64::from(byte) + 1).product(), n))
            .collect();
        places.sort_unstable();
        self.dictionary.resize(self.dictionary.len() + ids.len(), 0);
        for ((_, number), id) in places.into_iter().zip(ids) {
            self.dictionary[number as usize] = id;
            *self.numbers.entry(id) = number + 1;
        }
        let largest = (self.dictionary.len() as u32).saturating_sub(1).max(1);
        let bits = u32::BITS - largest.leading_zeros();
        if self.is_packed() { bits.next_multiple_of(8) } else { bits }
    }

    fn is_packed(&self) -> bool {
        self.compression != basic::Compression::UNCOMPRESSED
    }

    /// A page of numbers of `width` bits: repetition levels, definition levels, numbers.
    fn encode(&self, packers: &mut Packers, ids: &[u32], width: u32) -> io::Result<EncodedPage> {
        let rows = ids.len() / self.length;
        let mut page = Vec::with_capacity(ids.len() * width as usize / 8 + rows * 12 + 64);
        levels(&mut page, |out| {
            // A row begins with 0.
            for _ in 0..rows {
                run(out, 1, 0);
                run(out, self.length - 1, 1);
            }
        });
        levels(&mut page, |out| run(out, ids.len(), 1));
        page.push(width as u8);
        // One run of groups of eight numbers, the last one filled with zeros.
        let groups = ids.len().div_ceil(8);
        put_varint(&mut page, groups << 1 | 1);
        let end = page.len() + groups * width as usize;
        let numbers = ids.iter().map(|&id| self.numbers.get(id) - 1);
        match width {
            8 => put_numbers::<1>(numbers, &mut page),
            16 => put_numbers::<2>(numbers, &mut page),
            24 => put_numbers::<3>(numbers, &mut page),
            32 => put_numbers::<4>(numbers, &mut page),
            _ => put_bits(numbers, width, &mut page),
        }
        page.resize(end, 0);
        let unpacked = page.len();
        let bytes = if self.is_packed() { packers.pack(&page, width)? } else { page };
        Ok(EncodedPage { bytes, unpacked, rows })
    }

    /// The column's bytes, the dictionary first, and their description.
    pub(crate) fn finish(self) -> Written<(IdChunk, ColumnCloseResult)> {
        let mut plain = Vec::new();
        put_numbers::<4>(self.dictionary.iter().copied(), &mut plain);
        let unpacked = plain.len();
        let packed = if self.is_packed() { Packers::default().pack(&plain, 16)? } else { plain };
        let mut dictionary = TrackedWrite::new(Vec::new());
        let spec = write_page(
            &mut dictionary,
            unpacked,
            Page::DictionaryPage {
                buf: packed.into(),
                num_values: self.dictionary.len() as u32,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            },
        )?;
        let begin = spec.bytes_written as i64;
        let mut index = OffsetIndexBuilder::new();
        let (mut rows, mut values, mut unpacked) = (0, 0, spec.uncompressed_size);
        for (page, page_rows) in &self.written {
            index.append_row_count(*page_rows as i64);
            index.append_offset_and_size(begin + page.offset as i64, page.compressed_size as i32);
            rows += *page_rows as u64;
            values += i64::from(page.num_values);
            unpacked += page.uncompressed_size;
        }
        let pages = self.pages.into_inner()?;
        let bytes = begin as u64 + pages.len() as u64;
        let stats = |page_type, encoding, count| PageEncodingStats { page_type, encoding, count };
        let of = |id: Option<&u32>| id.map(|&id| id as i32);
        let (least, largest) = (of(self.dictionary.iter().min()), of(self.dictionary.iter().max()));
        let metadata = ColumnChunkMetaData::builder(self.descr)
            .set_compression(self.compression)
            .set_encodings_mask(EncodingMask::new_from_encodings(
                [Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY].iter(),
            ))
            .set_page_encoding_stats(vec![
                stats(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1),
                stats(PageType::DATA_PAGE, Encoding::RLE_DICTIONARY, self.written.len() as i32),
            ])
            .set_total_compressed_size(bytes as i64)
            .set_total_uncompressed_size(unpacked as i64)
            .set_num_values(values)
            .set_dictionary_page_offset(Some(0))
            .set_data_page_offset(begin)
            .set_statistics(Statistics::int32(least, largest, None, Some(0), false))
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: bytes,
            rows_written: rows,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(index.build()),
        };
        Ok((IdChunk([dictionary.into_inner()?.into(), pages.into()]), close))
    }
}

fn write_page(
    out: &mut TrackedWrite<Vec<u8>>,
    unpacked: usize,
    page: Page,
) -> Written<PageWriteSpec> {
    SerializedPageWriter::new(out).write_page(CompressedPage::new(page, unpacked))
}

/// Encoders of zstd, made once for many pages.
#[derive(Default)]
struct Packers(HashMap<i32, Compressor<'static>>);

impl Packers {
    fn pack(&mut self, page: &[u8], width: u32) -> io::Result<Vec<u8>> {
        let level = if width <= 16 { LEVEL } else { LEVEL_WIDE };
        let packer = match self.0.entry(level) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(Compressor::new(level)?)
            }
        };
        let mut packed = packer.compress(page)?;
        packed.shrink_to_fit();
        Ok(packed)
    }
}

/// A column as it is spliced into a file: its dictionary page, and its other pages.
pub(crate) struct IdChunk([Bytes; 2]);

impl Length for IdChunk {
    fn len(&self) -> u64 {
        self.0.iter().map(|bytes| bytes.len() as u64).sum()
    }
}

impl ChunkReader for IdChunk {
    type T = io::Chain<Cursor<Bytes>, Cursor<Bytes>>;

    fn get_read(&self, start: u64) -> Written<Self::T> {
        let [dictionary, pages] = self.0.clone();
        let mut read = Cursor::new(dictionary).chain(Cursor::new(pages));
        io::copy(&mut (&mut read).take(start), &mut io::sink())?;
        Ok(read)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Written<Bytes> {
        let mut bytes = vec![0; length];
        self.get_read(start)?.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// Appends levels behind their number of bytes.
fn levels(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    put(out);
    let bytes = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&bytes.to_le_bytes());
}

/// Appends a run of `n` equal levels.
fn run(out: &mut Vec<u8>, n: usize, level: u8) {
    if n > 0 {
        put_varint(out, n << 1);
        out.push(level);
    }
}

fn put_varint(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends numbers of `width` bits end to end, the lowest bits first.
fn put_bits(numbers: impl Iterator<Item = u32>, width: u32, out: &mut Vec<u8>) {
    let (mut bits, mut held) = (0u64, 0);
    for number in numbers {
        bits |= u64::from(number) << held;
        held += width;
        if held >= u32::BITS {
            out.extend_from_slice(&(bits as u32).to_le_bytes());
            bits >>= u32::BITS;
            held -= u32::BITS;
        }
    }
    out.extend_from_slice(&bits.to_le_bytes()[..held.div_ceil(8) as usize]);
}
