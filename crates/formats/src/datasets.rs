//! The directory that `save_to_disk` of Hugging Face's datasets leaves: `NNNNN.arrow`, Arrow IPC
//! streams of `input_ids list<int32>` and the columns that trainers read; `dataset_info.json` with
//! their types; `state.json` with the files in order.
//!
//! A record batch is a part of a shard, so that bytes depend on the length alone. Nothing is
//! compressed, because readers map the files into memory.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, ListArray, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_ipc::root_as_message;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};
use longweave_common::{Error, Result, ResultExt};
use rayon::prelude::*;
use serde_json::{Map, Value, json};

use crate::ids::{Width, corrupt, read_part};
use crate::output_file::OutputFile;
use crate::provenance::ProvenanceWriter;
use crate::shard::fingerprint;
use crate::{Column, SequenceBatch, SequenceWriter, ShardFile, WriterOptions, columns};

/// Most bytes of a message's description, the body not counted; a batch takes some hundred.
const MOST_DESCRIPTION: u64 = 1 << 20;

/// The columns' types, as datasets writes them down.
fn features(columns: &[Column]) -> Value {
    let list = |(name, data_type): (&str, DataType)| {
        let dtype = if data_type == DataType::Float32 { "float32" } else { "int32" };
        let list = json!({ "_type": "List", "feature": { "_type": "Value", "dtype": dtype } });
        (name.to_owned(), list)
    };
    Value::Object(typed(columns).map(list).collect::<Map<_, _>>())
}

/// The name of each column, and the type of its lists' items.
fn typed(columns: &[Column]) -> impl Iterator<Item = (&'static str, DataType)> {
    let more = columns.iter().map(|column| (column.name(), column.data_type()));
    [("input_ids", DataType::Int32)].into_iter().chain(more)
}

fn element(data_type: DataType) -> FieldRef {
    Arc::new(Field::new("item", data_type, true))
}

