//! JSON in and out.

use longweave_common::{Code, Error, Result};
use serde::{Deserialize, Serialize};

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::new(Code::Internal, format!("a result as JSON: {e}")))
}

pub(crate) fn from_json<'a, T: Deserialize<'a>>(what: &str, json: &'a str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| {
        Error::new(Code::OptionsInvalid, format!("{what} do not have the expected shape: {e}"))
    })
}
