//! Dense numbers with a type each, so that a document's number is never taken for a keyword's.

use serde::{Deserialize, Serialize};

macro_rules! dense_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u32);

        impl $name {
            /// The value that stands for "none" in flat columns; never a real id.
            pub const NONE: $name = $name(u32::MAX);

            /// The id numbered `value`.
            pub const fn new(value: u32) -> Self {
                $name(value)
            }

            /// The id of an array position. `None` when the position is 2³²−1 or more.
            pub fn from_index(index: usize) -> Option<Self> {
                u32::try_from(index).ok().filter(|&v| v != u32::MAX).map($name)
            }

            /// The number itself.
            pub const fn get(self) -> u32 {
                self.0
            }

            /// The number as an array position.
            pub const fn index(self) -> usize {
                self.0 as usize
            }

            /// Whether this is the "none" value.
            pub const fn is_none(self) -> bool {
                self.0 == u32::MAX
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

dense_id! {
    /// A document: dense over every row of the corpus in (byte order of relative path, row), 0 …
    /// 2³²−2.
    DocId
}
dense_id! {
    /// A keyword: dense over the index's dictionary in byte order of the keyword, 0 … 2³²−2.
    KeywordId
}
dense_id! {
    /// A group of a plan (one pass of one keyword, one neighbourhood, one path): dense over the
    /// plan, 0 … 2³²−2.
    GroupId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_does_not_fit_is_refused() {
        assert_eq!(DocId::from_index(7), Some(DocId::new(7)));
        assert_eq!(DocId::from_index(u32::MAX as usize - 1).map(DocId::get), Some(u32::MAX - 1));
        assert_eq!(DocId::from_index(u32::MAX as usize), None);
    }
}
