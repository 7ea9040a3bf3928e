use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use longweave_common::{Code, Ctx, DocId};
use longweave_plan::{
    Dedup, Duplicate, Fill, Forest, IclmVariant, Incomplete, InterleaveOptions, Keep, Likeness,
    Method, Overflow, Part, PartOrder, Plan, PlanOptions, Policies, QuestOptions, Rule, SplitBy,
    TopicOrder, Within, plan,
};
use proptest::prelude::*;

use crate::world::{World, ctx, lengths, options, worlds};

/// The plan; `None` for a pool that is too small.
fn planned(ctx: &Ctx, world: &World, options: &PlanOptions, part: Part) -> Option<Plan> {
    match plan(ctx, &world.input(&options.method), options, part) {
        Ok(plan) => Some(plan),
        Err(e) if matches!(e.code(), Code::PlanEmpty | Code::NoKeywords) => None,
        Err(e) if e.to_string().contains("the pool has no document of it") => None,
        Err(e) => panic!("{e}"),
    }
}

fn may_pad(options: &PlanOptions, rule: Rule) -> bool {
    options.policies.overflow == Overflow::Whole || matches!(rule, Rule::Pad | Rule::Last)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn sequences_have_exactly_the_length_and_only_those_that_may_are_padded(world in worlds(), options in options()) {
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        for s in plan.sequences.iter() {
            let tokens: u32 = s.pieces.iter().map(|p| p.len).sum();
            prop_assert_eq!(s.n_tokens, tokens + u32::from(options.policies.sequence_bos));
            prop_assert!(s.n_tokens == options.policies.length || (s.n_tokens < options.policies.length && may_pad(&options, s.rule)), "{:?}", s);
            prop_assert!(s.pieces.iter().all(|p| p.len > 0 && u64::from(p.start + p.len) <= plan.shape.virtual_len(world.lens[p.doc.index()])));
        }
    }

    #[test]
    fn no_document_stands_twice_in_a_sequence_and_where_it_is_cut_no_token(world in worlds(), options in options()) {
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        for s in plan.sequences.iter() {
            if options.method.chunk_chars().is_some() || matches!(options.method, Method::Interleave(_)) {
                let mut ranges: Vec<_> = s.pieces.iter().map(|p| (p.doc, p.start, p.start + p.len)).collect();
                ranges.sort_unstable();
                prop_assert!(ranges.windows(2).all(|w| w[0].0 != w[1].0 || w[0].2 <= w[1].1), "{:?}", s);
            } else {
                let documents: HashSet<_> = s.pieces.iter().map(|p| p.doc).collect();
                prop_assert_eq!(documents.len(), s.pieces.len(), "{:?}", s);
            }
        }
    }

    #[test]
    fn within_a_pass_no_token_of_a_document_is_used_twice_and_all_of_a_kept_one_is_in_order(world in worlds(), options in options()) {
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        let mut pieces: HashMap<_, Vec<_>> = HashMap::new();
        for p in plan.sequences.pieces() {
            pieces.entry((p.group, p.doc)).or_default().push((p.start, p.len));
        }
        for list in pieces.values_mut() {
            list.sort_unstable();
            prop_assert!(list.windows(2).all(|w| w[0].0 + w[0].1 <= w[1].0), "{:?}", list);
        }
    }

    #[test]
    fn no_token_is_lost_unreported(world in worlds(), options in options()) {
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        let t = &plan.stats.tokens;
        prop_assert_eq!(t.used, t.in_sequences + t.dropped.total());
        prop_assert_eq!(t.in_sequences + t.separators + t.begins + t.part_markers + t.padding, plan.stats.sequences * u64::from(options.policies.length));
        prop_assert_eq!(t.by_context.iter().sum::<u64>(), t.in_sequences + t.separators + t.begins + t.part_markers);
        let e = &plan.stats.excluded;
        let outside = e.empty + e.too_short + e.too_long + e.other_part + e.without_keyword
            + e.without_weight + e.duplicate + e.near_duplicate + e.other_length;
        prop_assert_eq!(outside + plan.stats.pool_documents, plan.stats.documents);
        prop_assert_eq!(plan.stats.documents_by_uses.iter().sum::<u64>(), plan.stats.pool_documents);
    }

    #[test]
    fn a_long_list_is_used_once_in_an_epoch_and_a_short_one_about_oversample_times(world in worlds(), mut options in options()) {
        options.policies.max_uses = None;
        options.policies.tokens = None;
        let Method::Quest(quest) = &options.method else { return Ok(()) };
        let min_keyword_documents = quest.min_keyword_documents;
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        let mut passes: HashMap<_, u64> = HashMap::new();
        for keyword in plan.groups.keywords.iter().filter(|k| !k.is_none()) {
            *passes.entry(*keyword).or_default() += 1;
        }
        let o = plan.stats.oversample.unwrap_or(1.0);
        let mut several = 0;
        for (keyword, &n) in &passes {
            let documents = world.keyword_of.iter().filter(|k| *k == keyword).count();
            several += u64::from(n > 1);
            prop_assert!(n == 1 || n == o.floor() as u64 || n == o.floor() as u64 + 1, "{} passes for oversample {}", n, o);
            prop_assert!(n == 1 || documents >= min_keyword_documents as usize, "a singleton was oversampled");
        }
        prop_assert!(several <= plan.stats.keywords.short);
        if o >= 2.0 {
            prop_assert_eq!(several, plan.stats.keywords.short);
        }
        // Lists of an epoch's pool: with weights, a list may have no document in it.
        prop_assert_eq!(passes.len() as u64, plan.stats.keywords.short + plan.stats.keywords.long + plan.stats.keywords.singletons);
    }

    #[test]
    fn a_document_is_used_at_most_max_uses_times(world in worlds(), mut options in options(), most in 1u32..3) {
        options.policies.max_uses = Some(most);
        options.policies.tokens = Some(5000);
        if options.method.chunk_chars().is_some() {
            return Ok(()); // it bounds how often a document is an anchor, see below
        }
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        prop_assert!(plan.stats.documents_by_uses.len() <= most as usize + 1, "{:?}", plan.stats.documents_by_uses);
    }

    #[test]
    fn what_meets_at_a_node_of_the_hierarchy_is_below_it(world in worlds(), mut options in options(), split_ratio in 0.0f64..1.0) {
        let quest = QuestOptions { pool: options.method.pool(), split_ratio, split_by: SplitBy::Keywords, oversample: 1.5, short_share: None, min_keyword_documents: 1 };
        options.method = Method::Quest(quest);
        options.policies.fill = Fill::Related;
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        let forest = &world.forest;
        let leaf = |doc: DocId| match forest.node_of_document.get(doc.index()) {
            Some(&node) => node,
            None => forest.node_of_keyword[world.keyword_of[doc.index()].index()],
        };
        for s in plan.sequences.iter().filter(|s| s.rule == Rule::Related) {
            let meets = s.node.unwrap();
            for piece in s.pieces {
                let mut node = leaf(piece.doc);
                while node != meets {
                    node = forest.parent[node as usize];
                    prop_assert!(node != Forest::NONE, "{:?}", s);
                }
            }
        }
    }

    #[test]
    fn interleaved_documents_are_whole_and_their_parts_in_the_asked_order(world in worlds(), mut options in options(), documents in prop::option::of(1u32..6), parts in 1u32..6, part_tokens in prop::option::of(1u32..20), (part_end, part_begin) in (0u32..3, 0u32..3), in_turns: bool) {
        let world = World { weights: None, ..world };
        options.pool.lengths = Vec::new();
        let order = if in_turns { PartOrder::Turns } else { PartOrder::ShuffleInOrder };
        options.method = Method::Interleave(InterleaveOptions { pool: options.method.pool(), documents, parts, part_tokens, part_end: String::new(), part_begin: String::new(), order });
        options.policies = Policies { length: 1 << 20, lead: 1, sequence_bos: false, part_end, part_begin, overflow: Overflow::Split, incomplete: Incomplete::Pad, fill: Fill::Next, tokens: None, max_uses: None, ..options.policies };
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        let mut seen: HashMap<_, Vec<_>> = HashMap::new();
        let mut turns: HashMap<_, u32> = HashMap::new();
        let mut turn = HashMap::new();
        for p in plan.sequences.pieces() {
            let own = seen.entry(p.doc).or_default();
            // In order, and without a gap.
            prop_assert_eq!(own.last().copied().unwrap_or(0), p.start);
            own.push(p.start + p.len);
            let number = turns.entry(p.doc).or_default();
            if in_turns {
                let last = turn.insert(p.group, *number).unwrap_or(0);
                prop_assert!(part_tokens.is_none() || last <= *number);
            }
            *number += 1;
        }
        prop_assert_eq!(seen.len() as u64, plan.stats.pool_documents);
        for (doc, ends) in seen {
            let len = world.lens[doc.index()];
            let count = part_tokens.map_or(parts.min(len), |tokens| len.div_ceil(tokens));
            prop_assert_eq!(ends.len() as u32, count);
            let markers = (count - 1) * (part_end + part_begin);
            let all = 1 + len + markers + options.policies.separator;
            prop_assert_eq!(*ends.last().unwrap(), all);
            prop_assert_eq!(plan.shape.virtual_len(len), u64::from(all));
        }
        let t = &plan.stats.tokens;
        let pieces: u64 = plan.sequences.pieces().map(|p| u64::from(p.len)).sum();
        prop_assert_eq!(t.in_sequences + t.begins + t.separators + t.part_markers, pieces);
        if let Some(documents) = documents {
            prop_assert_eq!(plan.groups.len() as u64, plan.stats.pool_documents.div_ceil(documents.into()));
        }
    }

    #[test]
    fn groups_that_fill_a_sequence_lose_no_token_and_have_one_tail(world in worlds(), mut options in options(), parts in 1u32..6) {
        let world = World { weights: None, ..world };
        options.pool.lengths = Vec::new();
        options.method = Method::Interleave(InterleaveOptions { pool: options.method.pool(), documents: None, parts, part_tokens: None, part_end: String::new(), part_begin: String::new(), order: PartOrder::Shuffle });
        options.policies.tokens = None;
        options.policies.fill = Fill::Drop;
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        prop_assert!(plan.sequences.iter().all(|s| s.rule == Rule::Group));
        let t = &plan.stats.tokens;
        prop_assert_eq!((t.used, t.dropped.truncate), (t.pool, 0));
        prop_assert!(t.dropped.fill < u64::from(plan.shape.capacity()));
    }

    #[test]
    fn a_budget_of_tokens_gives_that_many_sequences_or_says_how_many_are_missing(world in worlds(), mut options in options(), tokens in 1u64..3000) {
        options.policies.tokens = Some(tokens);
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        let wanted = tokens.div_ceil(u64::from(options.policies.length));
        prop_assert_eq!(plan.stats.sequences + plan.stats.sequences_missing, wanted);
        // An epoch of neighbourhoods, of sampled documents or of paths that drop near-duplicates
        // can happen to give no sequence, and ends it.
        let release = matches!(&options.method, Method::Iclm(iclm) if iclm.variant == IclmVariant::Release);
        let by_chance = release || matches!(options.method, Method::Knn(_) | Method::Nextlong(_) | Method::Long(_) | Method::Topics(_));
        let mixed = world.weights.is_some(); // an epoch of few documents can add nothing
        prop_assert!(plan.stats.sequences_missing == 0 || options.policies.max_uses.is_some() || by_chance || mixed);
    }

    #[test]
    fn the_plan_is_the_same_for_any_number_of_threads(world in worlds(), options in options()) {
        let one = planned(&ctx(1), &world, &options, Part::Main);
        for threads in [2, 7] {
            prop_assert_eq!(&planned(&ctx(threads), &world, &options, Part::Main), &one);
        }
    }

    #[test]
    fn what_is_held_out_and_what_is_not_are_disjoint_and_all(world in worlds(), mut options in options(), share in 0.1f64..0.9) {
        let world = World { weights: None, ..world };
        options.pool.holdout = share;
        options.policies.incomplete = Incomplete::Pad;
        options.policies.fill = Fill::Next;
        options.policies.overflow = Overflow::Split;
        options.policies.tokens = None;
        options.pool.dedup = Dedup::None;
        if !matches!(options.method, Method::Quest(_) | Method::Standard(_)) {
            return Ok(()); // the others need not use every document
        }
        let documents = |part| planned(&ctx(1), &world, &options, part).map(|p| p.sequences.pieces().map(|p| p.doc).collect::<HashSet<_>>());
        let (main, held) = (documents(Part::Main).unwrap_or_default(), documents(Part::HeldOut).unwrap_or_default());
        prop_assert!(main.is_disjoint(&held));
        options.pool.holdout = 0.0;
        let all = planned(&ctx(1), &world, &options, Part::Main).map(|p| p.sequences.pieces().map(|p| p.doc).collect::<HashSet<_>>());
        prop_assert_eq!(main.union(&held).copied().collect::<HashSet<_>>(), all.unwrap_or_default());
    }

    #[test]
    fn of_each_text_and_cluster_one_document_stays_in_one_of_the_parts(world in worlds(), mut options in options(), share in 0.0f64..0.9, keep in prop::sample::select(vec![Keep::First, Keep::Longest])) {
        let world = World { weights: None, ..world };
        options.pool.lengths = Vec::new();
        options.method = standard().method;
        options.pool.holdout = share;
        options.pool.dedup = Dedup::Near(keep);
        options.policies = Policies { incomplete: Incomplete::Pad, ..standard().policies };
        let plans = [Part::Main, Part::HeldOut].map(|part| planned(&ctx(1), &world, &options, part));
        let plans: Vec<_> = plans.into_iter().flatten().collect();
        let kept: Vec<_> = plans.iter().flat_map(|plan| plan.sequences.pieces()).map(|p| p.doc).collect();
        let kept: HashSet<_> = kept.into_iter().collect();
        let clusters: HashSet<_> = kept.iter().map(|d| world.near[d.index()]).collect();
        prop_assert_eq!(kept.len(), clusters.len());
        let Some(plan) = plans.first() else { return Ok(()) };
        for other in &plans {
            prop_assert_eq!(&other.duplicates, &plan.duplicates);
        }
        let counted: u64 = plans.iter().map(|p| p.stats.excluded.duplicate + p.stats.excluded.near_duplicate).sum();
        prop_assert!(plans.len() < 2 || counted == plan.duplicates.len() as u64);
        for &Duplicate { doc, kept: other, likeness } in &plan.duplicates {
            prop_assert!(kept.contains(&other) || plans.len() < 2);
            prop_assert!(!kept.contains(&doc));
            prop_assert_eq!(world.near[doc.index()], world.near[other.index()]);
            prop_assert_eq!(likeness == Likeness::Exact, world.texts[doc.index()] == world.texts[other.index()]);
            // Two documents of one text may differ in length here; the first of them counts.
            let earlier = (0..doc.index()).any(|d| world.texts[d] == world.texts[doc.index()] && world.lens[d] >= options.pool.min_tokens.max(1));
            if likeness == Likeness::Near && !earlier {
                match keep {
                    Keep::First => prop_assert!(other < doc),
                    Keep::Longest => prop_assert!((Reverse(world.lens[other.index()]), other) < (Reverse(world.lens[doc.index()]), doc)),
                }
            }
        }
    }

    #[test]
    fn a_document_added_to_one_keyword_leaves_the_order_inside_others_alone(world in worlds(), mut options in options(), len in 1u32..30) {
        let world = World { weights: None, ..world };
        options.pool.dedup = Dedup::None;
        options.policies.overflow = Overflow::Split;
        options.policies.fill = Fill::Pad;
        options.policies.tokens = None;
        let Method::Quest(quest) = &mut options.method else { return Ok(()) };
        quest.split_ratio = 0.0;
        let more = world.with(len, 0);
        let of = |world: &World| planned(&ctx(1), world, &options, Part::Main).map(|plan| {
            let mut groups: HashMap<_, Vec<_>> = HashMap::new();
            let mut sequences: Vec<_> = plan.sequences.iter().collect();
            sequences.sort_by_key(|s| (s.pieces[0].group, s.rule != Rule::Group));
            for p in sequences.iter().flat_map(|s| s.pieces) {
                let keyword = plan.groups.keywords[p.group.index()];
                groups.entry(keyword).or_default().push((p.doc, p.start, p.len));
            }
            groups.into_iter().map(|(k, mut v)| { v.sort_unstable(); (k, v) }).collect::<HashMap<_, _>>()
        });
        if let (Some(before), Some(after)) = (of(&world), of(&more)) {
            for (keyword, pieces) in before.iter().filter(|(k, _)| !k.is_none() && k.get() != 0) {
                prop_assert_eq!(after.get(keyword), Some(pieces));
            }
        }
    }
}

