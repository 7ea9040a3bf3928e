//! The network: object_store's clients on an async runtime of one thread, which ends when nobody
//! holds it any more.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use longweave_common::{Code, Error, Result};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::http::HttpBuilder;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore,
    ObjectStoreExt, RetryConfig,
};
use tokio::runtime::Runtime;

use crate::pending::Pending;
use crate::store::Store;
use crate::{Location, Scheme, Stat};

/// Attempts of a request, unless the environment says another number in `AWS_MAX_ATTEMPTS`.
const ATTEMPTS: usize = 8;
/// Attempts of a request whose answer breaks off.
const BREAKS: u32 = 5;
/// Wait before the second attempt; it doubles from one to the next.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(15);
/// After this long a request is not tried again.
const LONGEST: Duration = Duration::from_secs(180);
/// A request without an answer ends after this long, unless the environment says otherwise in
/// `AWS_TIMEOUT`.
const TIMEOUT: &str = "120 seconds";
const CONNECT_TIMEOUT: &str = "10 seconds";

/// Connections to remote stores.
pub(crate) struct Network {
    /// Before the clients, so that its requests end first.
    runtime: Runtime,
    clients: Mutex<HashMap<(Scheme, String), Client>>,
}

/// The client of a bucket or a server.
#[derive(Clone)]
enum Client {
    S3(Arc<AmazonS3>),
    Web(Arc<dyn ObjectStore>),
}

impl Client {
    fn objects(&self) -> Arc<dyn ObjectStore> {
        match self {
            Client::S3(s3) => Arc::<AmazonS3>::clone(s3),
            Client::Web(web) => Arc::clone(web),
        }
    }
}

impl Network {
    /// The connections that this process has, or new ones. The process itself does not keep them:
    /// when the last holder drops it, requests end and the runtime's thread is joined.
    pub(crate) fn shared() -> Result<Arc<Network>> {
        static SHARED: Mutex<Weak<Network>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(network) = shared.upgrade() {
            return Ok(network);
        }
        // A second addon of this process may have chosen its provider; ours is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("longweave-remote")
            .enable_all()
            .build()
            .map_err(|e| {
                Error::new(Code::Internal, format!("cannot start the thread of remote stores: {e}"))
            })?;
        let network = Arc::new(Network { runtime, clients: Mutex::default() });
        *shared = Arc::downgrade(&network);
        Ok(network)
    }

    fn client(&self, at: &Location) -> Result<Client> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (at.scheme(), at.host().to_owned());
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = connect(at).map_err(|e| failure(&e, "reach", &at.with_key("")))?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    /// Begins `work` with the client and the path of `at`; `action` says in a message what failed.
    /// The client tries a request again when it is not answered; here it is when the answer breaks
    /// off, which the client leaves to its caller for all but bodies with an etag.
    fn request<T: Send + 'static, F>(
        &self,
        action: &'static str,
        at: &Location,
        work: impl Fn(Client, Path) -> F + Send + 'static,
    ) -> Pending<T>
    where
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let (send, receive) = sync_channel(1);
        let at = at.clone();
        match self.client(&at).and_then(|client| Ok((client, path(&at)?))) {
            Ok((client, path)) => {
                let task = self.runtime.spawn(async move {
                    let mut attempt = 1;
                    let result = loop {
                        match work(client.clone(), path.clone()).await {
                            Err(Failure::Store(error)) if attempt < BREAKS && broken(&error) => {
                                tokio::time::sleep(FIRST_WAIT * (1 << attempt)).await;
                                attempt += 1;
                            }
                            Err(Failure::Store(error)) => break Err(failure(&error, action, &at)),
                            Err(Failure::Ours(error)) => break Err(error),
                            Ok(answer) => break Ok(answer),
                        }
                    };
                    // Nobody waits where the run was cancelled.
                    let _ = send.send(result);
                });
                Pending::new(receive, move || task.abort())
            }
            Err(error) => {
                // The channel has room for it.
                let _ = send.send(Err(error));
                Pending::new(receive, || {})
            }
        }
    }
}

/// Why a request failed.
enum Failure {
    Store(object_store::Error),
    Ours(Error),
}

impl From<object_store::Error> for Failure {
    fn from(error: object_store::Error) -> Failure {
        Failure::Store(error)
    }
}

