//! Components of a tokenizer.json, read one at a time.

use serde_json::{Value, json};
use tokenizers::pipeline::PipelineTokenizer;

/// Why the fast steps do not cover a file.
pub(crate) type Uncovered = String;

/// A tokenizer of tokenizers 1.0 that has these sections and the smallest model.
pub(crate) fn library(mut sections: Value) -> Result<PipelineTokenizer, Uncovered> {
    sections["version"] = "1.0".into();
    sections["model"] = json!({ "type": "WordLevel", "vocab": { "a": 0 }, "unk_token": "a" });
    tokenizers::canonicalize_value(&mut sections).map_err(|e| e.to_string())?;
    tokenizers::from_json(&sections.to_string()).map_err(|e| e.to_string())
}

pub(crate) fn pattern(pattern: &str) -> Result<onig::Regex, Uncovered> {
    onig::Regex::new(pattern).map_err(|e| format!("the pattern {pattern:?} is invalid: {e}"))
}

/// The type of a component.
pub(crate) fn name(component: &Value) -> &str {
    component["type"].as_str().unwrap_or_default()
}

/// `Metaspace`'s `prepend_scheme`, as 0.23 reads it.
pub(crate) fn scheme(metaspace: &Value) -> Result<&'static str, Uncovered> {
    match (metaspace["prepend_scheme"].as_str(), metaspace["add_prefix_space"].as_bool()) {
        (Some("never"), _) => Ok("never"),
        (_, Some(false)) => Err("its `Metaspace` contradicts itself".into()),
        (None | Some("always"), _) => Ok("always"),
        (Some("first"), _) => Ok("first"),
        (Some(other), _) => Err(format!("its `Metaspace` prepends {other:?}")),
    }
}
