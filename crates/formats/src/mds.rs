//! MDS, version 2, for mosaicml-streaming: samples of `domain str`, `indices ndarray:uint32`,
//! `input_ids ndarray:uint32`, `length int`.
//!
//! A file is: u32 number of samples n; n + 1 u32 offsets from the file's start; the configuration
//! as JSON; the samples. A sample is the u32 sizes of its columns of variable size in order of
//! name, then all columns. An array is one byte (dimensions · 4 + log2 of the width of a size), its
//! sizes, its values. All numbers little-endian. With a limit on bytes a shard is several such
//! files, each of which its readers call a shard. A compressed file is one zstd frame that tells
//! its content's size.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result, ResultExt};
use serde_json::{Value, json};
use xxhash_rust::xxh3::Xxh3Default;

use crate::ids::{corrupt, put_numbers, read_part};
use crate::output_file::OutputFile;
use crate::provenance::ProvenanceWriter;
use crate::shard::encode;
use crate::{
    Compression, MdsIndices, RawFile, SequenceBatch, SequenceWriter, ShardFile, WriterOptions,
};

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

/// Samples of one file, and its bytes before compression.
#[derive(Clone, Copy)]
struct FilePlan {
    samples: usize,
    bytes: u64,
}

/// A file that is being written.
enum Output {
    Plain(OutputFile),
    /// With the xxh3-64 of what it unpacks to.
    Zstd(Box<zstd::stream::write::Encoder<'static, OutputFile>>, Box<Xxh3Default>),
}

/// Writes a shard.
pub(crate) struct MdsWriter {
    samples: Samples,
    files: Files,
    bytes: Vec<Vec<u8>>,
    provenance: ProvenanceWriter,
}

/// Encodes samples.
struct Samples {
    domain: String,
    indices: MdsIndices,
}

/// Writes samples into files. The pieces of sequences decide the sizes of all samples. So files and
/// the offsets at their beginning are known before the first sample, and nothing is held.
struct Files {
    directory: PathBuf,
    shard: u32,
    compression: Compression,
    limit: Option<u64>,
    configuration: String,
    /// Bytes of the samples that are not yet written, and the files that they fill.
    sizes: VecDeque<u32>,
    planned: VecDeque<FilePlan>,
    /// The file that is being made, and the samples that it lacks.
    open: Option<(Output, FilePlan, usize)>,
    finished: Vec<ShardFile>,
}

impl MdsWriter {
    pub(crate) fn create(
        options: &WriterOptions,
        directory: &Path,
        shard: u32,
        pieces: &[u32],
    ) -> Result<MdsWriter> {
        let samples = Samples { domain: options.domain.clone(), indices: options.mds_indices };
        let size = |&pieces: &u32| samples.size(options.length, pieces);
        let files = Files {
            directory: directory.to_owned(),
            shard,
            compression: options.compression,
            limit: options.mds_shard_bytes,
            configuration: configuration(options).to_string(),
            sizes: VecDeque::new(),
            planned: VecDeque::new(),
            open: None,
            finished: Vec::new(),
        };
        Ok(MdsWriter {
            files: files.plan(pieces.iter().map(size))?,
            samples,
            bytes: Vec::new(),
            provenance: ProvenanceWriter::create(options, directory, shard)?,
        })
    }
}

impl Samples {
    /// Bytes of a sample of a sequence.
    fn size(&self, length: u32, pieces: u32) -> u64 {
        let spans = if self.indices == MdsIndices::Document { pieces.max(1) } else { 1 };
        20 + self.domain.len() as u64 + array_bytes(&[spans, 2]) + array_bytes(&[length])
    }