fn connect(at: &Location) -> object_store::Result<Client> {
    let attempts = std::env::var("AWS_MAX_ATTEMPTS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(ATTEMPTS)
        .max(1);
    let backoff = BackoffConfig { init_backoff: FIRST_WAIT, max_backoff: LONGEST_WAIT, base: 2.0 };
    let retry = RetryConfig { backoff, max_retries: attempts - 1, retry_timeout: LONGEST };
    let given = |name: &str| std::env::var_os(name).is_some();
    Ok(match at.scheme() {
        Scheme::S3 => {
            let mut builder =
                AmazonS3Builder::from_env().with_bucket_name(at.host()).with_retry(retry);
            for (name, key, value) in [
                ("AWS_TIMEOUT", ClientConfigKey::Timeout, TIMEOUT),
                ("AWS_CONNECT_TIMEOUT", ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT),
            ] {
                if !given(name) {
                    builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
                }
            }
            Client::S3(Arc::new(builder.build()?))
        }
        Scheme::Https | Scheme::Http => {
            let mut options = ClientOptions::new().with_allow_http(at.scheme() == Scheme::Http);
            for (name, key, value) in [
                ("AWS_TIMEOUT", ClientConfigKey::Timeout, TIMEOUT),
                ("AWS_CONNECT_TIMEOUT", ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT),
            ] {
                options = options
                    .with_config(key, std::env::var(name).unwrap_or_else(|_| value.to_owned()));
            }
            let url = at.with_key("").to_string();
            Client::Web(Arc::new(
                HttpBuilder::new()
                    .with_url(url)
                    .with_client_options(options)
                    .with_retry(retry)
                    .build()?,
            ))
        }
    })
}

/// The key as object_store has it.
fn path(at: &Location) -> Result<Path> {
    match at.scheme() {
        Scheme::S3 => Path::parse(at.key()),
        Scheme::Https | Scheme::Http => Path::from_url_path(at.key()),
    }
    .map_err(|e| {
        Error::new(Code::OptionsInvalid, format!("cannot request {at}: {e}"))
            .with("url", at.to_string())
    })
}

/// The version of an object: it differs from that of a later object at the same place.
fn stat(meta: &ObjectMeta) -> Stat {
    let time = meta.last_modified.timestamp_millis();
    let etag = meta
        .e_tag
        .clone()
        .unwrap_or_else(|| if time > 0 { format!("modified-{time}") } else { String::new() });
    Stat { bytes: meta.size, etag }
}

impl Store for Network {
    fn stat(&self, at: &Location) -> Pending<Stat> {
        self.request("read", at, |client, path| async move {
            Ok(self::stat(&client.objects().head(&path).await?))
        })
    }

    fn first(&self, below: &Location) -> Pending<Option<Location>> {
        let place = below.clone();
        self.request("list", below, move |client, path| {
            let place = place.clone();
            async move {
                let found = client.objects().list(prefix(&path)).try_next().await?;
                Ok(found.map(|meta| place.with_key(meta.location.as_ref())))
            }
        })
    }

    fn list(&self, below: &Location) -> Pending<Vec<(Location, Stat)>> {
        let place = below.clone();
        self.request("list", below, move |client, path| {
            let place = place.clone();
            async move {
                let found: Vec<ObjectMeta> =
                    client.objects().list(prefix(&path)).try_collect().await?;
                Ok(found
                    .iter()
                    .map(|meta| (place.with_key(meta.location.as_ref()), self::stat(meta)))
                    .collect())
            }
        })
    }

    fn read(&self, at: &Location, stat: &Stat, range: Range<u64>) -> Pending<Bytes> {
        let (place, then) = (at.clone(), stat.clone());
        self.request("read", at, move |client, path| {
            let (place, then, range) = (place.clone(), then.clone(), range.clone());
            async move { read_once(&client.objects(), &path, &place, &then, &range).await }
        })
    }

    fn put(&self, at: &Location, content: Bytes) -> Pending<Stat> {
        let place = at.clone();
        self.request("write", at, move |client, path| {
            let (place, content) = (place.clone(), content.clone());
            async move {
                let bytes = content.len() as u64;
                let put = s3(&client, &place)?.put(&path, content.into()).await?;
                Ok(Stat { bytes, etag: put.e_tag.unwrap_or_default() })
            }
        })
    }

    fn begin(&self, at: &Location) -> Pending<String> {
        let place = at.clone();
        self.request("write", at, move |client, path| {
            let place = place.clone();
            async move { Ok(s3(&client, &place)?.create_multipart(&path).await?) }
        })
    }

    fn part(&self, at: &Location, upload: &str, number: u32, content: Bytes) -> Pending<String> {
        let (place, upload) = (at.clone(), upload.to_owned());
        self.request("write", at, move |client, path| {
            let (place, upload, content) = (place.clone(), upload.clone(), content.clone());
            async move {
                Ok(s3(&client, &place)?
                    .put_part(&path, &upload, number as usize, content.into())
                    .await?
                    .content_id)
            }
        })
    }

    fn complete(&self, at: &Location, upload: &str, parts: Vec<String>) -> Pending<String> {
        let (place, upload) = (at.clone(), upload.to_owned());
        self.request("write", at, move |client, path| {
            let (place, upload) = (place.clone(), upload.clone());
            let parts = parts.iter().map(|etag| PartId { content_id: etag.clone() }).collect();
            async move {
                Ok(s3(&client, &place)?
                    .complete_multipart(&path, &upload, parts)
                    .await?
                    .e_tag
                    .unwrap_or_default())
            }
        })
    }

    fn abort(&self, at: &Location, upload: &str) -> Pending<()> {
        let (place, upload) = (at.clone(), upload.to_owned());
        self.request("write", at, move |client, path| {
            let (place, upload) = (place.clone(), upload.clone());
            async move { Ok(s3(&client, &place)?.abort_multipart(&path, &upload).await?) }
        })
    }
}

/// A prefix to list; all of the bucket has none.
fn prefix(path: &Path) -> Option<&Path> {
    (!path.as_ref().is_empty()).then_some(path)
}

/// The S3 client: nothing else takes objects in parts.
fn s3<'a>(client: &'a Client, at: &Location) -> Result<&'a AmazonS3, Failure> {
    match client {
        Client::S3(s3) => Ok(s3),
        Client::Web(_) => {
            let message = format!("cannot write {at}: outputs go to s3://bucket/prefix");
            Err(Failure::Ours(
                Error::new(Code::OptionsInvalid, message).with("option", "output.upload"),
            ))
        }
    }
}

