//! Words that are common in English text.

/// The 2,048 commonest words of Simple English Wikipedia that are not in the SMART list, the
/// commonest first.
pub fn common_english() -> impl Iterator<Item = &'static str> {
    include_str!("../data/common.txt").lines().filter(|line| !line.starts_with('#'))
}
