#!/bin/sh
# object_store 0.14.2: an S3 read without credentials ends with Error::NotFound, the variant of a missing object,
# where the metadata service that should provide credentials answers 404 (a machine without a role, or a proxy).
# Expected: an error of credentials (Unauthenticated, or Generic with its cause). Seen: NotFound, whose path is no
# object's but /latest/meta-data/iam/security-credentials/, so a program that takes NotFound for "the object is not
# there" reports missing data, or makes it again. Look at the path before you believe the variant.
# Needs: cargo, a C compiler; object_store and tokio from crates.io. Fails if the behaviour changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "metadata"
version = "0.1.0"
edition = "2024"
[dependencies]
object_store = { version = "=0.14.2", default-features = false, features = ["aws-base", "reqwest", "ring"] }
reqwest = { version = "0.13", default-features = false, features = ["rustls-no-provider"] }
rustls = { version = "0.23", default-features = false, features = ["ring", "std", "tls12"] }
tokio = { version = "1", features = ["net", "rt"] }
TOML
cat > src/main.rs <<'RUST'
use std::io::{Read, Write};
use object_store::{ObjectStoreExt, RetryConfig, aws::AmazonS3Builder, path::Path};

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let metadata = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let once = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    let builder = AmazonS3Builder::new().with_bucket_name("bucket").with_region("eu-central-1");
    let store = builder.with_metadata_endpoint(metadata).with_imdsv1_fallback().with_retry(once).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match runtime.block_on(async { store.get(&Path::from("corpus.jsonl")).await }) {
        Err(object_store::Error::NotFound { path, .. }) => println!("NotFound, of {path}"),
        Err(other) => println!("another error: {other}"),
        Ok(_) => println!("no error"),
    }
}
RUST
cargo --version
found=$(cargo run --quiet)
echo "a read of bucket/corpus.jsonl without credentials: $found"
case $found in
  NotFound*) ;;
  *) echo "changed: NotFound was expected"; exit 1 ;;
esac