async fn read_once(
    objects: &Arc<dyn ObjectStore>,
    path: &Path,
    at: &Location,
    then: &Stat,
    range: &Range<u64>,
) -> Result<Bytes, Failure> {
    let whole = *range == (0..then.bytes);
    let options = GetOptions {
        // A weak etag never matches, and a time is not an etag.
        if_match: then.etag.starts_with('"').then(|| then.etag.clone()),
        // A server that knows no ranges can still give a whole file.
        range: (!whole).then(|| GetRange::Bounded(range.clone())),
        ..GetOptions::default()
    };
    let result = objects.get_opts(path, options).await?;
    if stat(&result.meta) != *then {
        return Err(Failure::Ours(changed(at)));
    }
    let bytes = result.bytes().await?;
    if bytes.len() as u64 != range.end - range.start {
        let message = format!(
            "cannot read {at}: {} bytes came where {} were asked for",
            bytes.len(),
            range.end - range.start
        );
        return Err(Failure::Ours(
            Error::new(Code::RemoteFailed, message).with("url", at.to_string()),
        ));
    }
    Ok(bytes)
}

fn changed(at: &Location) -> Error {
    let message = format!(
        "{at} has changed since the run was prepared; begin again in another output directory"
    );
    Error::new(Code::InputChanged, message).with("file", at.to_string())
}

/// The errors below `error`, itself first.
fn chain<'a>(
    error: &'a object_store::Error,
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    let first: &'a (dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |&e| e.source())
}

fn http_error(error: &object_store::Error) -> Option<HttpErrorKind> {
    chain(error).find_map(|e| e.downcast_ref::<HttpError>()).map(HttpError::kind)
}

/// Whether the connection broke while an answer came. A request that was never answered has had its
/// attempts.
fn broken(error: &object_store::Error) -> bool {
    let unanswered = chain(error).any(|e| e.to_string().starts_with("Error performing "));
    !unanswered
        && matches!(
            http_error(error),
            Some(
                HttpErrorKind::Interrupted
                    | HttpErrorKind::Request
                    | HttpErrorKind::Decode
                    | HttpErrorKind::Timeout
            )
        )
}

