//! Builds `shim.c`, which is loaded between a worker and its C library.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that loads it.
pub(crate) const PRELOAD: &str = "LD_PRELOAD";

/// Builds the library in a folder, with the C compiler that also links Rust programs.
pub(crate) fn build(folder: &Path) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shim/shim.c");
    let library = folder.join("shim.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .args([library.as_os_str(), source.as_ref(), "-ldl".as_ref()])
        .status()
        .unwrap();
    assert!(built.success());
    library
}
