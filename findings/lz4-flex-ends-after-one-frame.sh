#!/bin/sh
# lz4_flex 0.14.2: FrameDecoder ends with the first frame of a file of several.
# The LZ4 frame format lets frames follow each other, and `lz4` and Python's lz4 4.4.5 read them all as one text.
# Expected: read_to_end gives both frames, as flate2's MultiGzDecoder and zstd's Decoder do for theirs. Seen: it gives the
# first frame and Ok, so that the rest of the file is lost without an error; a second read_to_end gives the second frame.
# A reader of whole files must call it until the input is empty.
# Needs: cargo, python3. Fails if the behaviour changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check lz4==4.4.5
venv/bin/python -c "
import lz4.frame
two = lz4.frame.compress(b'first ') + lz4.frame.compress(b'second')
open('two.lz4', 'wb').write(two)
print('Python lz4 reads:', lz4.frame.open('two.lz4').read())"
mkdir -p one/src
printf '[package]\nname = "one"\nversion = "0.1.0"\nedition = "2024"\n[dependencies]\nlz4_flex = "=0.14.2"\n' > one/Cargo.toml
cat > one/src/main.rs <<'R'
use std::io::Read;
fn main() {
    let file = std::fs::File::open("two.lz4").unwrap();
    let mut decoder = lz4_flex::frame::FrameDecoder::new(file);
    let (mut once, mut again) = (Vec::new(), Vec::new());
    decoder.read_to_end(&mut once).unwrap();
    decoder.read_to_end(&mut again).unwrap();
    println!("{}|{}", String::from_utf8(once).unwrap(), String::from_utf8(again).unwrap());
}
R
seen=$(cargo run --quiet --manifest-path one/Cargo.toml)
echo "lz4_flex reads, and when it is asked again: $seen"
[ "$seen" = "first |second" ] || { echo "changed: the first frame alone was expected"; exit 1; }