/// The text between `<name>` and `</name>`.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let start = text.find(&format!("<{name}>"))? + name.len() + 2;
    let end = text[start..].find(&format!("</{name}>"))?;
    Some(&text[start..start + end])
}

/// The status that a server answered with, where it did.
fn status<'a>(error: &object_store::Error, text: &'a str) -> Option<&'a str> {
    use object_store::Error as E;
    match error {
        E::NotFound { .. } => Some("404"),
        E::Precondition { .. } => Some("412"),
        E::NotModified { .. } => Some("304"),
        E::PermissionDenied { .. } => Some("403"),
        E::Unauthenticated { .. } => Some("401"),
        _ => text.split_once("status code: ").and_then(|(_, rest)| rest.split(' ').next()),
    }
}

/// An error of the client as ours. Of an answer it keeps only status, code and message: other
/// fields repeat parts of keys and signatures.
fn failure(error: &object_store::Error, action: &str, at: &Location) -> Error {
    let text = error.to_string();
    let code = element(&text, "Code").unwrap_or_default();
    let said = match element(&text, "Message") {
        Some(message) if !code.is_empty() => format!(" ({code}: {})", message.trim()),
        _ if code.is_empty() => String::new(),
        _ => format!(" ({code})"),
    };
    let make = |code: Code, what: String| {
        Error::new(code, format!("cannot {action} {at}: {what}")).with("url", at.to_string())
    };
    // The service that provides credentials does not answer, or has none.
    if [
        "/latest/api/token",
        "/latest/meta-data/iam/security-credentials",
        "Missing SecretAccessKey",
        "Missing AccessKeyId",
    ]
    .iter()
    .any(|part| text.contains(part))
    {
        let remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true \
                      for a public bucket";
        return make(Code::RemoteDenied, format!("no credentials were found; {remedy}"));
    }
    let elsewhere = "AWS_REGION or AWS_ENDPOINT_URL names another place than the bucket's";
    match status(error, &text) {
        Some("404") if code == "NoSuchBucket" => {
            make(Code::InputNotFound, format!("there is no bucket {}", at.host()))
        }
        Some("404") => {
            make(Code::InputNotFound, "it is not there".into()).with("file", at.to_string())
        }
        Some("412" | "304") => changed(at),
        Some("401" | "403") => {
            let remedy = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do";
            make(Code::RemoteDenied, format!("access is denied{said}; {remedy}"))
        }
        Some(status)
            if ["301", "307"].contains(&status) || code == "AuthorizationHeaderMalformed" =>
        {
            make(Code::RemoteFailed, format!("the server answers {status}{said}; {elsewhere}"))
        }
        Some(status) => make(
            Code::RemoteFailed,
            format!("the server answers {status}{said}; run again to resume"),
        ),
        None if text.contains("without LOCATION") => {
            make(Code::RemoteFailed, format!("the server redirects; {elsewhere}"))
        }
        None => unanswered(error, &text, at, &make),
    }
}

