#!/bin/sh
# cargo 1.95: two checkouts of one workspace that share CARGO_TARGET_DIR take each other's crates for fresh.
# Expected: each checkout builds its own sources. Seen: a path crate is named by its place in the workspace and
# judged by modification times, so a checkout whose files are older than the other's build is not compiled at all,
# and its program is the other checkout's. Give each checkout (git worktree) a target directory of its own.
# Needs: cargo, no package. Fails if the behaviour changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for checkout in first second; do
  mkdir -p $checkout/word/src $checkout/say/src
  printf '[workspace]\nresolver = "3"\nmembers = ["word", "say"]\n' > $checkout/Cargo.toml
  printf '[package]\nname = "word"\nversion = "0.1.0"\nedition = "2024"\n' > $checkout/word/Cargo.toml
  printf 'pub const WORD: &str = "%s";\n' $checkout > $checkout/word/src/lib.rs
  printf '[package]\nname = "say"\nversion = "0.1.0"\nedition = "2024"\n[dependencies]\nword = { path = "../word" }\n' > $checkout/say/Cargo.toml
  printf 'fn main() { println!("{}", word::WORD) }\n' > $checkout/say/src/main.rs
done
# A checkout that was made before the other one was built.
find second -exec touch -d '1 hour ago' {} +
export CARGO_TARGET_DIR="$folder/target"
cargo --version
said() { (cd "$1" && cargo run --quiet --offline --package say); }
one=$(said first)
two=$(said second)
echo "the first checkout says: $one; the second says: $two"
[ "$one" = first ] && [ "$two" = first ] || { echo "changed: the second checkout was expected to say first"; exit 1; }
