//! `OUT/run.json`: what was resolved when a run was prepared.

use std::fs;
use std::path::{Path, PathBuf};

use longweave_common::{Code, Ctx, Error, Result, ResultExt};
use longweave_corpus::{CorpusOptions, Inventory};
use longweave_formats::Format;
use longweave_storage::{digest_of_text, write_file};
use serde::{Deserialize, Serialize};
use serde_json::{Serializer, Value};

use crate::base::{Base, Moved};
use crate::lines::Lines;
use crate::options::{RunOptions, result_options};
use crate::resources::{InputDigest, Resources, TokenizerInfo, stop_words_are_a_file};

/// Changes when `run.json` does.
pub const RUN_FORMAT: u32 = 7;

/// The content of `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunFile {
    format: u32,
    version: String,
    /// The run's directory when it was prepared.
    directory: PathBuf,
    /// The directory that relative paths in the options start from.
    pub base: Base,
    pub options: RunOptions,
    pub inventory: Inventory,
    pub tokenizer: TokenizerInfo,
    /// Other files that decide results: stop words, queries.
    inputs: Vec<InputDigest>,
}

/// The members that the `run.json` of every version has.
#[derive(Deserialize)]
struct Head {
    format: Option<u32>,
    version: Option<String>,
}

/// Precedes the digest of all text before it, which is the last member.
const DIGEST: &str = ",\n  \"digest\": \"";
const END: &str = "\"\n}\n";

impl RunFile {
    /// Finds the input and loads the tokenizer.
    pub(crate) fn resolve(
        ctx: &Ctx,
        options: RunOptions,
        out: &Path,
    ) -> Result<(RunFile, Resources)> {
        let directory = std::path::absolute(out).at("find", out)?;
        let base = current_directory()?;
        let resources = Resources::new(&options, &base);
        let corpus = CorpusOptions {
            own: own_paths(&options, &resources),
            ..absolute_corpus(&options, &base)
        };
        let inventory = longweave_corpus::inventory(ctx, &corpus)?;
        let tokenizer = resources.tokenizer_info(&options)?;
        let inputs = resources.inputs(&options)?;
        ctx.cancel.check()?;
        let file = RunFile {
            format: RUN_FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            directory,
            base,
            options,
            inventory,
            tokenizer,
            inputs,
        };
        Ok((file, resources))
    }

    /// Sequences of an output shard.
    pub fn shard_sequences(&self) -> u64 {
        let asked = self.options.output.shard_tokens;
        let tokens = asked.unwrap_or_else(|| {
            let format = self.options.output.format.file();
            let most = format.and_then(Format::most_shard_tokens).unwrap_or(u64::MAX);
            longweave_corpus::shard_tokens(&self.inventory).min(most)
        });
        (tokens / u64::from(self.options.length)).max(1)
    }

    /// Puts the file into the run's directory.
    pub(crate) fn write(&self, out: &Path) -> Result<()> {
        let failed = |e| Error::new(Code::Internal, format!("run.json: {e}"));
        let mut text = Vec::new();
        let mut serializer = Serializer::with_formatter(&mut text, Lines::default());
        self.serialize(&mut serializer).map_err(failed)?;
        add_digest(&mut text);
        write_file(&out.join("run.json"), &text).map(drop)
    }

    /// The file in the run's directory.
    pub(crate) fn read(out: &Path) -> Result<RunFile> {
        let path = &out.join("run.json");
        let text = fs::read_to_string(path).at("read", path)?;
        let refuse = |code, what: String| {
            let message = format!(
                "{} {what}; choose another output directory, or delete this one",
                path.display()
            );
            Error::new(code, message).with_file(path)
        };
        let Head { format, version } = serde_json::from_str(&text)
            .map_err(|e| refuse(Code::FileCorrupt, format!("is not JSON ({e})")))?;
        if format != Some(RUN_FORMAT) {
            let found = version.as_deref().unwrap_or("unknown");
            return Err(refuse(
                Code::VersionMismatch,
                format!("was written by longweave {found}, which this version cannot resume"),
            ));
        }
        let mismatch = || refuse(Code::FileCorrupt, "does not match its checksum".into());
        let (body, rest) = text.rsplit_once(DIGEST).ok_or_else(mismatch)?;
        if rest.strip_suffix(END) != Some(digest_of_text(body.as_bytes()).as_str()) {
            return Err(mismatch());
        }
        let mut file: RunFile = serde_json::from_str(&format!("{body}\n}}")).map_err(|e| {
            refuse(Code::FileCorrupt, format!("does not have the expected shape ({e})"))
        })?;
        file.options.check()?;
        if !file.inventory.is_sound() {
            return Err(refuse(Code::FileCorrupt, "lists impossible splits or files".into()));
        }
        let now = std::path::absolute(out).at("find", out)?;
        if let Some(moved) = Moved::between(&file.directory, &now) {
            file.relocate(moved);
        }
        Ok(file)
    }

    /// As this machine sees its files.
    fn relocate(&mut self, moved: Moved) {
        if longweave_corpus::is_local(&self.inventory.root) {
            let root = moved.path(PathBuf::from(&self.inventory.root));
            self.inventory.root = root.to_string_lossy().into_owned();
        }
        self.tokenizer.relocate(&moved);
        self.base.relocate(moved);
    }

