//! JSON lines: the Parquet fields, one object a line; `.zst` by default.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result, ResultExt};
use serde::{Serialize, Serializer};

use crate::ids::corrupt;
use crate::output_file::OutputFile;
use crate::row::PieceRow;
use crate::shard::encode;
use crate::{
    Compression, Provenance, SequenceBatch, SequenceRecord, SequenceRow, SequenceWriter, ShardFile,
    WriterOptions,
};

/// zstd's level, its default.
const LEVEL: i32 = 3;
/// Bytes of a line that no output reaches: a line that decompresses to more is not ours.
const LONGEST_LINE: u64 = 1 << 30;

#[derive(Serialize)]
struct Line<'a> {
    input_ids: &'a [u32],
    n_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    doc_ids: Option<Column<'a, &'a str>>,
    #[serde(flatten)]
    full: Option<Full<'a>>,
}

#[derive(Serialize)]
struct Full<'a> {
    doc_starts: Column<'a, u32>,
    doc_lens: Column<'a, u32>,
    doc_offsets: Column<'a, u32>,
    reasons: Column<'a, Option<&'a str>>,
    groups: Column<'a, u32>,
}

/// A field of all pieces of a sequence.
struct Column<'a, T>(&'a [PieceRow<'a>], fn(&PieceRow<'a>) -> T);

impl<T: Serialize> Serialize for Column<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(self.1))
    }
}

/// A sequence as a line.
fn line<'a>(row: &SequenceRow<'a>, provenance: Provenance) -> Line<'a> {
    let pieces = row.pieces;
    Line {
        input_ids: row.input_ids,
        n_tokens: row.n_tokens,
        doc_ids: (provenance != Provenance::None).then_some(Column(pieces, |p| p.doc_id)),
        full: (provenance == Provenance::Full).then_some(Full {
            doc_starts: Column(pieces, |p| p.start),
            doc_lens: Column(pieces, |p| p.len),
            doc_offsets: Column(pieces, |p| p.offset),
            reasons: Column(pieces, |p| p.reason),
            groups: Column(pieces, |p| p.group),
        }),
    }
}

enum Output {
    Plain(OutputFile),
    Zstd(zstd::stream::write::Encoder<'static, OutputFile>),
}

/// Writes one file.
pub(crate) struct JsonlWriter {
    output: Output,
    provenance: Provenance,
    name: String,
    path: PathBuf,
    sequences: u64,
    lines: Vec<Vec<u8>>,
}

impl JsonlWriter {
    pub(crate) fn create(
        options: &WriterOptions,
        directory: &Path,
        shard: u32,
    ) -> Result<JsonlWriter> {
        let suffix = if options.compression == Compression::Zstd { ".zst" } else { "" };
        let name = format!("{shard:05}.jsonl{suffix}");
        let path = directory.join(&name);
        let file = OutputFile::create(&path)?;
        let output = match options.compression {
            Compression::None => Output::Plain(file),
            Compression::Zstd => {
                Output::Zstd(zstd::stream::write::Encoder::new(file, LEVEL).at("write", &path)?)
            }
        };
        Ok(JsonlWriter {
            output,
            provenance: options.provenance,
            name,
            path,
            sequences: 0,
            lines: Vec::new(),
        })
    }
}

impl SequenceWriter for JsonlWriter {
    fn push(&mut self, parts: &[SequenceBatch<'_>]) -> Result<()> {
        let provenance = self.provenance;
        let lines = encode(&mut self.lines, parts, |part, bytes| {
            part.rows().try_for_each(|row| {
                serde_json::to_writer(&mut *bytes, &line(&row, provenance))
                    .map_err(|e| Error::new(Code::Internal, format!("a sequence as JSON: {e}")))?;
                bytes.push(b'\n');
                Ok(())
            })
        })?;
        self.sequences += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        lines
            .iter()
            .try_for_each(|lines| match &mut self.output {
                Output::Plain(file) => file.write_all(lines),
                Output::Zstd(encoder) => encoder.write_all(lines),
            })
            .at("write", &self.path)
    }

    fn finish(self: Box<Self>) -> Result<Vec<ShardFile>> {
        let file = match self.output {
            Output::Plain(file) => file,
            Output::Zstd(encoder) => encoder.finish().at("write", &self.path)?,
        };
        Ok(vec![ShardFile::new(self.name, file.commit()?, self.sequences)])
    }
}

/// Reads a file line by line.
pub(crate) struct JsonlReader {
    input: Box<dyn BufRead + Send>,
    path: PathBuf,
    line: Vec<u8>,
}

impl JsonlReader {
    pub(crate) fn open(path: &Path) -> Result<JsonlReader> {
        let file = BufReader::with_capacity(1 << 20, File::open(path).at("open", path)?);
        let input: Box<dyn BufRead + Send> = if path.extension().is_some_and(|e| e == "zst") {
            Box::new(BufReader::with_capacity(
                1 << 20,
                zstd::stream::read::Decoder::with_buffer(file).at("read", path)?,
            ))
        } else {
            Box::new(file)
        };
        Ok(JsonlReader { input, path: path.to_owned(), line: Vec::new() })
    }

    /// Reads the next line, not parsed. Returns whether there was one.
    pub(crate) fn skip(&mut self) -> Result<bool> {
        self.line.clear();
        let bad = |e: std::io::Error| corrupt(&self.path, &e);
        let n =
            (&mut self.input).take(LONGEST_LINE).read_until(b'\n', &mut self.line).map_err(bad)?;
        if n as u64 == LONGEST_LINE && !self.line.ends_with(b"\n") {
            return Err(corrupt(
                &self.path,
                &format!("a line is longer than {LONGEST_LINE} bytes"),
            ));
        }
        Ok(n > 0)
    }

    pub(crate) fn next(&mut self) -> Result<Option<SequenceRecord>> {
        if !self.skip()? {
            return Ok(None);
        }
        serde_json::from_slice(&self.line).map(Some).map_err(|e| corrupt(&self.path, &e))
    }
}
