//! datatrove's tokenized files: `NNNNN.ds` with the ids end to end, `NNNNN.ds.index` with the u64
//! ends of documents, counted in tokens from the file's start, `NNNNN.ds.metadata` with the
//! tokenizer, the bytes of an id and the number of tokens, as text.
//!
//! The ends tile the sequences: pieces end where they do, a begin token of the sequence belongs to
//! the first, padding to the last. So every end of a sequence is one, and no document reaches from
//! one window of `length` tokens into the next.

use std::path::{Path, PathBuf};

use longweave_common::Result;

use crate::id_writer::IdWriter;
use crate::ids::Width;
use crate::output_file::OutputFile;
use crate::provenance::ProvenanceWriter;
use crate::{SequenceBatch, SequenceWriter, ShardFile, WriterOptions};

/// Writes one `.ds` file and its companions.
pub(crate) struct DatatroveWriter {
    ids: IdWriter,
    ends: OutputFile,
    metadata: PathBuf,
    name: String,
    tokenizer: String,
    sequences: u64,
    /// Tokens before the next sequence.
    tokens: u64,
    provenance: ProvenanceWriter,
}

impl DatatroveWriter {
    pub(crate) fn create(
        options: &WriterOptions,
        directory: &Path,
        shard: u32,
    ) -> Result<DatatroveWriter> {
        let name = format!("{shard:05}.ds");
        Ok(DatatroveWriter {
            ids: IdWriter::create(&directory.join(&name), Width::narrowest(options.max_id))?,
            ends: OutputFile::create(&directory.join(format!("{name}.index")))?,
            metadata: directory.join(format!("{name}.metadata")),
            name,
            tokenizer: options.tokenizer.clone(),
            sequences: 0,
            tokens: 0,
            provenance: ProvenanceWriter::create(options, directory, shard)?,
        })
    }
}

impl SequenceWriter for DatatroveWriter {
    fn push(&mut self, parts: &[SequenceBatch<'_>]) -> Result<()> {
        let mut found = Vec::new();
        for row in parts.iter().flat_map(SequenceBatch::rows) {
            found.extend(row.ends().flat_map(|end| (self.tokens + u64::from(end)).to_le_bytes()));
            self.tokens += row.input_ids.len() as u64;
            self.sequences += 1;
        }
        self.ends.put(&found)?;
        self.ids.push(parts, &mut self.provenance)
    }

    fn finish(self: Box<Self>) -> Result<Vec<ShardFile>> {
        let DatatroveWriter { ids, ends, metadata, name, tokenizer, sequences, tokens, provenance } =
            *self;
        let text = format!("{tokenizer}|{}\n{tokens}\n{}", ids.width().bytes(), metric(tokens));
        let (index, beside) = (format!("{name}.index"), format!("{name}.metadata"));
        let mut files = vec![
            ShardFile::new(name, ids.commit()?, sequences),
            ShardFile::new(index, ends.commit()?, 0),
        ];
        let mut file = OutputFile::create(&metadata)?;
        file.put(text.as_bytes())?;
        files.push(ShardFile::new(beside, file.commit()?, 0));
        files.extend(provenance.finish()?);
        Ok(files)
    }
}

/// A number of tokens with three digits and a metric prefix, as datatrove prints it: `67.1 MT`.
fn metric(tokens: u64) -> String {
    let text = |exponent: usize| {
        format!("{:.*}", 2 - exponent % 3, tokens as f64 / 10f64.powi((exponent / 3 * 3) as i32))
    };
    let exponent = tokens.checked_ilog10().unwrap_or(0) as usize;
    // Rounding may give one digit more, as 9.999 becomes 10.00.
    let exponent =
        exponent + usize::from(text(exponent).bytes().filter(u8::is_ascii_digit).count() > 3);
    format!("{} {}T", text(exponent), ["", "k", "M", "G", "T", "P", "E"][exponent / 3])
}

#[cfg(test)]
mod tests {
    use super::metric;

    /// Expected: humanize's `metric(n, unit="T")`.
    #[test]
    fn numbers_of_tokens_are_printed_as_datatrove_does() {
        let cases = [
            (0, "0.00 T"),
            (7, "7.00 T"),
            (999, "999 T"),
            (1000, "1.00 kT"),
            (12_345, "12.3 kT"),
            (67_108_864, "67.1 MT"),
            (9_994, "9.99 kT"),
            (9_999, "10.0 kT"),
            (999_499, "999 kT"),
            (999_999, "1.00 MT"),
            (1_000_000_000, "1.00 GT"),
            (u64::MAX, "18.4 ET"),
        ];
        for (tokens, expected) in cases {
            assert_eq!(metric(tokens), expected);
        }
    }
}