    /// The digest of another file that decides results, by its name there.
    pub fn input(&self, name: &str) -> Option<&str> {
        self.inputs.iter().find(|i| i.name == name).map(|i| i.digest.as_str())
    }

    /// The corpus' options with absolute paths.
    pub fn absolute_corpus(&self) -> CorpusOptions {
        absolute_corpus(&self.options, &self.base)
    }

    /// Checks that the tokenizer and other files that decide results are still those the run was
    /// prepared with.
    ///
    /// Errors: `INPUT_CHANGED`.
    pub(crate) fn check_inputs(&self, resources: &Resources, out: &Path) -> Result<()> {
        if resources.tokenizer_digest()? != self.tokenizer.digest {
            return Err(changed(&self.options.tokenizer, out));
        }
        if let Some(path) = self.tokenizer.changed_file() {
            return Err(changed(path, out));
        }
        same_inputs(&resources.inputs(&self.options)?, &self.inputs, out)
    }

    /// That the directory of the stored run is that of a run with these options.
    ///
    /// Errors: `RUN_MISMATCH`, naming the options that differ.
    pub(crate) fn compare_options(&self, now: &RunFile, out: &Path) -> Result<()> {
        let (then, new) = (result_options(&self.options), result_options(&now.options));
        if then != new {
            let mut names = Vec::new();
            differences("", &then, &new, &mut names);
            let message = format!(
                "{} belongs to a run with other options ({}); choose another output directory, or \
                 delete that one. Tokens, queries and keywords are reused where both runs name the \
                 same `--work` directory",
                out.display(),
                names.join(", ")
            );
            return Err(Error::new(Code::RunMismatch, message).with("options", names));
        }
        Ok(())
    }

    /// Whether rows may have token ids in place of a text.
    pub fn has_tokens(&self) -> bool {
        self.options.tokens_field.is_some()
            || self.inventory.files.iter().any(|file| file.kind.has_tokens())
    }

    /// That corpus, tokenizer and other files are those of the stored run.
    ///
    /// Errors: `INPUT_CHANGED`.
    pub(crate) fn compare_inputs(&self, now: &RunFile, out: &Path) -> Result<()> {
        if !self.inventory.is_same(&now.inventory) {
            let (then, now) = (&self.inventory.files, &now.inventory.files);
            let differs = now.iter().find(|f| !then.contains(f));
            let gone = then.iter().find(|f| !now.contains(f));
            return Err(changed(differs.or(gone).map_or("the corpus", |f| f.path.as_str()), out));
        }
        if self.tokenizer != now.tokenizer {
            return Err(changed(&now.options.tokenizer, out));
        }
        same_inputs(&now.inputs, &self.inputs, out)
    }
}

/// Adds the digest to the text of `run.json` without one.
pub fn add_digest(text: &mut Vec<u8>) {
    let end = text.iter().rposition(|&b| b == b'}').unwrap_or(text.len());
    text.truncate(text[..end].trim_ascii_end().len());
    let digest = digest_of_text(text);
    text.extend_from_slice(format!("{DIGEST}{digest}{END}").as_bytes());
}

pub(crate) fn current_directory() -> Result<Base> {
    let directory = std::env::current_dir().at("find", Path::new("the current directory"))?;
    Ok(Base::from(directory))
}

fn same_inputs(now: &[InputDigest], then: &[InputDigest], out: &Path) -> Result<()> {
    match now.iter().zip(then).find(|(now, then)| now != then) {
        Some((input, _)) => Err(changed(&input.path, out)),
        None => Ok(()),
    }
}

/// The files and directories of a run, which are not documents.
fn own_paths(options: &RunOptions, resources: &Resources) -> Vec<PathBuf> {
    let of_options = [
        options.output.directory.as_ref(),
        options.work.as_ref(),
        Some(&options.tokenizer),
        options.queries.file.as_ref(),
        options.queries.model.as_ref(),
        options.vectors.file.as_ref(),
        options.vectors.model.as_ref(),
        options.topics.file.as_ref(),
        Some(&options.keywords.stop_words).filter(|name| stop_words_are_a_file(name)),
    ];
    of_options.into_iter().flatten().map(|path| resources.path(path)).collect()
}

fn absolute_corpus(options: &RunOptions, base: &Base) -> CorpusOptions {
    let mut corpus = options.corpus_options();
    let absolute = |path: &String| {
        if longweave_corpus::is_local(path) {
            base.join(path).to_string_lossy().into_owned()
        } else {
            path.clone()
        }
    };
    corpus.paths = corpus.paths.iter().map(absolute).collect();
    corpus.root = corpus.root.as_ref().map(absolute);
    corpus
}

fn changed(path: &str, out: &Path) -> Error {
    let message = format!(
        "{path} has changed since the run in {} was prepared; choose another output directory, or \
         delete that one to start again",
        out.display()
    );
    Error::new(Code::InputChanged, message).with("file", path)
}

fn differences(prefix: &str, a: &Value, b: &Value, names: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                differences(
                    &name,
                    a.get(key).unwrap_or(&Value::Null),
                    b.get(key).unwrap_or(&Value::Null),
                    names,
                );
            }
        }
        _ if a != b => names.push(format!("{prefix}: {a} → {b}")),
        _ => {}
    }
}
