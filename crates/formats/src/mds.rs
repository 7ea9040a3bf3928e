//! MDS, version 2, for mosaicml-streaming: samples of `domain str`, `indices ndarray:uint32`,
//! `input_ids ndarray:uint32`, `length int`.
//!
//! A file is: u32 number of samples n; n + 1 u32 offsets from the file's start; the configuration
//! as JSON; the samples. A sample is the u32 sizes of its columns of variable size in order of
//! name, then all columns. An array is one byte (dimensions · 4 + log2 of the width of a size), its
//! sizes, its values. All numbers little-endian. With a limit on bytes a shard is several such
//! files, each of which its readers call a shard. A compressed file is one zstd frame that tells
//! its content's size.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result, ResultExt};
use longweave_storage::{AtomicFile, Sealed};
use serde_json::{Value, json};
use xxhash_rust::xxh3::Xxh3Default;

use crate::ids::{corrupt, read_part};
use crate::provenance::ProvenanceWriter;
use crate::{
    Compression, MdsIndices, RawFile, SequenceRow, SequenceWriter, ShardFile, WriterOptions,
};

/// Bytes of a sample in addition to its ids and the second and further pairs of indices, about.
pub(crate) const SAMPLE_BYTES: u64 = 128;
/// zstd's level, its default.
const LEVEL: i32 = 3;
/// The suffix of compressed files, which is the algorithm's name.
const ZIPPED: &str = "zstd";
/// The checksum that streaming readers can compare, by its name among theirs.
const HASH: &str = "xxh3_64";
/// Most files of a shard: five digits, so that the order of names is that of files.
const MOST_FILES: usize = 100_000;

/// How an output was written, by its index and files. Outputs that are to be streamed, compressed
/// or in files of bounded size, have checksums.
fn configuration(options: &WriterOptions) -> Value {
    let compression = (options.compression == Compression::Zstd).then_some(ZIPPED);
    let hashes: &[&str] =
        if compression.is_some() || options.mds_shard_bytes.is_some() { &[HASH] } else { &[] };
    json!({
        "column_encodings": ["str", "ndarray:uint32", "ndarray:uint32", "int"],
        "column_names": ["domain", "indices", "input_ids", "length"],
        "column_sizes": [null, null, null, 8],
        "compression": compression, "format": "mds", "hashes": hashes,
        "size_limit": options.mds_shard_bytes, "version": 2,
    })
}

/// Writes a shard. The samples of a file are held until it is finished, because their offsets
/// precede them.
pub(crate) struct MdsWriter {
    directory: PathBuf,
    shard: u32,
    domain: String,
    indices: MdsIndices,
    compression: Compression,
    limit: Option<u64>,
    configuration: String,
    /// Of the file that is being made; one by one, so that none is copied while their number grows.
    samples: Vec<Vec<u8>>,
    /// Bytes of that file.
    bytes: u64,
    finished: Vec<ShardFile>,
    provenance: ProvenanceWriter,
}

impl MdsWriter {
    pub(crate) fn create(
        options: &WriterOptions,
        directory: &Path,
        shard: u32,
    ) -> Result<MdsWriter> {
        let configuration = configuration(options).to_string();
        Ok(MdsWriter {
            directory: directory.to_owned(),
            shard,
            domain: options.domain.clone(),
            indices: options.mds_indices,
            compression: options.compression,
            limit: options.mds_shard_bytes,
            bytes: empty(&configuration),
            configuration,
            samples: Vec::new(),
            finished: Vec::new(),
            provenance: ProvenanceWriter::create(options, directory, shard)?,
        })
    }