    fn encode(&self, part: &SequenceBatch<'_>, out: &mut Vec<u8>) {
        for row in part.rows() {
            let length = row.input_ids.len() as u32;
            let spans: Vec<u32> = match self.indices {
                MdsIndices::Sequence => vec![0, length],
                MdsIndices::Document => {
                    // They tile the sequence: a begin token belongs to the first, padding to the
                    // last.
                    let inner = row.pieces.iter().skip(1).flat_map(|piece| [piece.start; 2]);
                    [0].into_iter().chain(inner).chain([length]).collect()
                }
            };
            let shape = [spans.len() as u32 / 2, 2];
            for size in [self.domain.len() as u64, array_bytes(&shape), array_bytes(&[length])] {
                out.extend_from_slice(&(size as u32).to_le_bytes());
            }
            out.extend_from_slice(self.domain.as_bytes());
            put_array(out, &shape, &spans);
            put_array(out, &[length], row.input_ids);
            out.extend_from_slice(&i64::from(length).to_le_bytes());
        }
    }
}

impl Files {
    /// Divides samples of these sizes among files.
    ///
    /// Errors: `OPTIONS_INVALID` where a file would be too large, or one too many.
    fn plan(mut self, sizes: impl Iterator<Item = u64>) -> Result<Files> {
        let begin = FilePlan { samples: 0, bytes: empty(&self.configuration) };
        let mut file = begin;
        for size in sizes {
            let bytes = size + 4;
            if file.samples > 0 && self.limit.is_some_and(|limit| file.bytes + bytes > limit) {
                self.planned.push_back(std::mem::replace(&mut file, begin));
            }
            file.samples += 1;
            file.bytes += bytes;
            // A larger one makes its file too large.
            self.sizes.push_back(u32::try_from(size).unwrap_or(u32::MAX));
        }
        if file.samples > 0 || self.planned.is_empty() {
            self.planned.push_back(file);
        }
        let refuse = |what: &str, option: &str| {
            let name = format!("shard.{:05}.mds", self.shard);
            let message = format!("{} {what}", self.directory.join(name).display());
            Err(Error::new(Code::OptionsInvalid, message).with("option", option))
        };
        if self.planned.iter().any(|file| file.bytes > u64::from(u32::MAX)) {
            let remedy = "give a smaller `output.shardTokens`, or `output.mdsShardBytes`";
            return refuse(
                &format!("would have more than 4 GiB, the most an MDS file can have; {remedy}"),
                "output.shardTokens",
            );
        }
        if self.planned.len() > MOST_FILES {
            return refuse(
                "would be one file too many of its shard; give a larger `output.mdsShardBytes`",
                "output.mdsShardBytes",
            );
        }
        Ok(self)
    }

    fn name(&self) -> String {
        let part = self.finished.len();
        let suffix = if self.compression == Compression::Zstd { ".zstd" } else { "" };
        match self.limit {
            Some(_) => format!("shard.{:05}.{part:05}.mds{suffix}", self.shard),
            None => format!("shard.{:05}.mds{suffix}", self.shard),
        }
    }

    /// Begins the next file.
    fn open_file(&mut self) -> Result<()> {
        let Some(plan) = self.planned.pop_front() else {
            let message = format!("more sequences than {} was to have", self.name());
            return Err(Error::new(Code::Internal, message));
        };
        let path = self.directory.join(self.name());
        let file = OutputFile::create(&path)?;
        let mut output = match self.compression {
            Compression::None => Output::Plain(file),
            Compression::Zstd => {
                let encoder = || -> io::Result<_> {
                    let mut encoder = zstd::stream::write::Encoder::new(file, LEVEL)?;
                    // Readers unpack a file in one go, and ask the frame for the room.
                    encoder.include_contentsize(true)?;
                    encoder.set_pledged_src_size(Some(plan.bytes))?;
                    Ok(encoder)
                };
                Output::Zstd(Box::new(encoder().at("write", &path)?), Box::default())
            }
        };
        let head = self.head(plan);
        output.put(&head).at("write", &path)?;
        self.open = Some((output, plan, plan.samples));
        Ok(())
    }

    /// The bytes before the samples. Offsets fit, because the whole file has less than 4 GiB.
    fn head(&self, plan: FilePlan) -> Vec<u8> {
        let n = plan.samples as u32;
        let mut at = 4 + 4 * (n + 1) + self.configuration.len() as u32;
        let mut head = Vec::with_capacity(at as usize);
        head.extend_from_slice(&n.to_le_bytes());
        head.extend_from_slice(&at.to_le_bytes());
        for size in self.sizes.iter().take(plan.samples) {
            at += size;
            head.extend_from_slice(&at.to_le_bytes());
        }
        head.extend_from_slice(self.configuration.as_bytes());
        head
    }

