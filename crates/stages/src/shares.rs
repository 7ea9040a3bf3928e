//! Shares and means that follow from a plan.

use longweave_plan::PlanStats;
use serde::Serialize;
use ts_rs::TS;

/// Shares that follow from a plan, each from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Shares {
    /// Documents' tokens in sequences of one keyword ÷ documents' tokens in sequences.
    pub single_keyword: f64,
    /// Tokens of the short set in sequences ÷ documents' tokens in sequences.
    pub short_set: f64,
    /// Tokens that were used and are in no sequence ÷ tokens that were used.
    pub dropped: f64,
    /// Padding ÷ all tokens of all sequences.
    pub padding: f64,
}

/// Means over the sequences of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct Means {
    /// Distinct groups in a sequence.
    pub groups_per_sequence: f64,
    /// Distinct documents in a sequence.
    pub documents_per_sequence: f64,
}

/// `part` ÷ `whole`; 0 of nothing.
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl Shares {
    /// The shares of a plan.
    pub fn of(stats: &PlanStats, length: u32) -> Shares {
        let tokens = &stats.tokens;
        Shares {
            single_keyword: ratio(tokens.in_single_keyword_sequences, tokens.in_sequences),
            short_set: ratio(tokens.of_short_set, tokens.in_sequences),
            dropped: ratio(tokens.dropped.total(), tokens.used),
            padding: ratio(tokens.padding, stats.sequences * u64::from(length)),
        }
    }
}

impl Means {
    /// The means of a plan.
    pub fn of(stats: &PlanStats) -> Means {
        Means {
            groups_per_sequence: ratio(stats.groups_per_sequence.sum, stats.sequences),
            documents_per_sequence: ratio(stats.documents_per_sequence.sum, stats.sequences),
        }
    }
}