    fn encode(&self, row: &SequenceRow<'_>) -> Vec<u8> {
        let length = row.input_ids.len() as u32;
        let (mut indices, mut ids) = (Vec::new(), Vec::with_capacity(row.input_ids.len() * 4 + 8));
        match self.indices {
            MdsIndices::Sequence => put_array(&mut indices, &[1, 2], [0, length].into_iter()),
            MdsIndices::Document => {
                // Spans tile the sequence: a begin token belongs to the first, padding to the last.
                let n = row.doc_starts.len();
                let start = |i: usize| if i == 0 { 0 } else { row.doc_starts[i] };
                let end = |i: usize| if i + 1 == n { length } else { row.doc_starts[i + 1] };
                put_array(&mut indices, &[n as u32, 2], (0..n).flat_map(|i| [start(i), end(i)]));
            }
        }
        put_array(&mut ids, &[length], row.input_ids.iter().copied());
        let mut sample = Vec::with_capacity(20 + self.domain.len() + indices.len() + ids.len());
        for size in [self.domain.len(), indices.len(), ids.len()] {
            sample.extend_from_slice(&(size as u32).to_le_bytes());
        }
        sample.extend_from_slice(self.domain.as_bytes());
        sample.extend_from_slice(&indices);
        sample.extend_from_slice(&ids);
        sample.extend_from_slice(&i64::from(length).to_le_bytes());
        sample
    }

    /// Puts the file that is being made in place and begins the next.
    fn finish_file(&mut self) -> Result<()> {
        let part = self.finished.len();
        let name = match self.limit {
            Some(_) => format!("shard.{:05}.{part:05}.mds", self.shard),
            None => format!("shard.{:05}.mds", self.shard),
        };
        let too = |what: &str, option: &str| {
            let message = format!("{} {what}", self.directory.join(&name).display());
            Err(Error::new(Code::OptionsInvalid, message).with("option", option))
        };
        if self.bytes > u64::from(u32::MAX) {
            let remedy = "give a smaller `output.shardTokens`, or `output.mdsShardBytes`";
            return too(
                &format!("would have more than 4 GiB, the most an MDS file can have; {remedy}"),
                "output.shardTokens",
            );
        }
        if part == MOST_FILES {
            return too(
                "would be one file too many of its shard; give a larger `output.mdsShardBytes`",
                "output.mdsShardBytes",
            );
        }
        let samples = std::mem::take(&mut self.samples);
        let head = self.head(&samples);
        let sequences = samples.len() as u64;
        let parts = || std::iter::once(&head).chain(&samples).map(Vec::as_slice);
        let file = match self.compression {
            Compression::None => {
                let mut file = AtomicFile::create(&self.directory.join(&name))?;
                parts().try_for_each(|bytes| file.put(bytes))?;
                ShardFile::new(name, file.commit()?, sequences)
            }
            Compression::Zstd => {
                let name = format!("{name}.{ZIPPED}");
                let (sealed, raw) = zip(&self.directory.join(&name), self.bytes, parts())?;
                let mut file = ShardFile::new(name, sealed, sequences);
                file.content.raw = Some(RawFile { bytes: self.bytes, xxh3: format!("{raw:016x}") });
                file
            }
        };
        self.finished.push(file);
        self.bytes = empty(&self.configuration);
        Ok(())
    }

    /// The bytes before the samples. Offsets fit, because the whole file is known to have less than
    /// 4 GiB.
    fn head(&self, samples: &[Vec<u8>]) -> Vec<u8> {
        let n = samples.len() as u32;
        let mut at = 4 + 4 * (n + 1) + self.configuration.len() as u32;
        let mut head = Vec::with_capacity(at as usize);
        head.extend_from_slice(&n.to_le_bytes());
        head.extend_from_slice(&at.to_le_bytes());
        for sample in samples {
            at += sample.len() as u32;
            head.extend_from_slice(&at.to_le_bytes());
        }
        head.extend_from_slice(self.configuration.as_bytes());
        head
    }
}

/// Bytes of a file without samples.
fn empty(configuration: &str) -> u64 {
    8 + configuration.len() as u64
}

