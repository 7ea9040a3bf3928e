//! Queries of a batch in one flat buffer: rows of (document in the batch, segment, end of text), and all texts in one string.

/// Queries in the order in which they were pushed. Clearing keeps the memory for the next batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queries {
    text: String,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    document: u32,
    segment: u32,
    end: usize,
}

/// One query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryRef<'a> {
    /// Position of the document in its batch.
    pub document: u32,
    /// Segment of the document, from 0.
    pub segment: u32,
    /// The query.
    pub text: &'a str,
}

impl Queries {
    /// An empty buffer.
    pub fn new() -> Queries {
        Queries::default()
    }

    /// Appends a query of segment `segment` of the batch's document `document`.
    pub fn push(&mut self, document: u32, segment: u32, query: &str) {
        self.text.push_str(query);
        self.rows.push(Row { document, segment, end: self.text.len() });
    }

    /// Number of queries.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Forgets all queries, keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.rows.clear();
    }

    /// The query numbered `row` in the order of pushing; `None` beyond the end.
    pub fn get(&self, row: usize) -> Option<QueryRef<'_>> {
        let &Row { document, segment, end } = self.rows.get(row)?;
        let start = row.checked_sub(1).map_or(0, |before| self.rows[before].end);
        Some(QueryRef { document, segment, text: &self.text[start..end] })
    }

    /// All queries in the order of pushing.
    pub fn iter(&self) -> impl Iterator<Item = QueryRef<'_>> {
        (0..self.rows.len()).filter_map(|row| self.get(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_come_back_as_they_were_pushed_and_clearing_forgets_them() {
        let mut queries = Queries::new();
        let pushed = [(0, 0, "what is rust"), (0, 1, ""), (2, 0, "élan vital")];
        for (document, segment, text) in pushed {
            queries.push(document, segment, text);
        }
        assert!(queries.iter().map(|q| (q.document, q.segment, q.text)).eq(pushed));
        assert_eq!(queries.get(3), None);
        queries.clear();
        assert!(queries.is_empty() && queries.iter().next().is_none());
    }
}