fn schema(columns: &[Column]) -> SchemaRef {
    let field = |(name, data_type)| Field::new(name, DataType::List(element(data_type)), true);
    let fields: Vec<Field> = typed(columns).map(field).collect();
    let info = json!({ "info": { "features": features(columns) } }).to_string();
    let metadata = HashMap::from([("huggingface".to_owned(), info)]);
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// Writes one file.
pub(crate) struct DatasetsWriter {
    file: StreamWriter<OutputFile>,
    schema: SchemaRef,
    options: WriterOptions,
    rows: u64,
    name: String,
    path: PathBuf,
    provenance: ProvenanceWriter,
}

impl DatasetsWriter {
    pub(crate) fn create(
        options: &WriterOptions,
        directory: &Path,
        shard: u32,
    ) -> Result<DatasetsWriter> {
        let name = format!("{shard:05}.arrow");
        let path = directory.join(&name);
        let schema = schema(&options.columns);
        let file = StreamWriter::try_new(OutputFile::create(&path)?, &schema)
            .map_err(|e| failed(&path, e))?;
        Ok(DatasetsWriter {
            file,
            schema,
            options: options.clone(),
            rows: 0,
            name,
            path,
            provenance: ProvenanceWriter::create(options, directory, shard)?,
        })
    }
}

/// The record batch of a part.
fn batch(
    schema: &SchemaRef,
    options: &WriterOptions,
    part: &SequenceBatch<'_>,
) -> Result<RecordBatch, ArrowError> {
    let ids = Int32Array::from_iter_values(part.input_ids().iter().map(|&id| id as i32));
    let lengths = part.rows().map(|row| row.input_ids.len());
    let ids = ListArray::new(
        element(DataType::Int32),
        OffsetBuffer::from_lengths(lengths),
        Arc::new(ids),
        None,
    );
    let list =
        |&column: &Column| columns::list(column, options, part, &element(column.data_type()));
    let more = options.columns.iter().map(|column| Arc::new(list(column)));
    let arrays = [Arc::new(ids)].into_iter().chain(more).map(|list| list as ArrayRef).collect();
    RecordBatch::try_new(Arc::clone(schema), arrays)
}

impl SequenceWriter for DatasetsWriter {
    fn push(&mut self, parts: &[SequenceBatch<'_>]) -> Result<()> {
        let DatasetsWriter { file, schema, options, rows, path, provenance, .. } = self;
        let write = || {
            let batches = parts.par_iter().map(|part| batch(schema, options, part));
            let batches = batches.collect::<Result<Vec<_>, _>>()?;
            batches.iter().try_for_each(|batch| file.write(batch))
        };
        let (written, kept) = rayon::join(write, || provenance.push(parts));
        written.map_err(|e| failed(path, e)).and(kept)?;
        *rows += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<ShardFile>> {
        let DatasetsWriter { file, rows, name, path, provenance, .. } = *self;
        let file = file.into_inner().map_err(|e| failed(&path, e))?;
        let mut files = vec![ShardFile::new(name, file.commit()?, rows)];
        files.extend(provenance.finish()?);
        Ok(files)
    }
}

fn failed(path: &Path, error: ArrowError) -> Error {
    let io = match error {
        ArrowError::IoError(_, io) => io,
        other => std::io::Error::other(other.to_string()),
    };
    Error::io(&io, "write", path)
}

/// `dataset_info.json` and `state.json` over the shards among an output's files.
pub(crate) fn index(options: &WriterOptions, files: &[ShardFile]) -> Vec<(String, Vec<u8>)> {
    let data = || files.iter().filter(|file| file.record.name.ends_with(".arrow"));
    let info = json!({
        "citation": "", "description": "", "features": features(&options.columns),
        "homepage": "", "license": "",
    });
    let names: Vec<Value> = data().map(|file| json!({ "filename": file.record.name })).collect();
    let state = json!({
        "_data_files": names, "_fingerprint": fingerprint(data()), "_format_columns": null,
        "_format_kwargs": {}, "_format_type": null, "_output_all_columns": false, "_split": null,
    });
    [("dataset_info.json", info), ("state.json", state)]
        .map(|(name, value)| (name.to_owned(), value.to_string().into_bytes()))
        .to_vec()
}

/// The token ids of a sequence. Finds its record batch by the messages before it, and reads of the
/// batch no more than the sequence.
pub(crate) fn read_ids(path: &Path, sequence: u64) -> Result<Vec<u32>> {
    let file = File::open(path).at("open", path)?;
    let part = |offset, n| read_part(&file, path, offset, n);
    let (mut at, mut first) = (0u64, 0u64);
    loop {
        let head = part(at, 8)?;
        let [mark, size] =
            [0, 4].map(|at| u32::from_le_bytes(std::array::from_fn(|i| head[at + i])));
        if mark != u32::MAX || u64::from(size) > MOST_DESCRIPTION {
            return Err(corrupt(path, &"it is not an Arrow IPC stream"));
        }
        if size == 0 {
            return Err(corrupt(
                path,
                &format!("it has {first} sequences, there is no sequence {sequence}"),
            ));
        }
        let bytes = part(at + 8, u64::from(size))?;
        let message = root_as_message(&bytes).map_err(|e| corrupt(path, &e))?;
        let body = at + 8 + u64::from(size);
        let number = |number: i64| {
            u64::try_from(number).map_err(|_| corrupt(path, &format!("a size is {number}")))
        };
        if let Some(batch) = message.header_as_record_batch() {
            let rows = number(batch.length())?;
            if sequence - first < rows {
                let buffers = batch.buffers().filter(|buffers| buffers.len() >= 4);
                let (Some(buffers), None) = (buffers, batch.compression()) else {
                    return Err(corrupt(path, &"a batch does not begin with plain lists"));
                };
                // Of the first column: validity of lists, their ends, validity of items, items.
                let place = |buffer: usize, item: u64| {
                    let offset = number(buffers.get(buffer).offset())?;
                    Ok(body.saturating_add(offset).saturating_add(item.saturating_mul(4)))
                };
                let ends = part(place(1, sequence - first)?, 8)?;
                let [start, end] =
                    [0, 4].map(|at| i32::from_le_bytes(std::array::from_fn(|i| ends[at + i])));
                let (start, end) = (number(start.into())?, number(end.into())?);
                let n = end.checked_sub(start).ok_or_else(|| corrupt(path, &"offsets fall"))?;
                return Width::Four.read(path, place(3, start)?, n);
            }
            first += rows;
        }
        at = body.saturating_add(number(message.bodyLength())?);
    }
}
