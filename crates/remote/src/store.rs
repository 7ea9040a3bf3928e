//! The requests to a remote store. Each call begins a request and returns at once. A missing object
//! is `INPUT_NOT_FOUND`, one that is not the one of `stat` is `INPUT_CHANGED`.

use std::ops::Range;

use bytes::Bytes;

use crate::Location;
use crate::pending::Pending;

/// The identity of an object: enough to detect that another one replaced it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Length in bytes.
    pub bytes: u64,
    /// The store's etag, quotes included; the time of its last change where a web server gives
    /// none; empty where it gives neither.
    pub etag: String,
}

/// A remote store.
pub(crate) trait Store: Send + Sync {
    /// Length and etag.
    fn stat(&self, at: &Location) -> Pending<Stat>;
    /// Any object below a prefix.
    fn first(&self, below: &Location) -> Pending<Option<Location>>;
    /// All objects below a prefix, in any order.
    fn list(&self, below: &Location) -> Pending<Vec<(Location, Stat)>>;
    /// Bytes `range` of an object that must be the one of `stat`.
    fn read(&self, at: &Location, stat: &Stat, range: Range<u64>) -> Pending<Bytes>;
    /// Writes an object at once.
    fn put(&self, at: &Location, content: Bytes) -> Pending<Stat>;
    /// Begins a multipart upload. Returns its id.
    fn begin(&self, at: &Location) -> Pending<String>;
    /// Sends part `number`, from 0. Returns its etag.
    fn part(&self, at: &Location, upload: &str, number: u32, content: Bytes) -> Pending<String>;
    /// Completes the object from its parts' etags, in order. Returns its own etag.
    fn complete(&self, at: &Location, upload: &str, parts: Vec<String>) -> Pending<String>;
    /// Gives an upload up.
    fn abort(&self, at: &Location, upload: &str) -> Pending<()>;
}

/// A store in memory, for tests: counts requests and fails on demand.
#[cfg(test)]
pub(crate) mod memory {
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::sync::mpsc::sync_channel;

    use longweave_common::{Code, Error, Result};

    use super::*;

    #[derive(Default)]
    pub(crate) struct Inside {
        pub(crate) objects: BTreeMap<Location, Bytes>,
        pub(crate) uploads: BTreeMap<String, BTreeMap<u32, Bytes>>,
        /// Names of requests in order, with what they are about.
        pub(crate) log: Vec<String>,
        /// The request, counted from 1 over all that begin with the text, that fails.
        pub(crate) fail: Option<(String, usize)>,
    }

    #[derive(Default)]
    pub(crate) struct Memory(pub(crate) Mutex<Inside>);

    pub(crate) fn etag(content: &[u8]) -> String {
        format!("\"{}-{}\"", content.len(), content.iter().map(|&b| u64::from(b)).sum::<u64>())
    }

    fn absent(at: &Location) -> Error {
        Error::new(Code::InputNotFound, format!("there is no {at}"))
    }

    impl Memory {
        fn answer<T: Send + 'static>(
            &self,
            what: String,
            work: impl FnOnce(&mut Inside) -> Result<T>,
        ) -> Pending<T> {
            let mut inside = self.0.lock().unwrap();
            let seen =
                |log: &[String], text: &str| log.iter().filter(|l| l.starts_with(text)).count();
            inside.log.push(what.clone());
            let fails = inside.fail.as_ref().is_some_and(|(text, at)| {
                what.starts_with(text.as_str()) && seen(&inside.log, text) == *at
            });
            let result = if fails {
                Err(Error::new(Code::RemoteFailed, "the store fails"))
            } else {
                work(&mut inside)
            };
            let (send, receive) = sync_channel(1);
            send.send(result).unwrap();
            Pending::new(receive, || {})
        }
    }

    impl Store for Memory {
        fn stat(&self, at: &Location) -> Pending<Stat> {
            let stat = |o: &Bytes| Stat { bytes: o.len() as u64, etag: etag(o) };
            self.answer(format!("stat {at}"), |i| {
                i.objects.get(at).map(stat).ok_or_else(|| absent(at))
            })
        }

        fn first(&self, below: &Location) -> Pending<Option<Location>> {
            self.answer(format!("first {below}"), |i| {
                Ok(i.objects.keys().find(|l| l.below(below).is_some()).cloned())
            })
        }

        fn list(&self, below: &Location) -> Pending<Vec<(Location, Stat)>> {
            self.answer(format!("list {below}"), |i| {
                let below = i.objects.iter().filter(|(l, _)| l.below(below).is_some());
                Ok(below
                    .map(|(l, o)| (l.clone(), Stat { bytes: o.len() as u64, etag: etag(o) }))
                    .collect())
            })
        }

        fn read(&self, at: &Location, stat: &Stat, range: Range<u64>) -> Pending<Bytes> {
            self.answer(format!("read {}..{}", range.start, range.end), |i| {
                let object = i.objects.get(at).ok_or_else(|| absent(at))?;
                if etag(object) != stat.etag {
                    return Err(Error::new(Code::InputChanged, "it changed"));
                }
                Ok(object.slice(range.start as usize..range.end as usize))
            })
        }

        fn put(&self, at: &Location, content: Bytes) -> Pending<Stat> {
            self.answer(format!("put {at}"), |i| {
                let stat = Stat { bytes: content.len() as u64, etag: etag(&content) };
                i.objects.insert(at.clone(), content);
                Ok(stat)
            })
        }

        fn begin(&self, _: &Location) -> Pending<String> {
            self.answer("begin".into(), |i| {
                let id = format!("upload-{}", i.log.len());
                i.uploads.insert(id.clone(), BTreeMap::new());
                Ok(id)
            })
        }

        fn part(
            &self,
            at: &Location,
            upload: &str,
            number: u32,
            content: Bytes,
        ) -> Pending<String> {
            self.answer(format!("part {number}"), |i| {
                let etag = etag(&content);
                i.uploads.get_mut(upload).ok_or_else(|| absent(at))?.insert(number, content);
                Ok(etag)
            })
        }

        fn complete(&self, at: &Location, upload: &str, parts: Vec<String>) -> Pending<String> {
            self.answer("complete".into(), |i| {
                let sent = i.uploads.remove(upload).ok_or_else(|| absent(at))?;
                assert_eq!(sent.values().map(|p| etag(p)).collect::<Vec<_>>(), parts);
                let whole: Vec<u8> = sent.values().flat_map(|p| p.to_vec()).collect();
                let tag = etag(&whole);
                i.objects.insert(at.clone(), whole.into());
                Ok(tag)
            })
        }

        fn abort(&self, _: &Location, upload: &str) -> Pending<()> {
            self.answer("abort".into(), |i| {
                i.uploads.remove(upload);
                Ok(())
            })
        }
    }
}