/// Writes parts of `bytes` bytes together as one zstd frame; the file, and the xxh3-64 of what it
/// unpacks to.
fn zip<'a>(
    path: &Path,
    bytes: u64,
    mut parts: impl Iterator<Item = &'a [u8]>,
) -> Result<(Sealed, u64)> {
    let file = AtomicFile::create(path)?;
    let mut hash = Xxh3Default::new();
    let written = || -> io::Result<AtomicFile> {
        let mut encoder = zstd::stream::write::Encoder::new(file, LEVEL)?;
        // Readers unpack a file in one go, and ask the frame for the room.
        encoder.include_contentsize(true)?;
        encoder.set_pledged_src_size(Some(bytes))?;
        parts.try_for_each(|part| {
            hash.update(part);
            encoder.write_all(part)
        })?;
        encoder.finish()
    };
    Ok((written().at("write", path)?.commit()?, hash.digest()))
}

fn put_array(out: &mut Vec<u8>, shape: &[u32], values: impl Iterator<Item = u32>) {
    let largest = shape.iter().copied().max().unwrap_or(0);
    let log_width = if largest < 1 << 8 {
        0u8
    } else if largest < 1 << 16 {
        1
    } else {
        2
    };
    out.push((shape.len() as u8) << 2 | log_width);
    for size in shape {
        out.extend_from_slice(&size.to_le_bytes()[..1 << log_width]);
    }
    values.for_each(|v| out.extend_from_slice(&v.to_le_bytes()));
}

