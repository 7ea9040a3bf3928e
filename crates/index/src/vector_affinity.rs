//! Which clusters of documents are about the same, by the vectors of their documents: rounds of
//! nearest neighbours as in `affinity.rs`, the affinity of two clusters being the similarity of
//! their centroids. Clusters in, joins out.
//!
//! A centroid is the sum of the documents' vectors in fixed point, brought to unit length: whole
//! numbers, so that no order of summation matters. Clusters whose documents have no vector, and
//! those that no other is similar to, join nothing.
//!
//! Costs: 12 bytes a component of each cluster's centroid; a round takes the time of a search among
//! as many vectors.

use std::sync::Arc;

use longweave_common::{Ctx, DocId, NoProgress, Result};
use longweave_neighbours::{MOST_EXACT, Query, Search, VectorSet, Vectors, nearest};
use rayon::prelude::*;

use crate::affinity::{ClusterMerge, Join, Pair};
use crate::lists::Lists;

/// Joins clusters, given as lists of documents, as far as vectors connect them.
pub(crate) fn joins(ctx: &Ctx, clusters: &Lists<DocId>, vectors: &Vectors) -> Result<Vec<Join>> {
    let mut sums: Vec<Vec<i64>> = (0..clusters.len())
        .into_par_iter()
        .map(|c| {
            let mut sum = vec![0i64; vectors.dims()];
            for document in clusters.get(c) {
                sum.iter_mut()
                    .zip(vectors.row(document.index()))
                    .for_each(|(sum, &x)| *sum += i64::from(x));
            }
            sum
        })
        .collect();
    let mut merge = ClusterMerge::new(clusters);
    // The progress of a search is that of one round.
    let ctx = &ctx.with_progress(Arc::new(NoProgress));
    loop {
        ctx.cancel.check()?;
        let mut centroids = Vectors::with_capacity(vectors.dims(), sums.len());
        for sum in &sums {
            centroids.push_f64(&sum.iter().map(|&x| x as f64).collect::<Vec<_>>());
        }
        let search = if sums.len() <= MOST_EXACT {
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
        let pairs: Vec<Pair> = (0..sums.len()).filter_map(pair).collect();
        if pairs.is_empty() {
            return Ok(merge.joins);
        }
        let members = merge.join(pairs);
        sums = (0..members.len())
            .map(|c| {
                let mut own = members.get(c).iter().map(|&m| m as usize);
                let mut sum = own.next().map(|m| std::mem::take(&mut sums[m])).unwrap_or_default();
                own.for_each(|m| sum.iter_mut().zip(&sums[m]).for_each(|(sum, x)| *sum += x));
                sum
            })
            .collect();
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
