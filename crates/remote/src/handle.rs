//! The handle on remote stores: each request waits for its answer, or for the run's cancel flag.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use longweave_common::{Cancel, Code, Error, Result};

use crate::store::Store;
use crate::{Location, Scheme, Stat};

/// A handle on remote stores that gives up waiting when its run is cancelled. Cloning shares
/// connections.
#[derive(Clone)]
pub struct Remote {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) cancel: Cancel,
}

impl Remote {
    /// A handle; connections are shared with those that other handles of this process have open.
    ///
    /// Errors: `REMOTE_NOT_BUILT` in a build without the feature `remote`.
    #[cfg(feature = "remote")]
    pub fn open(cancel: &Cancel) -> Result<Remote> {
        Ok(Remote { store: crate::network::Network::shared()?, cancel: cancel.clone() })
    }

    /// A handle; connections are shared with those that other handles of this process have open.
    ///
    /// Errors: `REMOTE_NOT_BUILT` in a build without the feature `remote`.
    #[cfg(not(feature = "remote"))]
    pub fn open(_: &Cancel) -> Result<Remote> {
        Err(Error::new(
            Code::RemoteNotBuilt,
            "this build of longweave reads and writes no URLs; build it with `npm run build:native \
             -- --features remote`, or copy the files",
        ))
    }

    /// A handle over the same connections that watches another flag.
    #[must_use]
    pub fn with_cancel(&self, cancel: &Cancel) -> Remote {
        Remote { store: Arc::clone(&self.store), cancel: cancel.clone() }
    }

    /// Length and etag of an object.
    ///
    /// Errors: `INPUT_NOT_FOUND`, `REMOTE_DENIED`, `REMOTE_FAILED`, `CANCELLED`.
    pub fn stat(&self, at: &Location) -> Result<Stat> {
        self.store.stat(at).wait(&self.cancel)
    }

    /// An object below a prefix that is taken as a directory; `None` where there is none.
    ///
    /// Errors: as [`Remote::stat`].
    pub fn first(&self, below: &Location) -> Result<Option<Location>> {
        self.store.first(below).wait(&self.cancel)
    }

    /// All objects below a prefix that is taken as a directory, in byte order of their URLs.
    ///
    /// Errors: as [`Remote::stat`]; `OPTIONS_INVALID` for a web server, which cannot list.
    pub fn list(&self, below: &Location) -> Result<Vec<(Location, Stat)>> {
        if below.scheme() != Scheme::S3 {
            let message =
                format!("{below} cannot be listed: a web server lists no files; name each one");
            return Err(Error::new(Code::OptionsInvalid, message).with("url", below.to_string()));
        }
        let mut found = self.store.list(below).wait(&self.cancel)?;
        found.sort_by(|a, b| a.0.key().cmp(b.0.key()));
        Ok(found)
    }

    /// Bytes `range` of an object that must still be the one of `stat`.
    ///
    /// Errors: as [`Remote::stat`]; `INPUT_CHANGED`.
    pub fn read(&self, at: &Location, stat: &Stat, range: Range<u64>) -> Result<Bytes> {
        self.store.read(at, stat, range).wait(&self.cancel)
    }
}
