//! Queries of a batch in one flat buffer: all texts in one string.

use longweave_common::Offsets;

/// Queries in the order in which they were pushed, document after document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queries {
    text: String,
    /// Each query's part of the text.
    texts: Offsets,
    segments: Vec<u32>,
    /// Each document's queries.
    documents: Offsets,
}

impl Queries {
    /// Appends a query of segment `segment` of the document that is open.
    pub fn push(&mut self, segment: u32, query: &str) {
        self.text.push_str(query);
        self.texts.push(self.text.len());
        self.segments.push(segment);
    }

    /// Ends the document that is open, with or without queries, and opens the next.
    pub fn end_document(&mut self) {
        self.documents.push(self.segments.len());
    }

    /// Number of documents that were ended.
    pub fn documents(&self) -> usize {
        self.documents.len()
    }

    /// Segment and text of each query of a document; panics beyond the last, as a slice does.
    pub fn of(&self, document: usize) -> impl Iterator<Item = (u32, &str)> {
        let queries = self.documents.range(document);
        queries.map(|query| (self.segments[query], &self.text[self.texts.range(query)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_come_back_by_document_as_they_were_pushed() {
        let documents: [&[(u32, &str)]; 4] =
            [&[(0, "what is rust"), (1, "")], &[], &[(0, "élan vital"), (0, "x")], &[]];
        let mut queries = Queries::default();
        for document in documents {
            document.iter().for_each(|&(segment, text)| queries.push(segment, text));
            queries.end_document();
        }
        assert_eq!(queries.documents(), documents.len());
        for (i, document) in documents.into_iter().enumerate() {
            assert!(queries.of(i).eq(document.iter().copied()), "document {i}");
        }
    }
}
