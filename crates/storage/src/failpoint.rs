//! Places where a test can make a write fail or the process die: `LONGWEAVE_FAILPOINT=NAME=ACTION[@N]`, where ACTION is
//! `abort`, `full` (disk full) or `denied`, taken at the N-th hit (1 by default). Without the variable a hit costs one load.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

struct Armed {
    name: String,
    action: String,
    at: u64,
    hits: AtomicU64,
}

fn armed() -> Option<&'static Armed> {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    ARMED
        .get_or_init(|| {
            let value = std::env::var("LONGWEAVE_FAILPOINT").ok()?;
            let (name, action) = value.split_once('=')?;
            let (action, at) = match action.split_once('@') {
                Some((action, n)) => (action, n.parse().ok()?),
                None => (action, 1),
            };
            Some(Armed { name: name.to_owned(), action: action.to_owned(), at, hits: AtomicU64::new(0) })
        })
        .as_ref()
}

/// A place named `name` (`create`, `write`, `rename`, `done` …, before the operation). Does nothing unless armed by the environment.
pub fn hit(name: &str) -> io::Result<()> {
    let Some(armed) = armed() else { return Ok(()) };
    if armed.name != name || armed.hits.fetch_add(1, Ordering::Relaxed) + 1 != armed.at {
        return Ok(());
    }
    match armed.action.as_str() {
        "full" => Err(io::Error::from(io::ErrorKind::StorageFull)),
        "denied" => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
        _ => std::process::abort(),
    }
}
