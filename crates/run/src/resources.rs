//! The files that decide results in addition to the corpus: tokenizer, stop words, queries. Loaded
//! when first needed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use longweave_common::{Code, Error, Result, ResultExt};
use longweave_keywords::StopList;
use longweave_plan::Method;
use longweave_storage::checksum_file;
use longweave_tokens::{
    Choice, Encoder, Loaded, ModelFiles, Origin, SpecialOptions, SpecialTokens,
};
use once_cell::sync::OnceCell;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::base::{Base, Moved};
use crate::options::{Bos, MarkerLengths, PredictorName, RunOptions, TopicSource, VectorSource};

/// The facts about its tokenizer that a run records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenizerInfo {
    /// sha-256 of the file.
    pub digest: String,
    /// The encoder that reads it.
    pub encoder: String,
    /// Why the fast encoder does not cover it.
    pub fallback: Option<String>,
    /// The largest id that can occur.
    pub max_id: u32,
    /// Ids of the separator.
    pub separator: Vec<u32>,
    /// Ids of the marker at the end of each part of a document but the last (`interleave`).
    pub part_end: Vec<u32>,
    /// Ids of the marker at the beginning of each part of a document but the first (`interleave`).
    pub part_begin: Vec<u32>,
    /// Id of the begin token, where one is used.
    pub bos: Option<u32>,
    /// Id of the padding token, where one is known or needed.
    pub pad: Option<u32>,
    /// How these were found.
    pub special: Vec<SpecialToken>,
    /// The files that name them.
    files: Vec<InputDigest>,
    /// More ids that the text of no document gets, in addition to those of tokens marked special.
    pub reserved: Vec<u32>,
}

impl TokenizerInfo {
    /// Tokens of each marker.
    pub fn lengths(&self) -> MarkerLengths {
        MarkerLengths {
            separator: self.separator.len() as u32,
            part_end: self.part_end.len() as u32,
            part_begin: self.part_begin.len() as u32,
        }
    }
}

/// A special token that a run uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpecialToken {
    /// Its use: the option that names it.
    #[ts(type = "'separator' | 'bosToken' | 'padToken' | 'partEnd' | 'partBegin'")]
    pub option: String,
    /// The token as the vocabulary writes it.
    pub token: String,
    /// Its id in sequences.
    pub id: u32,
    /// The reason why it was taken: the option, a file of the model, or its name.
    pub by: String,
}

/// A file that decides results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InputDigest {
    pub name: String,
    pub path: String,
    pub digest: String,
}

/// Input files other than the corpus, loaded once for all clones.
#[derive(Clone)]
pub struct Resources {
    tokenizer: PathBuf,
    /// The tokenizer as the options name it.
    named_tokenizer: String,
    base: Base,
    loaded: Arc<OnceCell<Loaded>>,
}

impl Resources {
    /// The files that the options name, not yet loaded.
    pub fn new(options: &RunOptions, base: &Base) -> Resources {
        let mut tokenizer = base.join(&options.tokenizer);
        if tokenizer.is_dir() {
            tokenizer = longweave_tokens::file_of(&tokenizer);
        }
        Resources {
            tokenizer,
            named_tokenizer: options.tokenizer.clone(),
            base: base.clone(),
            loaded: Arc::default(),
        }
    }

    fn loaded(&self) -> Result<&Loaded> {
        self.loaded.get_or_try_init(|| {
            longweave_tokens::load(&self.tokenizer).map_err(|error| self.missing_tokenizer(error))
        })
    }

    /// Adds the remedy to the error of a tokenizer that does not exist.
    fn missing_tokenizer(&self, error: Error) -> Error {
        if error.code() != Code::InputNotFound {
            return error;
        }
        let remedy = if is_hub_name(&self.named_tokenizer) {
            "names of a hub are not looked up: download the model's tokenizer.json and give its \
             path"
        } else {
            "give the path of a tokenizer.json, or of a directory that holds one"
        };
        let path = self.tokenizer.display();
        Error::new(Code::InputNotFound, format!("`tokenizer`: there is no file {path}; {remedy}"))
            .with("file", path.to_string())
            .with("option", "tokenizer")
    }

