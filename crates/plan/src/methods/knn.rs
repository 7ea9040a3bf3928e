//! `knn`: a document and its nearest neighbours, again and again; documents may repeat across
//! sequences.
//!
//! Costs 1 byte a document and 4 for its place, 4 more where `maxUses` is given; the lists are the
//! input's.

use longweave_common::{DocId, KeywordId, Result};

use super::context::{DocumentUses, Group, Grouping, PlanContext, Run, Take};
use crate::Neighbours;

pub(crate) struct Knn<'a> {
    context: PlanContext<'a>,
    neighbours: &'a Neighbours,
    members: Vec<bool>,
    pool: Vec<DocId>,
    uses: DocumentUses,
}

impl<'a> Knn<'a> {
    pub(crate) fn new(context: PlanContext<'a>) -> Result<Knn<'a>> {
        let neighbours =
            context.input.neighbours.ok_or_else(|| PlanContext::missing("lists of neighbours"))?;
        Ok(Knn {
            context,
            neighbours,
            members: Vec::new(),
            pool: Vec::new(),
            uses: DocumentUses::new(&context),
        })
    }

    fn around(&mut self, anchor: DocId) -> Group {
        let capacity = self.context.shape.capacity();
        let mut runs = vec![self.context.whole(anchor)];
        let mut len = runs[0].len;
        self.uses.add(anchor);
        for (neighbour, _) in self.neighbours.of(anchor.get()) {
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
        Group { keyword: KeywordId::NONE, anchor, runs }
    }
}

impl Grouping for Knn<'_> {
    fn begin(&mut self, _epoch: u32, pool: &[DocId]) -> Result<u32> {
        (self.members, self.pool) = (self.context.members(pool), pool.to_vec());
        Ok(1)
    }

    fn round(&mut self, epoch: u32, round: u32, take: Take<'_>) -> Result<()> {
        let (context, pool) = (self.context, std::mem::take(&mut self.pool));
        let done = context.around_anchors(&pool, (epoch, round), take, |anchor| {
            self.uses.left(anchor).then(|| self.around(anchor))
        });
        self.pool = pool;
        done
    }

    fn repeats(&self) -> bool {
        true
    }
}
