//! URLs of remote files: `s3://bucket/key`, `https://host/path`, `http://host/path`.

use std::fmt;

use longweave_common::{Code, Error, Result};

/// How a remote file is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// An object of an S3-compatible store.
    S3,
    /// A file of a web server.
    Https,
    /// A file of a web server, without encryption.
    Http,
}

impl Scheme {
    const ALL: [Scheme; 3] = [Scheme::S3, Scheme::Https, Scheme::Http];

    /// With `://`.
    pub const fn prefix(self) -> &'static str {
        match self {
            Scheme::S3 => "s3://",
            Scheme::Https => "https://",
            Scheme::Http => "http://",
        }
    }
}

/// The scheme of a URL, and the rest of it.
fn split(path: &str) -> Option<(Scheme, &str)> {
    Scheme::ALL
        .into_iter()
        .find_map(|scheme| path.strip_prefix(scheme.prefix()).map(|rest| (scheme, rest)))
}

/// Whether a path is a URL of a kind that is known here.
pub fn is_remote(path: &str) -> bool {
    split(path).is_some()
}

/// A remote file, or a prefix of files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    scheme: Scheme,
    /// The bucket, or the server with its port.
    host: String,
    /// The object's key, or the path as the URL writes it; without a slash at either end.
    key: String,
}

impl Location {
    /// Parses a URL.
    ///
    /// Errors: `OPTIONS_INVALID` for one without a bucket or server, for a path that steps up or
    /// has an empty step, and for one that carries credentials or a query: options are written to
    /// run.json and to outputs.
    pub fn parse(url: &str) -> Result<Location> {
        let bad = |what: &str| {
            // Parts that may be secret are not repeated.
            let shown = url.split(['?', '#']).next().unwrap_or(url);
            let shown = match (shown.find("://"), shown.rfind('@')) {
                (Some(start), Some(at)) if at > start => {
                    format!("{}…{}", &shown[..start + 3], &shown[at..])
                }
                _ => shown.to_owned(),
            };
            Error::new(Code::OptionsInvalid, format!("{shown} {what}")).with("url", shown)
        };
        let (scheme, rest) = split(url)
            .ok_or_else(|| bad("is not a supported URL: s3://bucket/key, https://host/path"))?;
        if scheme != Scheme::S3 && url.contains(['?', '#']) {
            return Err(bad(
                "has a query, which run.json and longweave.json would make public; fetch the file, \
                 or use s3:// and credentials",
            ));
        }
        let (host, key) = rest.split_once('/').unwrap_or((rest, ""));
        if host.contains('@') {
            return Err(bad("carries credentials; give them in the environment"));
        }
        if host.is_empty() || host.contains([' ', '*', '{', '[', '\\']) {
            return Err(bad("names no bucket or server"));
        }
        let key = key.strip_suffix('/').unwrap_or(key);
        if !key.is_empty() && key.split('/').any(|step| matches!(step, "" | "." | "..")) {
            return Err(bad("has an empty step, \".\" or \"..\" in its path"));
        }
        Ok(Location { scheme, host: host.to_owned(), key: key.to_owned() })
    }

    /// How it is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The bucket, or the server with its port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The object's key, or the path as the URL writes it.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The last step of the key.
    pub fn name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or(&self.key)
    }

    /// The location of a relative path below it.
    #[must_use]
    pub fn join(&self, path: &str) -> Location {
        let slash = if self.key.is_empty() || path.is_empty() { "" } else { "/" };
        Location { key: format!("{}{slash}{path}", self.key), ..self.clone() }
    }

    /// The same bucket or server, with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Location {
        Location { key: key.to_owned(), ..self.clone() }
    }

    /// The location that contains it.
    #[must_use]
    pub fn parent(&self) -> Location {
        self.with_key(self.key.rsplit_once('/').map_or("", |(parent, _)| parent))
    }

    /// Its path below `base`; `None` if it is not there.
    pub fn below(&self, base: &Location) -> Option<&str> {
        if (self.scheme, &self.host) != (base.scheme, &base.host) {
            return None;
        }
        if base.key.is_empty() {
            return Some(&self.key);
        }
        self.key.strip_prefix(base.key.as_str())?.strip_prefix('/')
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.key.is_empty() { "" } else { "/" };
        write!(f, "{}{}{slash}{}", self.scheme.prefix(), self.host, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_paths() {
        for (path, remote) in [
            ("s3://b/k", true),
            ("https://h/p", true),
            ("http://h/p", true),
            ("data/s3://b", false),
            ("S3/x", false),
            ("gs://b/k", false),
        ] {
            assert_eq!(is_remote(path), remote, "{path}");
        }
    }

    #[test]
    fn a_url_is_read_and_written_alike() {
        for (url, host, key) in [
            ("s3://bucket/a/b.jsonl.zst", "bucket", "a/b.jsonl.zst"),
            ("s3://bucket", "bucket", ""),
            ("https://host:8080/a%20b.txt", "host:8080", "a%20b.txt"),
            ("s3://bucket/what?.txt", "bucket", "what?.txt"),
        ] {
            let location = Location::parse(url).unwrap();
            assert_eq!(
                (location.host(), location.key(), location.to_string().as_str()),
                (host, key, url)
            );
        }
        assert_eq!(
            Location::parse("s3://bucket/a/").unwrap(),
            Location::parse("s3://bucket/a").unwrap()
        );
    }

    #[test]
    fn what_cannot_be_a_file_or_would_leak_is_refused_without_repeating_it() {
        for (url, says) in [
            ("s3://", "no bucket"),
            ("s3:///key", "no bucket"),
            ("s3://b*/key", "no bucket"),
            ("s3://b/a//c", "empty step"),
            ("s3://b/a/../c", "\"..\""),
            ("ftp://h/x", "not a supported URL"),
            ("https://h/x.jsonl?sig=secret", "query"),
            ("https://user:secret@h/x.jsonl", "credentials"),
        ] {
            let error = Location::parse(url).unwrap_err();
            assert_eq!(error.code(), Code::OptionsInvalid, "{url}");
            assert!(
                error.message().contains(says) && !error.message().contains("secret"),
                "{error}"
            );
        }
    }

    #[test]
    fn places_nest() {
        let base = Location::parse("s3://b/a").unwrap();
        let file = base.join("c/d.txt");
        assert_eq!(file.to_string(), "s3://b/a/c/d.txt");
        assert_eq!(
            (file.below(&base), file.name(), file.parent()),
            (Some("c/d.txt"), "d.txt", base.join("c"))
        );
        assert_eq!(Location::parse("s3://b/ab").unwrap().below(&base), None);
        assert_eq!(Location::parse("s3://other/a/c").unwrap().below(&base), None);
        assert_eq!(file.below(&Location::parse("s3://b").unwrap()), Some("a/c/d.txt"));
    }
}