    /// Writes samples of a part, whose bytes are `bytes`.
    fn write(&mut self, mut samples: usize, mut bytes: &[u8]) -> Result<()> {
        while samples > 0 {
            if self.open.is_none() {
                self.open_file()?;
            }
            let path = self.directory.join(self.name());
            let (output, _, left) = self.open.as_mut().expect("a file was opened just above");
            let n = samples.min(*left);
            let (now, later) =
                bytes.split_at(self.sizes.drain(..n).map(|size| size as usize).sum());
            output.put(now).at("write", &path)?;
            *left -= n;
            if *left == 0 {
                self.finish_file()?;
            }
            (samples, bytes) = (samples - n, later);
        }
        Ok(())
    }

    /// Puts the file that is being made in place.
    fn finish_file(&mut self) -> Result<()> {
        let name = self.name();
        let Some((output, plan, _)) = self.open.take() else { return Ok(()) };
        let file = match output {
            Output::Plain(file) => ShardFile::new(name, file.commit()?, plan.samples as u64),
            Output::Zstd(encoder, hash) => {
                let file = encoder.finish().at("write", &self.directory.join(&name))?;
                let mut file = ShardFile::new(name, file.commit()?, plan.samples as u64);
                let xxh3 = format!("{:016x}", hash.digest());
                file.content.raw = Some(RawFile { bytes: plan.bytes, xxh3 });
                file
            }
        };
        self.finished.push(file);
        Ok(())
    }
}

impl Output {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Output::Plain(file) => file.write_all(bytes),
            Output::Zstd(encoder, hash) => {
                hash.update(bytes);
                encoder.write_all(bytes)
            }
        }
    }
}

/// Bytes of a file without samples.
fn empty(configuration: &str) -> u64 {
    8 + configuration.len() as u64
}

/// log2 of the width of an array's sizes.
fn log_width(shape: &[u32]) -> u8 {
    match shape.iter().copied().max().unwrap_or(0) {
        0..0x100 => 0,
        0x100..0x1_0000 => 1,
        _ => 2,
    }
}

/// Bytes of an array of numbers.
fn array_bytes(shape: &[u32]) -> u64 {
    let values = shape.iter().map(|&size| u64::from(size)).product::<u64>();
    1 + ((shape.len() as u64) << log_width(shape)) + 4 * values
}

fn put_array(out: &mut Vec<u8>, shape: &[u32], values: &[u32]) {
    let log_width = log_width(shape);
    out.push((shape.len() as u8) << 2 | log_width);
    for size in shape {
        out.extend_from_slice(&size.to_le_bytes()[..1 << log_width]);
    }
    put_numbers::<4>(values.iter().copied(), out);
}

impl SequenceWriter for MdsWriter {
    fn push(&mut self, parts: &[SequenceBatch<'_>]) -> Result<()> {
        let MdsWriter { samples, files, bytes, provenance } = self;
        let (written, kept) = rayon::join(
            || {
                let encoded = encode(bytes, parts, |part, out| {
                    samples.encode(part, out);
                    Ok(())
                })?;
                parts
                    .iter()
                    .zip(encoded)
                    .try_for_each(|(part, bytes)| files.write(part.len(), bytes))
            },
            || provenance.push(parts),
        );
        written.and(kept)
    }

    fn finish(self: Box<Self>) -> Result<Vec<ShardFile>> {
        let MdsWriter { mut files, provenance, .. } = *self;
        // A shard without sequences is a file without samples.
        if files.sizes.is_empty() && files.open.is_none() && files.finished.is_empty() {
            files.open_file()?;
            files.finish_file()?;
        }
        if !files.sizes.is_empty() {
            let message = format!("{} has fewer sequences than planned", files.name());
            return Err(Error::new(Code::Internal, message));
        }
        let mut finished = files.finished;
        finished.extend(provenance.finish()?);
        Ok(finished)
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