/// The pieces that each group brought, in the order of the plan, by number of the group; sequences
/// are put in order of groups' pieces first.
fn by_group(plan: &Plan) -> HashMap<u32, Vec<longweave_plan::Piece>> {
    let mut groups: HashMap<u32, Vec<longweave_plan::Piece>> = HashMap::new();
    for &piece in plan.sequences.pieces() {
        groups.entry(piece.group.get()).or_default().push(piece);
    }
    groups
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn knn_puts_an_anchor_with_documents_of_its_list_only(world in worlds(), mut options in options()) {
        options.method = Method::Knn(longweave_plan::KnnOptions { pool: options.method.pool(), k: 5 });
        options.policies.fill = if options.policies.fill == Fill::Related { Fill::Next } else { options.policies.fill };
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        let capacity = plan.shape.capacity();
        for (group, pieces) in by_group(&plan) {
            let anchor = plan.groups.anchors[group as usize];
            let list: Vec<u32> = world.neighbours.of(anchor.get()).map(|n| n.0).collect();
            prop_assert!(!list.contains(&anchor.get()));
            prop_assert!(pieces.iter().all(|p| p.doc == anchor || list.contains(&p.doc.get())), "{:?} of {:?}: {:?}", pieces, anchor, list);
            let len: u32 = pieces.iter().map(|p| p.len).sum();
            prop_assert!(len <= capacity || pieces.iter().all(|p| p.doc == anchor));
        }
        let epochs = plan.groups.epochs.iter().max().map_or(0, |e| e + 1);
        for epoch in 0..epochs {
            let anchors: Vec<_> = (0..plan.groups.len()).filter(|&g| plan.groups.epochs[g] == epoch).map(|g| plan.groups.anchors[g]).collect();
            prop_assert_eq!(anchors.iter().collect::<HashSet<_>>().len(), anchors.len(), "an anchor comes twice");
        }
    }

    #[test]
    fn iclm_uses_each_document_once_but_for_those_it_counts_as_near_duplicates(world in worlds(), mut options in options(), release: bool) {
        let world = World { weights: None, ..world };
        let variant = if release { longweave_plan::IclmVariant::Release } else { longweave_plan::IclmVariant::Paper };
        options.method = Method::Iclm(longweave_plan::IclmOptions { pool: options.method.pool(), k: 5, variant });
        let policies = &mut options.policies;
        (policies.fill, policies.incomplete, policies.overflow) = (Fill::Next, Incomplete::Pad, Overflow::Split);
        (policies.tokens, policies.max_uses) = (None, None);
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        let uses = &plan.stats.documents_by_uses;
        prop_assert_eq!((uses.first().copied().unwrap_or(0), uses.len()), (plan.stats.near_duplicates, 2));
        prop_assert!(release || plan.stats.near_duplicates == 0);
        prop_assert!(plan.stats.tokens.dropped.total() == 0);
    }

    #[test]
    fn long_filter_takes_nothing_shorter(world in worlds(), mut options in options(), threshold in 1u32..40) {
        let pool = options.method.pool();
        options.method =
            Method::Long(longweave_plan::LongOptions { pool, threshold, mode: longweave_plan::LongMode::Filter, long_share: 0.7 });
        options.policies.fill = if options.policies.fill == Fill::Related { Fill::Next } else { options.policies.fill };
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        prop_assert!(plan.sequences.pieces().all(|p| world.lens[p.doc.index()] >= threshold));
    }

    #[test]
    fn nextlong_reuses_no_neighbour_within_its_bound_and_keeps_the_anchor_whole_and_in_order(
        world in worlds(), mut options in options(), run: bool, most in prop::option::of(1u32..3)
    ) {
        let reuse = if run { longweave_plan::Reuse::Run } else { longweave_plan::Reuse::Sequence };
        options.method = Method::Nextlong(longweave_plan::NextlongOptions { pool: options.method.pool(), k: 6, chunk_chars: 7, reuse });
        options.policies.fill = Fill::Pad;
        options.policies.overflow = Overflow::Split;
        options.policies.max_uses = most;
        options.policies.tokens = None;
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        let mut seen = HashSet::new();
        for (group, pieces) in by_group(&plan) {
            let anchor = plan.groups.anchors[group as usize];
            let (own, others): (Vec<longweave_plan::Piece>, Vec<longweave_plan::Piece>) = pieces.iter().partition(|p| p.doc == anchor);
            let long = plan.shape.virtual_len(world.lens[anchor.index()]) >= u64::from(plan.shape.capacity());
            prop_assert!(!long || others.is_empty());
            let end = own.iter().try_fold(0, |at, p| (p.start == at || long).then_some(p.start + p.len));
            prop_assert!(long || end.map(u64::from) == Some(plan.shape.virtual_len(world.lens[anchor.index()])), "{:?}", own);
            for p in others {
                let scope = if run { (plan.groups.epochs[group as usize], u32::MAX) } else { (0, group) };
                // A neighbour that crosses the end of a sequence comes as two pieces; its first one
                // starts at a chunk.
                if (p.start - plan.shape.lead) % 7 == 0 {
                    prop_assert!(seen.insert((scope, p.doc, p.start)), "{:?} is reused", p);
                }
                prop_assert!(p.start >= plan.shape.lead && p.start + p.len <= plan.shape.lead + world.lens[p.doc.index()], "a neighbour brings a separator");
            }
        }
        let anchors = plan.groups.anchors.iter().fold(HashMap::new(), |mut n: HashMap<_, u32>, a| { *n.entry(a).or_default() += 1; n });
        prop_assert!(most.is_none_or(|most| anchors.values().all(|&n| n <= most)));
    }
}