    pub fn encoder(&self) -> Result<Arc<dyn Encoder>> {
        Ok(Arc::clone(&self.loaded()?.encoder))
    }

    pub fn tokenizer_digest(&self) -> Result<String> {
        checksum_file(&self.tokenizer).map(|(_, _, sha256)| sha256)
    }

    /// Loads the tokenizer and finds the special tokens that the options need.
    pub fn tokenizer_info(&self, options: &RunOptions) -> Result<TokenizerInfo> {
        let loaded = self.loaded()?;
        let encoder = &*loaded.encoder;
        if let Some(option) = options.text_reader().filter(|_| !encoder.has_texts()) {
            let message = format!(
                "`{option}` reads the texts of documents, which {} does not give; give the \
                 tokenizer.json of the model as `tokenizer`, or choose another `method`",
                self.tokenizer.display()
            );
            return Err(Error::new(Code::OptionsInvalid, message).with("option", option));
        }
        let interleave = match &options.method.own {
            Method::Interleave(interleave) => Some(interleave),
            _ => None,
        };
        let none = || "none".to_owned();
        let special = SpecialOptions {
            separator: options.separator.clone(),
            pad: options.pad_token.clone(),
            bos: options.bos_token.clone(),
            part_end: interleave.map_or_else(none, |own| own.part_end.clone()),
            part_begin: interleave.map_or_else(none, |own| own.part_begin.clone()),
        };
        let found =
            SpecialTokens::resolve(encoder, &special, &ModelFiles::beside(&self.tokenizer)?)?;
        if options.bos != Bos::None {
            found.require_bos(encoder)?;
        }
        if options.may_pad() {
            found.require_pad(encoder)?;
        }
        let bos = found.bos.filter(|_| options.bos != Bos::None);
        let markers = [&found.separator, &found.part_end, &found.part_begin];
        let used = markers.into_iter().flatten().copied().chain(bos).chain(found.pad);
        let largest = used.max().unwrap_or(0);
        let is_used = |choice: &&Choice| choice.option != "bosToken" || bos.is_some();
        let choices: Vec<&Choice> = found.choices.iter().filter(is_used).collect();
        let is_special = |id| encoder.special_tokens().iter().any(|&(_, special)| special == id);
        let mut reserved: Vec<u32> =
            choices.iter().map(|choice| choice.id).filter(|&id| !is_special(id)).collect();
        reserved.sort_unstable();
        reserved.dedup();
        Ok(TokenizerInfo {
            digest: self.tokenizer_digest()?,
            encoder: encoder.name().to_owned(),
            fallback: loaded.exact_fallback.clone(),
            max_id: encoder.max_id().max(largest),
            files: deciding_files(&choices)?,
            special: choices.into_iter().map(special_token).collect(),
            reserved,
            separator: found.separator,
            part_end: found.part_end,
            part_begin: found.part_begin,
            bos,
            pad: found.pad,
        })
    }

    /// Other files that decide results, by name.
    pub fn inputs(&self, options: &RunOptions) -> Result<Vec<InputDigest>> {
        let mut inputs = Vec::new();
        let of_file = |name: &str, path: &str| -> Result<InputDigest> {
            let (_, _, digest) = checksum_file(&self.base.join(path))?;
            Ok(InputDigest { name: name.to_owned(), path: path.to_owned(), digest })
        };
        if options.needs_vectors() {
            match (options.vectors.source, &options.vectors.file, &options.vectors.model) {
                (VectorSource::File, Some(file), _) => inputs.push(of_file("vectors", file)?),
                (VectorSource::Onnx, _, Some(model)) => {
                    let digest = longweave_inference::model_digest(&self.base.join(model))?;
                    inputs.push(InputDigest {
                        name: "encoder".into(),
                        path: model.clone(),
                        digest,
                    });
                }
                _ => {}
            }
        }
        if let (true, TopicSource::File, Some(file)) =
            (options.needs_topics(), options.topics.source, &options.topics.file)
        {
            let path = self.base.join(file);
            if !path.is_file() {
                let message = format!(
                    "`topics.file`: there is no file {}; give the path of a file with a topic a \
                     line",
                    path.display()
                );
                return Err(Error::new(Code::InputNotFound, message)
                    .with_file(&path)
                    .with("option", "topics.file"));
            }
            inputs.push(of_file("topics", file)?);
        }
        if !options.needs_keywords() {
            return Ok(inputs);
        }
        if let (PredictorName::Precomputed, Some(file)) =
            (options.queries.predictor, &options.queries.file)
        {
            inputs.push(of_file("queries", file)?);
        }
        if let (PredictorName::Onnx, Some(model)) =
            (options.queries.predictor, &options.queries.model)
        {
            let digest = longweave_inference::model_digest(&self.base.join(model))?;
            inputs.push(InputDigest { name: "model".into(), path: model.clone(), digest });
        }
        options.keywords.language()?;
        if stop_words_are_a_file(&options.keywords.stop_words) {
            load_stop_words(&options.keywords.stop_words, &self.base)?;
            inputs.push(of_file("stopWords", &options.keywords.stop_words)?);
        }
        Ok(inputs)
    }