/// An error that is not a server's answer.
fn unanswered(
    error: &object_store::Error,
    text: &str,
    at: &Location,
    make: &dyn Fn(Code, String) -> Error,
) -> Error {
    // The clients of web servers and of S3 report it in their own ways.
    if matches!(error, object_store::Error::NotSupported { .. })
        || text.contains("non-partial response")
    {
        return make(
            Code::RemoteFailed,
            "its server does not serve byte ranges; download the file".into(),
        );
    }
    let cause = chain(error).last().map(ToString::to_string).unwrap_or_default();
    if cause.contains("scheme is not allowed") {
        return make(
            Code::RemoteFailed,
            "AWS_ENDPOINT_URL is not encrypted (http://); set AWS_ALLOW_HTTP=true to allow it"
                .into(),
        );
    }
    let place = if at.scheme() == Scheme::S3 {
        "AWS_ENDPOINT_URL and the network"
    } else {
        "the address and the network"
    };
    match http_error(error) {
        Some(HttpErrorKind::Connect) => make(
            Code::RemoteFailed,
            format!("its server cannot be reached ({cause}); check {place}"),
        ),
        Some(HttpErrorKind::Timeout) => make(
            Code::RemoteFailed,
            format!("its server did not answer in time; check {place}, or raise AWS_TIMEOUT"),
        ),
        Some(_) => make(
            Code::RemoteFailed,
            format!("the connection broke repeatedly ({cause}); run again to resume"),
        ),
        None => make(Code::RemoteFailed, format!("{cause}; check {place}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    /// A server that gives the same answer to every request: its URL.
    fn server(answer: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(&stream).lines().map_while(Result::ok);
                lines.take_while(|line| !line.is_empty()).for_each(drop);
                // The client may have hung up.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        url
    }

    fn answer(status: &str, claimed: usize, body: &str) -> String {
        let head = "Connection: close\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT";
        server(format!("HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {claimed}\r\n\r\n{body}"))
    }

    fn once() -> RetryConfig {
        RetryConfig { max_retries: 0, ..RetryConfig::default() }
    }

    /// The error of reading the first two bytes of an object.
    fn error(store: object_store::Result<impl ObjectStore>) -> object_store::Error {
        let read = |store| async move {
            let get = GetOptions { range: Some((0..2).into()), ..GetOptions::default() };
            ObjectStore::get_opts(&store, &Path::from("a"), get).await?.bytes().await
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        store.and_then(|store| runtime.block_on(read(store))).unwrap_err()
    }

    fn web(url: String) -> object_store::Error {
        let options = ClientOptions::new().with_allow_http(true);
        let builder = HttpBuilder::new().with_client_options(options).with_retry(once());
        error(builder.with_url(url).build())
    }

    fn s3(change: impl FnOnce(AmazonS3Builder) -> AmazonS3Builder) -> object_store::Error {
        let builder = AmazonS3Builder::new().with_bucket_name("b").with_region("r");
        error(change(builder.with_retry(once())).build())
    }

    // object_store keeps most of its errors to itself, so that some are recognised by their text:
    // this test fails where another version words them differently.
    #[test]
    fn errors_of_object_store_are_recognised() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let xml = "<Error><Code>SlowDown</Code><Message> Wait. </Message></Error>";
        let (metadata, whole) = (answer("404 Not Found", 0, ""), answer("200 OK", 2, "ab"));
        let keys = |b: AmazonS3Builder| b.with_access_key_id("k").with_secret_access_key("s");
        for (error, code, words) in [
            (web(answer("404 Not Found", 0, "")), Code::InputNotFound, "it is not there"),
            (web(answer("403 Forbidden", 0, "")), Code::RemoteDenied, "access is denied"),
            (web(answer("401 Unauthorized", 0, "")), Code::RemoteDenied, "access is denied"),
            (web(answer("412 Changed", 0, "")), Code::InputChanged, "has changed"),
            (web(answer("418 Teapot", 0, "")), Code::RemoteFailed, "the server answers 418;"),
            (web(answer("400 Bad", xml.len(), xml)), Code::RemoteFailed, "400 (SlowDown: Wait.)"),
            (web(answer("302 Found", 0, "")), Code::RemoteFailed, "the server redirects"),
            (web(answer("200 OK", 2, "ab")), Code::RemoteFailed, "does not serve byte ranges"),
            (
                s3(|b| keys(b).with_endpoint(whole).with_allow_http(true)),
                Code::RemoteFailed,
                "does not serve byte ranges",
            ),
            (web("http://127.0.0.1:1".into()), Code::RemoteFailed, "cannot be reached"),
            (s3(|b| b.with_access_key_id("k")), Code::RemoteDenied, "no credentials"),
            (s3(|b| b.with_secret_access_key("s")), Code::RemoteDenied, "no credentials"),
            (s3(|b| b.with_metadata_endpoint(metadata)), Code::RemoteDenied, "no credentials"),
            (s3(|b| keys(b).with_endpoint("http://h")), Code::RemoteFailed, "AWS_ALLOW_HTTP=true"),
        ] {
            assert!(!broken(&error), "{error}");
            let ours = failure(&error, "read", &Location::parse("s3://b/a").unwrap());
            assert!(ours.code() == code && ours.message().contains(words), "{ours}: {error}");
        }
        let part = "206 Partial Content\r\nContent-Range: bytes 0-1/9";
        assert!(broken(&web(answer(part, 2, "a"))), "an answer that breaks off is asked for again");
    }
}
