use std::collections::{HashMap, HashSet};

use longweave_common::{Code, Ctx};
use longweave_plan::{Fill, LastFill, Method, Overflow, Part, Plan, PlanOptions, Rule, plan};
use proptest::prelude::*;

use crate::world::{World, ctx, options, worlds};

/// The plan; `None` for a pool that is too small.
fn planned(ctx: &Ctx, world: &World, options: &PlanOptions, part: Part) -> Option<Plan> {
    match plan(ctx, &world.input(), options, part) {
        Ok(plan) => Some(plan),
        Err(e) if matches!(e.code(), Code::PlanEmpty | Code::NoKeywords) => None,
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
    fn no_document_stands_twice_in_a_sequence(world in worlds(), options in options()) {
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        for s in plan.sequences.iter() {
            let documents: HashSet<_> = s.pieces.iter().map(|p| p.doc).collect();
            prop_assert_eq!(documents.len(), s.pieces.len(), "{:?}", s);
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
        prop_assert_eq!(t.in_sequences + t.separators + t.begins + t.padding, plan.stats.sequences * u64::from(options.policies.length));
        let e = &plan.stats.excluded;
        let outside = e.empty + e.too_short + e.too_long + e.other_part + e.without_keyword + e.duplicate;
        prop_assert_eq!(outside + plan.stats.pool_documents, plan.stats.documents);
        prop_assert_eq!(plan.stats.documents_by_uses.iter().sum::<u64>(), plan.stats.pool_documents);
    }

    #[test]
    fn a_long_list_is_used_once_in_an_epoch_and_a_short_one_about_oversample_times(world in worlds(), mut options in options()) {
        options.policies.max_uses = None;
        options.policies.tokens = None;
        let Method::Quest(quest) = &options.method else { return Ok(()) };
        let min_group = quest.min_group;
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
            prop_assert!(n == 1 || documents >= min_group as usize, "a singleton was oversampled");
        }
        prop_assert!(several <= plan.stats.keywords.short);
        if o >= 2.0 {
            prop_assert_eq!(several, plan.stats.keywords.short);
        }
        prop_assert_eq!(passes.len() as u64, plan.stats.keywords.short + plan.stats.keywords.long + plan.stats.keywords.singletons);
    }

    #[test]
    fn a_document_is_used_at_most_max_uses_times(world in worlds(), mut options in options(), most in 1u32..3) {
        options.policies.max_uses = Some(most);
        options.policies.tokens = Some(5000);
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        prop_assert!(plan.stats.documents_by_uses.len() <= most as usize + 1, "{:?}", plan.stats.documents_by_uses);
    }

    #[test]
    fn a_budget_of_tokens_gives_that_many_sequences_or_says_how_many_are_missing(world in worlds(), mut options in options(), tokens in 1u64..3000) {
        options.policies.tokens = Some(tokens);
        let Some(plan) = planned(&ctx(1), &world, &options, Part::Main) else { return Ok(()) };
        let wanted = tokens.div_ceil(u64::from(options.policies.length));
        prop_assert_eq!(plan.stats.sequences + plan.stats.sequences_missing, wanted);
        prop_assert!(plan.stats.sequences_missing == 0 || options.policies.max_uses.is_some());
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
        options.pool.holdout = share;
        options.policies.last_fill = LastFill::Pad;
        options.policies.fill = Fill::Next;
        options.policies.overflow = Overflow::Split;
        options.policies.tokens = None;
        options.pool.dedup = longweave_plan::Dedup::None;
        let documents = |part| planned(&ctx(1), &world, &options, part).map(|p| p.sequences.pieces().iter().map(|p| p.doc).collect::<HashSet<_>>());
        let (main, held) = (documents(Part::Main).unwrap_or_default(), documents(Part::HeldOut).unwrap_or_default());
        prop_assert!(main.is_disjoint(&held));
        options.pool.holdout = 0.0;
        let all = planned(&ctx(1), &world, &options, Part::Main).map(|p| p.sequences.pieces().iter().map(|p| p.doc).collect::<HashSet<_>>());
        prop_assert_eq!(main.union(&held).copied().collect::<HashSet<_>>(), all.unwrap_or_default());
    }

    #[test]
    fn a_document_added_to_one_keyword_leaves_the_order_inside_others_alone(world in worlds(), mut options in options(), len in 1u32..30) {
        options.pool.dedup = longweave_plan::Dedup::None;
        options.policies.overflow = Overflow::Split;
        options.policies.fill = Fill::Pad;
        options.policies.tokens = None;
        let Method::Quest(quest) = &mut options.method else { return Ok(()) };
        quest.split_ratio = 0.0;
        let mut more = world.clone();
        more.lens.push(len);
        more.keys.push(longweave_common::random::Key::of("added").0);
        more.texts.push(0);
        more.keyword_of.push(longweave_common::KeywordId::new(0));
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

#[test]
fn a_document_longer_than_the_length_fills_whole_sequences_in_order() {
    let world = World::new(&[(35, 0, 0)], 1);
    let options = PlanOptions {
        method: Method::Standard(longweave_plan::StandardOptions { pool: longweave_plan::Pool::All }),
        pool: longweave_plan::PoolOptions { min_tokens: 1, max_tokens: None, holdout: 0.0, dedup: longweave_plan::Dedup::None },
        policies: longweave_plan::Policies {
            length: 10,
            lead: 0,
            separator: 1,
            sequence_bos: false,
            overflow: Overflow::Split,
            fill: Fill::Next,
            last_fill: LastFill::Drop,
            tokens: None,
            seed: 0,
            max_uses: None,
        },
    };
    let plan = plan(&ctx(1), &world.input(), &options, Part::Main).unwrap();
    let mut starts: Vec<_> = plan.sequences.iter().map(|s| (s.pieces[0].start, s.pieces[0].len)).collect();
    starts.sort_unstable();
    assert_eq!(starts, [(0, 10), (10, 10), (20, 10)]);
    assert_eq!(plan.stats.tokens.dropped.last_fill, 5);
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
        min_group: 2,
    };
    let mut options = PlanOptions {
        method: Method::Quest(quest),
        pool: longweave_plan::PoolOptions { min_tokens: 1, max_tokens: None, holdout: 0.0, dedup: longweave_plan::Dedup::None },
        policies: longweave_plan::Policies {
            length: 10,
            lead: 0,
            separator: 0,
            sequence_bos: false,
            overflow: Overflow::Split,
            fill: Fill::Next,
            last_fill: LastFill::Drop,
            tokens: None,
            seed: 0,
            max_uses: None,
        },
    };
    assert_eq!(plan(&ctx(1), &world.input(), &options, Part::Main).unwrap_err().code(), Code::NoKeywords);
    options.method = Method::Standard(longweave_plan::StandardOptions { pool: longweave_plan::Pool::All });
    assert_eq!(plan(&ctx(1), &world.input(), &options, Part::Main).unwrap_err().code(), Code::PlanEmpty);
}