/// Puts `topics` in place of another method, over all documents; every token of a group is written.
fn topics(options: &mut PlanOptions, order: TopicOrder, sequences: u32, within: Within) {
    let reuse = longweave_plan::Reuse::Sequence;
    let (pool, documents, k, chunk_chars) = (longweave_plan::Pool::All, 99, 6, 7);
    options.method = Method::Topics(longweave_plan::TopicsOptions {
        pool,
        documents,
        order,
        sequences,
        within,
        k,
        chunk_chars,
        reuse,
    });
    options.pool = standard().pool;
    options.policies.overflow = Overflow::Split;
    options.policies.fill = Fill::Pad;
    (options.policies.tokens, options.policies.max_uses) = (None, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_topic_takes_its_best_documents_as_far_as_its_sequences_reach_and_counts_the_rest(
        world in worlds(), mut options in options(), sequences in 1u32..4, order in 0..3usize
    ) {
        let world = World { weights: None, ..world };
        options.pool.lengths = Vec::new();
        let order = [TopicOrder::Score, TopicOrder::Reversed, TopicOrder::Shuffle][order];
        topics(&mut options, order, sequences, Within::Documents);
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        let most = u64::from(plan.shape.capacity()) * u64::from(sequences);
        let listed = |topic| world.topics.of(topic).iter().copied().filter(|doc| world.lens[doc.index()] > 0);
        let mut beyond = 0;
        for (group, pieces) in by_group(&plan) {
            let own: Vec<_> = listed(plan.groups.keywords[group as usize]).collect();
            let (mut expected, mut sum) = (HashSet::new(), 0);
            for &doc in own.iter().take_while(|doc| { let fits = sum < most; sum += plan.shape.virtual_len(world.lens[doc.index()]); fits }) {
                expected.insert(doc);
            }
            prop_assert_eq!(pieces.iter().map(|p| p.doc).collect::<HashSet<_>>(), expected);
            let all: u64 = own.iter().map(|doc| plan.shape.virtual_len(world.lens[doc.index()])).sum();
            prop_assert_eq!(pieces.iter().map(|p| u64::from(p.len)).sum::<u64>(), all.min(most));
            let tokens = |p: &longweave_plan::Piece| plan.shape.tokens(*p, world.lens[p.doc.index()]).own.len() as u64;
            beyond += own.iter().map(|doc| u64::from(world.lens[doc.index()])).sum::<u64>() - pieces.iter().map(tokens).sum::<u64>();
            let sequences: Vec<_> = plan.sequences.iter().filter(|s| s.pieces[0].group.get() == group).collect();
            prop_assert!(sequences.len() as u64 == all.min(most).div_ceil(u64::from(plan.shape.capacity())));
            for s in sequences.iter().filter(|_| order == TopicOrder::Score) {
                prop_assert!(s.pieces.iter().map(|p| own.iter().position(|doc| *doc == p.doc)).is_sorted());
            }
        }
        let counts = &plan.stats.topics;
        prop_assert_eq!((counts.topics, counts.beyond_sequences), (7, beyond));
        let of_any: HashSet<_> = world.topics.topics().flat_map(listed).collect();
        prop_assert_eq!(counts.documents_in_none + of_any.len() as u64, plan.stats.pool_documents);
        prop_assert_eq!(counts.with_documents, world.topics.topics().filter(|&topic| listed(topic).next().is_some()).count() as u64);
    }

    #[test]
    fn nextlong_within_topics_has_an_anchor_once_an_epoch_and_neighbours_of_the_topic_first(
        world in worlds(), mut options in options(), sequences in 1u32..4
    ) {
        topics(&mut options, TopicOrder::Score, sequences, Within::Nextlong);
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        let (mut anchors, mut of_topic) = (HashSet::new(), HashMap::<_, u32>::new());
        for (group, pieces) in by_group(&plan) {
            let group = plan.groups.get(longweave_common::GroupId::new(group));
            let own = world.topics.of(group.keyword);
            prop_assert!(anchors.insert(group.anchor), "an anchor comes twice");
            prop_assert!(own.contains(&group.anchor));
            *of_topic.entry(group.keyword).or_default() += 1;
            let is_first = |p: &longweave_plan::Piece| own.contains(&p.doc);
            prop_assert!(pieces.windows(2).all(|p| p[1].doc == group.anchor || is_first(&p[0]) || !is_first(&p[1])), "{:?}", pieces);
        }
        prop_assert!(of_topic.values().all(|&groups| groups <= sequences));
    }
}

#[test]
fn upsampling_raises_long_documents_within_each_source_and_leaves_the_sources_shares_alone() {
    // 6,000 documents of two sources and one of short documents alone; a tenth of the others is
    // long.
    let documents: Vec<(u32, u32, u8)> = (0..6000u32)
        .map(|i| (if i % 10 == 0 && i % 3 > 0 { 300 } else { 10 + i % 40 }, 0, (i % 3) as u8))
        .collect();
    let world = World::without_lists(&documents, 1);
    let mut options = standard();
    let (pool, mode) = (longweave_plan::Pool::All, longweave_plan::LongMode::Upsample);
    options.method =
        Method::Long(longweave_plan::LongOptions { pool, threshold: 200, mode, long_share: 0.75 });
    options.policies.length = 512;
    let plan = plan(&ctx(1), &world.input(&options.method), &options, Part::Main).unwrap();
    let long = |p: &longweave_plan::Piece| world.lens[p.doc.index()] >= 200;
    let total: u64 = plan.stats.sources.iter().map(|s| s.in_sequences).sum();
    let pool: u64 = plan.stats.sources.iter().map(|s| s.pool).sum();
    for (source, tokens) in plan.stats.sources.iter().enumerate() {
        let (before, after) =
            (tokens.pool as f64 / pool as f64, tokens.in_sequences as f64 / total as f64);
        assert!((before - after).abs() < 0.02, "source {source}: {before} → {after}");
        let own: Vec<_> = plan
            .sequences
            .pieces()
            .filter(|p| world.sources[p.doc.index()] == source as u32)
            .collect();
        let share = own.iter().filter(|p| long(p)).map(|p| u64::from(p.len)).sum::<u64>() as f64
            / own.iter().map(|p| u64::from(p.len)).sum::<u64>() as f64;
        let expected = if source == 0 { 0.0 } else { 0.75 };
        assert!((share - expected).abs() < 0.03, "source {source}: {share}");
    }
    assert_eq!(plan.stats.long.documents, 400);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn lengths_share_all_documents_and_none_twice(world in worlds(), mut options in options(), shares in [0.1f64..3.0, 0.1f64..3.0, 0.1f64..3.0]) {
        options.policies.incomplete = Incomplete::Pad;
        options.policies.fill = Fill::Next;
        options.policies.overflow = Overflow::Split;
        options.policies.tokens = None;
        options.policies.max_uses = None;
        if !matches!(options.method, Method::Quest(_) | Method::Standard(_)) {
            return Ok(()); // the others need not use every document
        }
        let world = World { weights: None, ..world };
        let length = options.policies.length;
        let documents = |options: &PlanOptions| {
            let plan = planned(&ctx(1), &world, options, Part::Main)?;
            Some(plan.sequences.pieces().map(|p| p.doc).collect::<HashSet<_>>())
        };
        options.pool.lengths = Vec::new();
        let all = documents(&options).unwrap_or_default();
        let mut found = HashSet::new();
        let mut together = 0;
        for at in 0..3 {
            options.pool.lengths = lengths(&[(length, shares[0]), (length + 1, shares[1]), (length + 2, shares[2])]);
            options.policies.length = length + at;
            let own = documents(&options).unwrap_or_default();
            together += own.len();
            found.extend(own);
        }
        prop_assert_eq!(together, found.len(), "a document is in two lengths");
        prop_assert_eq!(found, all);
    }
}

#[test]
fn sources_have_the_shares_of_their_weights_whatever_the_method() {
    let documents: Vec<(u32, u32, u8)> =
        (0..3000).map(|n| (10 + n % 17, n % 40, (n % 10 / 4) as u8)).collect();
    let world = World::new(&documents, 40).weighed([1.0, 1.0, 2.0]);
    for method in [
        standard().method,
        Method::Knn(longweave_plan::KnnOptions { pool: longweave_plan::Pool::All, k: 5 }),
        Method::Iclm(longweave_plan::IclmOptions {
            pool: longweave_plan::Pool::All,
            k: 5,
            variant: IclmVariant::Paper,
        }),
    ] {
        for tokens in [None, Some(200_000)] {
            let mut options = standard();
            options.method = method.clone();
            options.policies.tokens = tokens;
            let plan = planned(&ctx(2), &world, &options, Part::Main).unwrap();
            let all = plan.stats.tokens.in_sequences as f64;
            for (source, wanted) in plan.stats.sources.iter().zip([0.25, 0.25, 0.5]) {
                assert_eq!(source.wanted, Some(wanted));
                let share = source.in_sequences as f64 / all;
                assert!((share - wanted).abs() < 0.03, "{:?}: {share}", options.method);
            }
        }
    }
}

#[test]
fn a_source_that_would_be_used_too_often_is_refused_unless_uses_are_bounded() {
    // Source 0 has one document of 3,000; half of the tokens are to be of it.
    let documents: Vec<(u32, u32, u8)> = (0..3000).map(|n| (10, n % 40, u8::from(n > 0))).collect();
    let world = World::new(&documents, 40).weighed([1.0, 1.0, 0.0]);
    let mut options = standard();
    options.policies.tokens = Some(100_000);
    let message = |options: &PlanOptions| {
        let input = world.input(&options.method);
        plan(&ctx(1), &input, options, Part::Main).err().map_or(String::new(), |e| e.to_string())
    };
    assert!(message(&options).contains("use each document of \"source 0\""));
    options.policies.max_uses = Some(3);
    assert_eq!(message(&options), "");
    // One of the two lengths gets the document, and the other has none.
    options.policies.tokens = None;
    options.pool.lengths = lengths(&[(10, 1.0), (11, 1.0)]);
    let said = [10, 11].map(|length| {
        options.policies.length = length;
        message(&options)
    });
    let lacks = |said: &&String| said.contains("because `lengths` leaves none to");
    assert_eq!(said.iter().filter(lacks).count(), 1, "{said:?}");
}

/// Options of `standard` with few surprises.
fn standard() -> PlanOptions {
    PlanOptions {
        method: Method::Standard(longweave_plan::StandardOptions {
            pool: longweave_plan::Pool::All,
        }),
        pool: longweave_plan::PoolOptions::ALL,
        policies: Policies {
            length: 10,
            lead: 0,
            separator: 1,
            sequence_bos: false,
            part_end: 0,
            part_begin: 0,
            overflow: Overflow::Split,
            fill: Fill::Next,
            incomplete: Incomplete::Drop,
            tokens: None,
            seed: 0,
            max_uses: None,
        },
    }
}

#[test]
fn a_document_longer_than_the_length_fills_whole_sequences_in_order() {
    let world = World::new(&[(35, 0, 0)], 1);
    let options = standard();
    let plan = plan(&ctx(1), &world.input(&options.method), &options, Part::Main).unwrap();
    let mut starts: Vec<_> =
        plan.sequences.iter().map(|s| (s.pieces[0].start, s.pieces[0].len)).collect();
    starts.sort_unstable();
    assert_eq!(starts, [(0, 10), (10, 10), (20, 10)]);
    assert_eq!(plan.stats.tokens.dropped.incomplete, 5);
}

#[test]
fn options_out_of_range_are_named() {
    fn quest(options: &mut PlanOptions) -> &mut longweave_plan::QuestOptions {
        options.method = crate::golden::quest();
        match &mut options.method {
            Method::Quest(quest) => quest,
            _ => unreachable!("just set"),
        }
    }
    fn interleave(options: &mut PlanOptions) -> &mut InterleaveOptions {
        options.method = crate::golden::interleave(PartOrder::Turns);
        match &mut options.method {
            Method::Interleave(interleave) => interleave,
            _ => unreachable!("just set"),
        }
    }
    type Spoil = fn(&mut PlanOptions);
    fn topics(options: &mut PlanOptions) -> &mut longweave_plan::TopicsOptions {
        options.method = crate::golden::topics(longweave_plan::Within::Nextlong);
        match &mut options.method {
            Method::Topics(topics) => topics,
            _ => unreachable!("just set"),
        }
    }
    let wrong: [(&str, Spoil); 20] = [
        ("length", |o| o.policies.length = 0),
        ("length", |o| o.policies.length = 1 << 31),
        ("lead", |o| o.policies.lead = 2),
        ("separator", |o| o.policies.separator = (1 << 20) + 1),
        ("partEnd", |o| o.policies.part_end = (1 << 20) + 1),
        ("partBegin", |o| o.policies.part_begin = (1 << 20) + 1),
        ("tokens", |o| o.policies.tokens = Some(0)),
        ("maxUses", |o| o.policies.max_uses = Some(0)),
        ("holdout", |o| o.pool.holdout = 1.5),
        ("fill", |o| o.policies.fill = Fill::Related),
        ("splitRatio", |o| quest(o).split_ratio = -0.1),
        ("oversample", |o| quest(o).oversample = 0.5),
        ("shortShare", |o| quest(o).short_share = Some(1.0)),
        ("minKeywordDocuments", |o| quest(o).min_keyword_documents = 0),
        ("documents", |o| topics(o).documents = 0),
        ("sequences", |o| topics(o).sequences = 0),
        ("k", |o| topics(o).k = 0),
        ("groupDocuments", |o| interleave(o).documents = Some(0)),
        ("parts", |o| interleave(o).parts = 0),
        ("partTokens", |o| interleave(o).part_tokens = Some(0)),
    ];
    assert!(standard().check().is_ok());
    for (option, change) in wrong {
        let mut options = standard();
        change(&mut options);
        let error = options.check().unwrap_err();
        assert_eq!(
            (error.code(), &error.details()["option"]),
            (Code::OptionsInvalid, &option.into())
        );
    }
}

#[test]
fn pools_that_are_too_small_or_without_keywords_are_told_apart() {
    let world = World::new(&[(3, 9, 0)], 1);
    let quest = longweave_plan::QuestOptions {
        pool: longweave_plan::Pool::Keyworded,
        split_ratio: 0.2,
        split_by: longweave_plan::SplitBy::Keywords,
        oversample: 2.0,
        short_share: None,
        min_keyword_documents: 2,
    };
    let mut options = standard();
    options.method = Method::Quest(quest);
    assert_eq!(
        plan(&ctx(1), &world.input(&options.method), &options, Part::Main).unwrap_err().code(),
        Code::NoKeywords
    );
    options.method =
        Method::Standard(longweave_plan::StandardOptions { pool: longweave_plan::Pool::All });
    assert_eq!(
        plan(&ctx(1), &world.input(&options.method), &options, Part::Main).unwrap_err().code(),
        Code::PlanEmpty
    );
}
