//! `knn`: a document and its nearest neighbours, again and again; documents may repeat across
//! sequences.
//!
//! Costs 1 byte a document and 4 for its place, 4 more where `maxUses` is given, and the lists of
//! some anchors.

use longweave_common::{DocId, KeywordId, Result};

use super::context::{Anchor, DocumentUses, Group, Grouping, PlanContext, Run, Take};

pub(crate) struct Knn<'a> {
    context: PlanContext<'a>,
    members: Vec<bool>,
    pool: Vec<DocId>,
    uses: DocumentUses,
}

impl<'a> Knn<'a> {
    pub(crate) fn new(context: PlanContext<'a>) -> Knn<'a> {
        let uses = DocumentUses::new(&context);
        Knn { context, members: Vec::new(), pool: Vec::new(), uses }
    }

    fn around(&mut self, anchor: &Anchor<'_>) -> Group {
        let capacity = self.context.shape.capacity();
        let mut runs = vec![self.context.whole(anchor.doc)];
        let mut len = runs[0].len;
        self.uses.add(anchor.doc);
        for neighbour in anchor.neighbours(0) {
            if len >= capacity {
                break;
            }
            let doc = DocId::new(neighbour);
            if self.members[doc.index()] && self.uses.left(doc) {
                let run = Run {
                    len: self.context.len(doc).min(capacity - len),
                    ..self.context.whole(doc)
                };
                len += run.len;
                runs.push(run);
                self.uses.add(doc);
            }
        }
        Group { keyword: KeywordId::NONE, anchor: anchor.doc, runs }
    }
}

impl Grouping for Knn<'_> {
    fn begin(&mut self, _epoch: u32, pool: &[DocId]) -> Result<u32> {
        (self.members, self.pool) = (self.context.members(pool), pool.to_vec());
        Ok(1)
    }

    fn round(&mut self, epoch: u32, round: u32, take: Take<'_>) -> Result<()> {
        let (context, pool) = (self.context, std::mem::take(&mut self.pool));
        let rows = |doc: DocId| doc.get()..doc.get() + 1;
        let done = context.around_anchors(&pool, (epoch, round), take, rows, |anchor| {
            self.uses.left(anchor.doc).then(|| self.around(&anchor))
        });
        self.pool = pool;
        done
    }

    fn repeats(&self) -> bool {
        true
    }
}