    /// The directory that relative paths start from.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The path of a file that the options name.
    pub fn path(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }
}

/// The files that name the tokens.
fn deciding_files(choices: &[&Choice]) -> Result<Vec<InputDigest>> {
    let mut files: Vec<InputDigest> = Vec::new();
    for choice in choices {
        let Origin::File { path, .. } = &choice.by else { continue };
        let shown = path.display().to_string();
        if files.iter().all(|file| file.path != shown) {
            let (_, _, digest) = checksum_file(path)?;
            files.push(InputDigest { name: "specialTokens".into(), path: shown, digest });
        }
    }
    Ok(files)
}

fn special_token(choice: &Choice) -> SpecialToken {
    let Choice { option, token, id, by } = choice;
    let by = match by {
        Origin::Option => format!("`{option}`"),
        Origin::Name => "its name and its mark as special".into(),
        Origin::File { path, field } => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("`{field}` of {name}")
        }
    };
    SpecialToken { option: (*option).into(), token: token.clone(), id: *id, by }
}

impl TokenizerInfo {
    /// As this machine sees its files.
    pub(crate) fn relocate(&mut self, moved: &Moved) {
        for file in &mut self.files {
            file.path = moved.path(PathBuf::from(&file.path)).display().to_string();
        }
    }

    /// The path of a file that names special tokens and is not what it was.
    pub(crate) fn changed_file(&self) -> Option<&str> {
        let is_changed = |file: &&InputDigest| {
            !checksum_file(Path::new(&file.path)).is_ok_and(|(_, _, digest)| digest == file.digest)
        };
        self.files.iter().find(is_changed).map(|file| file.path.as_str())
    }
}

/// Whether a path looks like the name of a model on a hub: `owner/model`.
fn is_hub_name(path: &str) -> bool {
    let mut steps = path.split('/');
    let named = |step: Option<&str>| step.is_some_and(|s| !s.is_empty() && !s.starts_with('.'));
    named(steps.next()) && named(steps.next()) && steps.next().is_none() && !path.ends_with(".json")
}

/// Whether stop words are neither `auto` nor a built-in list.
pub(crate) fn stop_words_are_a_file(name: &str) -> bool {
    name != "auto" && StopList::named(name).is_none()
}

/// A stop list by name, or from a file; `None` for `auto`.
///
/// Errors: as [`read_stop_words`].
pub fn load_stop_words(name: &str, base: &Base) -> Result<Option<StopList>> {
    match StopList::named(name) {
        None if name != "auto" => read_stop_words(name, base).map(Some),
        list => Ok(list),
    }
}

/// A stop list from a file with one word a line; lines that start with `#` are comments.
///
/// Errors: `INPUT_NOT_FOUND`, `IO`.
pub fn read_stop_words(name: &str, base: &Base) -> Result<StopList> {
    let path = base.join(name);
    let text = match std::fs::read_to_string(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let message = format!(
                "`keywords.stopWords`: there is no file {}; give the path of a file with one word a \
                 line, `auto`, or one of {} (`smart` and `fox` are English)",
                path.display(),
                StopList::names()
            );
            return Err(Error::new(Code::InputNotFound, message)
                .with_file(&path)
                .with("option", "keywords.stopWords"));
        }
        other => other.at("read", &path)?,
    };
    Ok(StopList::from_words(
        text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')),
    ))
}