impl SequenceWriter for MdsWriter {
    fn push(&mut self, row: &SequenceRow<'_>) -> Result<()> {
        let sample = self.encode(row);
        let bytes = sample.len() as u64 + 4;
        if !self.samples.is_empty() && self.limit.is_some_and(|limit| self.bytes + bytes > limit) {
            self.finish_file()?;
        }
        self.bytes += bytes;
        self.samples.push(sample);
        self.provenance.push(row)
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<ShardFile>> {
        if !self.samples.is_empty() || self.finished.is_empty() {
            self.finish_file()?;
        }
        let mut files = self.finished;
        files.extend(self.provenance.finish()?);
        Ok(files)
    }
}

/// `index.json` over the shards among an output's files.
pub(crate) fn index(options: &WriterOptions, files: &[ShardFile]) -> Vec<u8> {
    let configuration = configuration(options);
    let hashed = configuration["hashes"] != json!([]);
    let info = |name: &str, bytes: u64, xxh3: &str| {
        let hashes = if hashed { json!({ HASH: xxh3 }) } else { json!({}) };
        json!({ "basename": name, "bytes": bytes, "hashes": hashes })
    };
    let mut shards = Vec::new();
    for ShardFile { record, content } in
        files.iter().filter(|file| file.record.name.starts_with("shard."))
    {
        let own = info(&record.name, record.bytes, &record.xxh3);
        let suffix = format!(".{ZIPPED}");
        let (raw, zip) = match (&content.raw, record.name.strip_suffix(&suffix)) {
            (Some(raw), Some(name)) => (info(name, raw.bytes, &raw.xxh3), own),
            _ => (own, Value::Null),
        };
        let mut shard = configuration.clone();
        shard["raw_data"] = raw;
        shard["samples"] = json!(content.sequences);
        shard["zip_data"] = zip;
        shards.push(shard);
    }
    json!({ "shards": shards, "version": 2 }).to_string().into_bytes()
}

/// The ids of an array with its head: one dimension.
fn ids_of(array: &[u8]) -> Option<Vec<u32>> {
    let head = array.first().map_or(1, |b| 1 + (usize::from(b >> 2) << (b & 3)));
    let values = array.get(head..)?;
    Some(values.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

/// The ids of a sample.
fn ids_in(sample: &[u8]) -> Option<Vec<u32>> {
    let size = |i: usize| number(sample, 4 * i).map(|size| size as usize);
    let from = 12usize.checked_add(size(0)?)?.checked_add(size(1)?)?;
    ids_of(sample.get(from..from.checked_add(size(2)?)?)?)
}

/// The token ids of a sample of a file that is not compressed.
pub(crate) fn read_ids(path: &Path, sample: u64) -> Result<Vec<u32>> {
    let file = File::open(path).at("open", path)?;
    let part = |offset, n| read_part(&file, path, offset, n);
    let ends_early = || corrupt(path, &"a sample ends early");
    let samples = number(&part(0, 4)?, 0).ok_or_else(ends_early)?;
    if sample >= u64::from(samples) {
        return Err(corrupt(
            path,
            &format!("it has {samples} samples, there is no sample {sample}"),
        ));
    }
    let offsets = part(4 * (sample + 1), 8)?;
    let (start, end) =
        (number(&offsets, 0).ok_or_else(ends_early)?, number(&offsets, 4).ok_or_else(ends_early)?);
    let length = end.checked_sub(start).ok_or_else(|| corrupt(path, &"offsets fall"))?;
    ids_in(&part(u64::from(start), u64::from(length))?).ok_or_else(ends_early)
}

/// Whether a file is compressed.
pub(crate) fn is_zipped(path: &Path) -> bool {
    path.extension().is_some_and(|suffix| suffix == ZIPPED)
}

/// Reads the samples of a compressed file one after another; it holds the ids of one sample.
pub(crate) struct ZippedReader {
    input: zstd::stream::read::Decoder<'static, BufReader<File>>,
    path: PathBuf,
    /// Samples that were not read yet.
    left: u32,
}

impl ZippedReader {
    pub(crate) fn open(path: &Path) -> Result<ZippedReader> {
        let file = File::open(path).at("open", path)?;
        let mut input = zstd::stream::read::Decoder::new(file).map_err(|e| corrupt(path, &e))?;
        let mut head = [0u8; 8];
        input.read_exact(&mut head).map_err(|e| corrupt(path, &e))?;
        let [samples, first] =
            [0, 4].map(|at| u32::from_le_bytes(std::array::from_fn(|i| head[at + i])));
        let mut reader = ZippedReader { input, path: path.to_owned(), left: samples };
        reader.pass(
            u64::from(first)
                .checked_sub(8)
                .ok_or_else(|| corrupt(path, &"its samples begin in its head"))?,
        )?;
        Ok(reader)
    }

    /// Leaves out `n` bytes.
    fn pass(&mut self, n: u64) -> Result<()> {
        let passed = io::copy(&mut (&mut self.input).take(n), &mut io::sink())
            .map_err(|e| corrupt(&self.path, &e))?;
        if passed == n { Ok(()) } else { Err(corrupt(&self.path, &"a sample ends early")) }
    }

    /// Sizes of the domain and the indices together, and of the ids.
    fn begin(&mut self) -> Result<(u64, u64)> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| corrupt(&self.path, &"it has fewer samples than the manifest says"))?;
        let mut sizes = [0u8; 12];
        self.input.read_exact(&mut sizes).map_err(|e| corrupt(&self.path, &e))?;
        let [domain, indices, ids] = [0, 4, 8]
            .map(|at| u64::from(u32::from_le_bytes(std::array::from_fn(|i| sizes[at + i]))));
        Ok((domain + indices, ids))
    }

    /// Leaves out a sample.
    pub(crate) fn skip(&mut self) -> Result<()> {
        let (before, ids) = self.begin()?;
        self.pass(before + ids + 8)
    }

    /// The token ids of the next sample, `length` of them.
    pub(crate) fn next(&mut self, length: u32) -> Result<Vec<u32>> {
        let (before, ids) = self.begin()?;
        // A damaged size is not trusted: the head of an array of that many ids has two to five
        // bytes.
        if ids > 4 * u64::from(length) + 5 {
            return Err(corrupt(
                &self.path,
                &format!("a sample has {ids} bytes of ids, not {length} ids"),
            ));
        }
        self.pass(before)?;
        let mut array = Vec::new();
        let read = (&mut self.input)
            .take(ids)
            .read_to_end(&mut array)
            .map_err(|e| corrupt(&self.path, &e))?;
        self.pass(8)?;
        ids_of(&array)
            .filter(|_| read as u64 == ids)
            .ok_or_else(|| corrupt(&self.path, &"a sample ends early"))
    }
}
