//! MDS, version 2, for mosaicml-streaming: samples of `domain str`, `indices ndarray:uint32`, `input_ids ndarray:uint32`, `length int`.
//!
//! A shard is: u32 number of samples n; n + 1 u32 offsets from the file's start; the configuration as JSON; the samples. A sample is
//! the u32 sizes of its columns of variable size in order of name, then all columns. An array is one byte (dimensions · 4 + log2 of the
//! width of a size), its sizes, its values. All numbers little-endian.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result, ResultExt};
use longweave_storage::{AtomicFile, FileRecord, read_exact_at};
use serde_json::{Value, json};

use crate::parquet::ParquetWriter;
use crate::{MdsIndices, Provenance, SequenceRow, SequenceWriter, WriterOptions};

fn configuration() -> Value {
    json!({
        "column_encodings": ["str", "ndarray:uint32", "ndarray:uint32", "int"],
        "column_names": ["domain", "indices", "input_ids", "length"],
        "column_sizes": [null, null, null, 8],
        "compression": null, "format": "mds", "hashes": [], "size_limit": null, "version": 2,
    })
}

/// Writes a shard: samples are held until the shard is finished, because their offsets stand before them.
pub(crate) struct MdsWriter {
    provenance: Option<Box<ParquetWriter>>,
    domain: String,
    indices: MdsIndices,
    /// One by one, so that none is copied while their number grows.
    samples: Vec<Vec<u8>>,
    name: String,
    path: PathBuf,
}

impl MdsWriter {
    pub(crate) fn create(options: &WriterOptions, directory: &Path, shard: u32) -> Result<MdsWriter> {
        let name = format!("shard.{shard:05}.mds");
        let provenance = match options.provenance {
            Provenance::None => None,
            _ => Some(Box::new(ParquetWriter::create(options, directory, format!("provenance/{shard:05}.parquet"), false)?)),
        };
        let path = directory.join(&name);
        Ok(MdsWriter { provenance, domain: options.domain.clone(), indices: options.mds_indices, samples: Vec::new(), name, path })
    }
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
        self.samples.push(sample);
        match &mut self.provenance {
            Some(provenance) => provenance.push(row),
            None => Ok(()),
        }
    }

    fn finish(self: Box<Self>) -> Result<Vec<FileRecord>> {
        let configuration = configuration().to_string();
        let start = 4 + 4 * (self.samples.len() as u64 + 1) + configuration.len() as u64;
        let mut ends = Vec::with_capacity(self.samples.len() + 1);
        let mut end = start;
        ends.push(end);
        for sample in &self.samples {
            end += sample.len() as u64;
            ends.push(end);
        }
        if end > u64::from(u32::MAX) {
            let message = format!(
                "{} would have more than 4 GiB, the most an MDS shard can have; give a smaller `output.shardTokens`",
                self.path.display()
            );
            return Err(Error::new(Code::OptionsInvalid, message).with("option", "output.shardTokens"));
        }
        let mut head = (self.samples.len() as u32).to_le_bytes().to_vec();
        ends.iter().for_each(|&end| head.extend_from_slice(&(end as u32).to_le_bytes()));
        head.extend_from_slice(configuration.as_bytes());
        let mut file = AtomicFile::create(&self.path)?;
        file.put(&head)?;
        self.samples.iter().try_for_each(|sample| file.put(sample))?;
        let mut files = vec![FileRecord::new(self.name, file.commit()?)];
        if let Some(provenance) = self.provenance {
            files.extend(provenance.finish()?);
        }
        Ok(files)
    }
}

/// `index.json` over the shards among the output's files.
pub(crate) fn index(directory: &Path, sequences: &BTreeMap<String, u64>) -> Result<Vec<u8>> {
    let mut shards = Vec::new();
    for (name, samples) in sequences.iter().filter(|(name, _)| name.ends_with(".mds")) {
        let path = directory.join(name);
        let bytes = std::fs::metadata(&path).at("read", &path)?.len();
        let mut shard = configuration();
        shard["raw_data"] = json!({ "basename": name, "bytes": bytes, "hashes": {} });
        shard["samples"] = json!(samples);
        shard["zip_data"] = Value::Null;
        shards.push(shard);
    }
    Ok(json!({ "shards": shards, "version": 2 }).to_string().into_bytes())
}

/// The token ids of a sample of a shard.
pub(crate) fn read_ids(path: &Path, sample: u64) -> Result<Vec<u32>> {
    let file = File::open(path).at("open", path)?;
    let corrupt = |what: &str| {
        Error::new(Code::FileCorrupt, format!("{} cannot be read: {what}", path.display())).with("file", path.display().to_string())
    };
    let mut offsets = [0u8; 8];
    read_exact_at(&file, &mut offsets, 4 * (sample + 1)).map_err(|e| corrupt(&e.to_string()))?;
    let number = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).ok_or_else(|| corrupt("a sample ends early"))
    };
    let (start, end) = (number(&offsets, 0)?, number(&offsets, 4)?);
    let length = end.checked_sub(start).ok_or_else(|| corrupt("offsets fall"))?;
    let mut bytes = vec![0u8; length as usize];
    read_exact_at(&file, &mut bytes, u64::from(start)).map_err(|e| corrupt(&e.to_string()))?;
    let (domain, indices, ids) = (number(&bytes, 0)? as usize, number(&bytes, 4)? as usize, number(&bytes, 8)? as usize);
    let from = 12 + domain + indices;
    let array = bytes.get(from..from + ids).ok_or_else(|| corrupt("a sample ends early"))?;
    let head = array.first().map_or(1, |b| 1 + (usize::from(b >> 2) << (b & 3)));
    let values = array.get(head..).ok_or_else(|| corrupt("a sample ends early"))?;
    Ok(values.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}
