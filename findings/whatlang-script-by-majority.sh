#!/bin/sh
# whatlang 0.18.0: the script with most letters decides, so a page in Korean with a command is in French.
# A syllable of Hangul or an ideograph carries as much as two to three Latin letters, and pages on software hold many of these.
# Expected: Korean, whose letters no other language has. Seen: French.
# A reader of mixed texts must look at the scripts first, and leave Latin letters out of what whatlang gets.
# Needs: cargo. Fails if the behaviour changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir -p one/src
printf '[package]\nname = "one"\nversion = "0.1.0"\nedition = "2024"\n[dependencies]\nwhatlang = "=0.18.0"\n' > one/Cargo.toml
cat > one/src/main.rs <<'R'
fn main() {
    let page = "컴퓨터 파일을 푼다: tar --extract --file archive.tar --directory output";
    let without: String = page.chars().filter(|c| !c.is_ascii_alphabetic()).collect();
    for text in [page, without.as_str()] {
        let lang = whatlang::detect_lang(text).map(|lang| lang.code());
        print!("{} ", lang.unwrap_or("none"));
    }
}
R
seen=$(cargo run --quiet --manifest-path one/Cargo.toml)
echo "the page, and the page without Latin letters: $seen"
case "$seen" in
"kor "*) echo "changed: another language than Korean was expected for the page"; exit 1 ;;
*" kor "*) ;;
*) echo "changed: Korean was expected without Latin letters"; exit 1 ;;
esac
