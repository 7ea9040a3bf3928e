//! Errors across the boundary: the reason of a JavaScript error is a JSON object `{code, message,
//! details}`, which the façade unfolds.

use longweave_common::Error;
use serde_json::json;

/// The error as napi's.
pub(crate) fn to_napi(error: &Error) -> napi::Error {
    let text = json!({ "code": error.code().name(), "message": error.message(),
        "details": error.details() })
    .to_string();
    napi::Error::from_reason(text)
}

/// Runs `work`; errors and panics become napi's errors.
pub(crate) fn call<T>(work: impl FnOnce() -> Result<T, Error>) -> napi::Result<T> {
    longweave_api::guarded(work).map_err(|e| to_napi(&e))
}
