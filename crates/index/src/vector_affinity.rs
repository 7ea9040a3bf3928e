//! Which clusters of documents are about the same, by the vectors of their documents: rounds of
//! nearest neighbours as in `affinity.rs`, the affinity of two clusters being the similarity of
//! their centroids. Clusters in, joins out.
//!
//! A centroid is the sum of the documents' vectors in fixed point, brought to unit length: whole
//! numbers, so that no order of summation matters. Clusters whose documents have no vector, and
//! those that no other is similar to, join nothing.
//!
//! Costs: 2 bytes a component of each cluster's centroid; from the second round on, in which there
//! are about half as many, 8 bytes a component of its sum. A round takes the time of a search among
//! as many vectors.

use std::sync::Arc;

use longweave_common::{Ctx, DocId, NoProgress, Result};
use longweave_neighbours::{MOST_EXACT, Query, Search, VectorSet, Vectors, nearest};
use rayon::prelude::*;

use crate::affinity::{ClusterMerge, Join, Pair};
use crate::lists::Lists;

/// Joins clusters, given as lists of documents, as far as vectors connect them.
pub(crate) fn joins(ctx: &Ctx, clusters: &Lists<DocId>, vectors: &Vectors) -> Result<Vec<Join>> {
    let sum_of = |documents: &mut dyn Iterator<Item = &DocId>| -> Vec<i64> {
        let mut sum = vec![0i64; vectors.dims()];
        for document in documents {
            let row = vectors.row(document.index());
            sum.iter_mut().zip(row).for_each(|(sum, &x)| *sum += i64::from(x));
        }
        sum
    };
    // Of the clusters that there are after the first round.
    let mut sums: Option<Vec<Vec<i64>>> = None;
    let mut merge = ClusterMerge::new(clusters);
    // The progress of a search is that of one round.
    let ctx = &ctx.with_progress(Arc::new(NoProgress));
    loop {
        ctx.cancel.check()?;
        let number = sums.as_ref().map_or(clusters.len(), Vec::len);
        let mut centroids = Vectors::with_capacity(vectors.dims(), number);
        let mut push = |sum: &[i64]| {
            centroids.push_f64(&sum.iter().map(|&x| x as f64).collect::<Vec<_>>());
        };
        match &sums {
            None => (0..number).for_each(|c| push(&sum_of(&mut clusters.get(c).iter()))),
            Some(sums) => sums.iter().for_each(|sum| push(sum)),
        }
        let search = if number <= MOST_EXACT {
            Search::Exact
        } else {
            Search::Inverted { lists: None, probes: None }
        };
        let vectors = &VectorSet::held(ctx, centroids)?;
        let lists = nearest(ctx, &Query { vectors, owners: None, k: 1, search, seed: 0 })?;
        let pair = |cluster: usize| {
            let (neighbour, similarity) = lists.get(cluster).next()?;
            Some(Pair { cluster: cluster as u32, neighbour, affinity: similarity as u64 })
        };
        let pairs: Vec<Pair> = (0..number).filter_map(pair).collect();
        if pairs.is_empty() {
            return Ok(merge.joins);
        }
        let members = merge.join(pairs);
        let before = sums.take();
        let merged = |c: usize| {
            let own = members.get(c).iter().map(|&m| m as usize);
            let Some(before) = &before else {
                return sum_of(&mut own.flat_map(|m| clusters.get(m)));
            };
            own.map(|m| &before[m]).fold(vec![0; vectors.dims()], |mut sum, of| {
                sum.iter_mut().zip(of).for_each(|(sum, x)| *sum += x);
                sum
            })
        };
        sums = Some((0..members.len()).into_par_iter().map(merged).collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_join_by_nearness_and_those_without_a_vector_stay_alone() {
        let ctx = Ctx::new(2, 1 << 20).unwrap();
        // Two directions, a little apart within each; one cluster without a vector, and one
        // opposite to all.
        let rows: [[f32; 3]; 6] = [
            [1.0, 0.05, 0.0],
            [1.0, 0.0, 0.05],
            [0.05, 1.0, 0.0],
            [0.0, 1.0, 0.0],
            [0.0; 3],
            [-1.0, -1.0, -1.0],
        ];
        let mut vectors = Vectors::with_capacity(3, 6);
        rows.iter().for_each(|row| vectors.push(row));
        let mut clusters = Lists::new();
        for document in 0..6 {
            clusters.push(DocId::new(document));
            clusters.end();
        }
        let joins = joins(&ctx, &clusters, &vectors).unwrap();
        let pairs: Vec<(u32, u32)> = joins.iter().map(|j| (j.larger, j.smaller)).collect();
        // 6 and 7 are the joins of each direction, which then join each other.
        assert_eq!(pairs, [(2, 3), (0, 1), (7, 6)]);
    }
}
