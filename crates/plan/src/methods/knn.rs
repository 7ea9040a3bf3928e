//! `knn`: a document and its nearest neighbours, again and again; documents may repeat across sequences.
//!
//! Costs 1 byte a document and 4 for its place, 4 more where `maxUses` is given; the lists are the input's.

use longweave_common::{DocId, KeywordId, Result};

use super::{DocumentUses, Group, Grouping, Run, Take, Work};
use crate::Neighbours;

pub(crate) struct Knn<'a> {
    work: Work<'a>,
    neighbours: &'a Neighbours,
    members: Vec<bool>,
    pool: Vec<DocId>,
    uses: DocumentUses,
}

impl<'a> Knn<'a> {
    pub(crate) fn new(work: Work<'a>, pool: Vec<DocId>) -> Result<Knn<'a>> {
        let neighbours =
            work.input.neighbours.ok_or_else(|| Work::missing("lists of neighbours"))?;
        Ok(Knn {
            work,
            neighbours,
            members: work.members(&pool),
            pool,
            uses: DocumentUses::new(&work),
        })
    }

    fn around(&mut self, anchor: DocId) -> Group {
        let capacity = self.work.shape.capacity();
        let mut runs = vec![self.work.whole(anchor)];
        let mut len = runs[0].len;
        self.uses.add(anchor);
        for (neighbour, _) in self.neighbours.of(anchor.get()) {
            if len >= capacity {
                break;
            }
            let doc = DocId::new(neighbour);
            if self.members[doc.index()] && self.uses.left(doc) {
                let run =
                    Run { len: self.work.len(doc).min(capacity - len), ..self.work.whole(doc) };
                len += run.len;
                runs.push(run);
                self.uses.add(doc);
            }
        }
        Group { keyword: KeywordId::NONE, anchor, runs }
    }
}

impl Grouping for Knn<'_> {
    fn begin(&mut self, _epoch: u32) -> Result<u32> {
        Ok(1)
    }

    fn round(&mut self, epoch: u32, round: u32, take: Take<'_>) -> Result<()> {
        let (work, pool) = (self.work, std::mem::take(&mut self.pool));
        let done = work.around_anchors(&pool, (epoch, round), take, |anchor| {
            self.uses.left(anchor).then(|| self.around(anchor))
        });
        self.pool = pool;
        done
    }

    fn repeats(&self) -> bool {
        true
    }
}
