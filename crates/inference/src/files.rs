//! A model's directory: which layout it has, what its configuration says, what decides its results.

use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result, ResultExt};
use longweave_storage::{checksum_file, digest_of};
use serde::Deserialize;
use serde_json::{Value, json};

/// Name of the file that marks our layout.
pub(crate) const OWN: &str = "longweave-model.json";

/// The properties of a sequence-to-sequence model that generation needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelConfig {
    /// The token before the first.
    pub(crate) start: u32,
    /// Tokens that end a query.
    pub(crate) ends: Vec<u32>,
    /// Fills rows up.
    pub(crate) pad: u32,
    /// Ids are below this.
    pub(crate) vocabulary: usize,
    /// Text before every segment.
    pub(crate) prefix: String,
    /// Most tokens of a segment, all counted.
    pub(crate) max_input: usize,
}

/// The other fields of `longweave-model.json`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct OwnLayout {
    format: String,
    version: u32,
    pub(crate) precision: String,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) head_dim: usize,
    vocab_size: usize,
    decoder_start_token_id: u32,
    eos_token_id: u32,
    pad_token_id: u32,
    #[serde(default)]
    prefix: String,
    #[serde(default = "default_max_input")]
    max_input_tokens: usize,
    files: std::collections::BTreeMap<String, FileEntry>,
}

#[derive(Clone, Debug, Deserialize)]
struct FileEntry {
    bytes: u64,
}

/// The graphs of a sequence-to-sequence model.
#[derive(Clone, Debug)]
pub(crate) enum Layout {
    /// Our two graphs.
    Own(OwnLayout),
    /// One decoder for the first step, one for the others.
    Split {
        /// Steps after the first.
        with_past: PathBuf,
        /// The first step.
        first: PathBuf,
    },
    /// One decoder with a switch.
    Merged(PathBuf),
}

/// T5's own bound; its relative positions would allow any.
fn default_max_input() -> usize {
    512
}

/// Reads a directory.
///
/// Errors: `MODEL_MISSING`, `MODEL_INVALID`.
pub(crate) fn read(directory: &Path) -> Result<(ModelConfig, Layout)> {
    exists(directory)?;
    if directory.join(OWN).is_file() { read_own(directory) } else { read_optimum(directory) }
}

pub(crate) fn exists(directory: &Path) -> Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let message = format!(
        "there is no model directory {}; names of a hub are not looked up: download the model, \
         export it (tools/export) and give the path of the directory",
        directory.display()
    );
    Err(Error::new(Code::ModelMissing, message).with_file(directory))
}

/// A file that must be there.
pub(crate) fn required(directory: &Path, name: &str, kind: &str) -> Result<PathBuf> {
    let path = directory.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let mut found: Vec<String> = std::fs::read_dir(directory)
        .at("list", directory)?
        .filter_map(|entry| entry.ok().map(|e| e.file_name().to_string_lossy().into_owned()))
        .collect();
    found.sort();
    let message = format!(
        "{} holds no {name}, which {kind} needs; it holds {}",
        directory.display(),
        found.join(", ")
    );
    Err(Error::new(Code::ModelMissing, message).with_file(&path).with("found", found))
}

fn invalid(path: &Path, what: &str) -> Error {
    Error::new(Code::ModelInvalid, format!("{} {what}", path.display())).with_file(path)
}

/// A JSON file of a model.
pub(crate) fn read_json(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).at("read", path)?;
    serde_json::from_str(&text).map_err(|e| invalid(path, &format!("is not JSON: {e}")))
}

fn read_own(directory: &Path) -> Result<(ModelConfig, Layout)> {
    let path = directory.join(OWN);
    let own: OwnLayout = serde_json::from_value(read_json(&path)?)
        .map_err(|e| invalid(&path, &format!("lacks a required field: {e}")))?;
    if own.format != "longweave-seq2seq" || own.version != 1 {
        let what = format!(
            "is of format {} version {}, but longweave-seq2seq version 1 is needed; export the \
             model again",
            own.format, own.version
        );
        return Err(invalid(&path, &what));
    }
    for (name, entry) in &own.files {
        let file = required(directory, name, "the two-graph layout")?;
        let bytes = file.metadata().at("read", &file)?.len();
        if bytes != entry.bytes {
            let what = format!(
                "has {bytes} bytes, but {OWN} says {}; it was cut short or belongs to another \
                 export: copy it again",
                entry.bytes
            );
            return Err(invalid(&file, &what).with("expected", entry.bytes).with("found", bytes));
        }
    }
    let config = ModelConfig {
        start: own.decoder_start_token_id,
        ends: vec![own.eos_token_id],
        pad: own.pad_token_id,
        vocabulary: own.vocab_size,
        prefix: own.prefix.clone(),
        max_input: own.max_input_tokens,
    };
    Ok((config, Layout::Own(own)))
}

fn read_optimum(directory: &Path) -> Result<(ModelConfig, Layout)> {
    let kind = "an exported sequence-to-sequence model";
    required(directory, "encoder_model.onnx", kind)?;
    let merged = directory.join("decoder_model_merged.onnx");
    let layout = if merged.is_file() {
        Layout::Merged(merged)
    } else {
        Layout::Split {
            first: required(directory, "decoder_model.onnx", kind)?,
            with_past: required(directory, "decoder_with_past_model.onnx", kind)?,
        }
    };
    let path = required(directory, "config.json", kind)?;
    let config = read_json(&path)?;
    let generation = directory.join("generation_config.json");
    let generation = if generation.is_file() { read_json(&generation)? } else { Value::Null };
    let field = |name: &str| {
        [&generation[name], &config[name]]
            .into_iter()
            .find(|v| !v.is_null())
            .cloned()
            .unwrap_or_default()
    };
    let number = |name: &str| match field(name) {
        Value::Array(list) => {
            list.iter().filter_map(Value::as_u64).map(|n| n as u32).collect::<Vec<_>>()
        }
        value => value.as_u64().map(|n| n as u32).into_iter().collect(),
    };
    let one = |name: &str| {
        number(name).first().copied().ok_or_else(|| invalid(&path, &format!("says no `{name}`")))
    };
    let pad = one("pad_token_id")?;
    let config = ModelConfig {
        start: number("decoder_start_token_id").first().copied().unwrap_or(pad),
        ends: vec![one("eos_token_id")?]
            .into_iter()
            .chain(number("eos_token_id").into_iter().skip(1))
            .collect(),
        pad,
        vocabulary: config["vocab_size"]
            .as_u64()
            .ok_or_else(|| invalid(&path, "says no `vocab_size`"))? as usize,
        prefix: String::new(),
        max_input: config["n_positions"].as_u64().map_or_else(default_max_input, |n| n as usize),
    };
    Ok((config, layout))
}

/// Digest of every file of a model directory that decides its results.
///
/// Errors: `MODEL_MISSING`, `IO`.
pub fn model_digest(directory: &Path) -> Result<String> {
    exists(directory)?;
    let mut names: Vec<PathBuf> = std::fs::read_dir(directory)
        .at("list", directory)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<std::io::Result<_>>()
        .at("list", directory)?;
    names.retain(|path| {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        path.is_file()
            && !name.starts_with('.')
            && [".onnx", ".bin", ".json", "_data", ".data"].iter().any(|end| name.ends_with(end))
    });
    names.sort();
    let mut digests = Vec::new();
    for path in names {
        let (_, _, sha256) = checksum_file(&path)?;
        digests.push(json!([path.file_name().map(|n| n.to_string_lossy()), sha256]));
    }
    Ok(digest_of(&Value::Array(digests)).to_string())
}
