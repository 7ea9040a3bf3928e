//! A sequence as a person reads it: its pieces with their documents' ids, reasons and first words,
//! and why they are together.

use std::path::Path;

use longweave_common::{Code, Error, Result};
use longweave_formats::SequenceReader;
use longweave_plan::{Part, Rule};
use longweave_run::RunContext;
use longweave_stages::plan::{self, PLAN, folder};
use longweave_stages::{STAGES, index, matches};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Parts of a sequence to show.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShowOptions {
    /// Whether to say which draw, pass and rule put each piece there; needs the work directory.
    pub why: bool,
    /// Tokens of each piece to decode.
    pub words: u32,
    /// Another tokenizer.json than the run's, for an output that was moved.
    #[serde(default)]
    pub tokenizer: Option<String>,
}

/// A sequence of an output, with the text that its pieces begin with.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ShownSequence {
    /// The sequence's number in the output, from 0.
    pub index: u64,
    /// Sequences of the output.
    pub sequences: u64,
    /// Tokens of a sequence, padding included.
    pub sequence_length: u32,
    /// Tokens of this sequence before its padding.
    pub token_count: u32,
    /// The pieces of the sequence in order.
    pub pieces: Vec<ShownPiece>,
    /// How the sequence was planned. Null unless asked for.
    pub why: Option<SequenceOrigin>,
}

/// A piece of a shown sequence: a run of tokens of one document.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct ShownPiece {
    /// The document's id. Null for an output without provenance.
    pub doc_id: Option<String>,
    /// First token of the piece in the sequence, from 0.
    pub start: u32,
    /// Tokens of the piece, its separator included.
    pub length: u32,
    /// First token of the piece in its document, from 0.
    pub doc_offset: u32,
    /// The keyword, topic, or id of the document that brought the piece. Null where it came by
    /// chance, and for an output without full provenance.
    pub reason: Option<String>,
    /// The plan's number of the group that brought the piece. Null for an output without full
    /// provenance.
    pub group: Option<u32>,
    /// The piece's first tokens as text. Null where no tokenizer is at hand.
    pub text: Option<String>,
    /// The pass that planned the group. Null unless asked for.
    pub pass: Option<GroupPass>,
}

/// The pass of the plan in which a group was made.
#[derive(Clone, Copy, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct GroupPass {
    /// The epoch, from 0.
    pub epoch: u32,
    /// The pass over the group's keyword or topic in the epoch, from 0.
    pub round: u32,
    /// Documents of the corpus with the group's keyword, or found for its topic. Null for a group
    /// without one.
    pub documents: Option<u64>,
}

/// How a sequence was planned.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct SequenceOrigin {
    /// The rule that filled the sequence.
    pub rule: Rule,
    /// The rule as a sentence.
    pub text: String,
    /// The phrase that all its documents share, where `fill: related` found one. Else null.
    pub phrase: Option<String>,
    /// The epoch that the sequence was planned in, from 0.
    pub epoch: u32,
    /// The round of that epoch in which it was finished, from 0.
    pub round: u32,
    /// The seed of every draw.
    pub seed: u64,
}

/// Shows a sequence of an output; `out` is its directory, none for an output behind a URL.
///
/// Errors: `SEQUENCE_NOT_FOUND`, `RUN_NOT_PREPARED` for `why` without the run.
pub(crate) fn show(
    reader: &mut SequenceReader,
    out: Option<&Path>,
    sequence: u64,
    options: &ShowOptions,
) -> Result<ShownSequence> {
    let sequences = reader.len();
    let record = reader.get(sequence)?;
    // The held-out documents' output is a folder of its own inside the run's.
    let holdout = out.is_some_and(|out| {
        out.file_name().is_some_and(|n| n == folder(Part::HeldOut))
            && !out.join("run.json").exists()
    });
    let directory = if holdout { out.and_then(Path::parent) } else { out };
    let run = match directory {
        Some(directory) => RunContext::open_read_only(STAGES, directory),
        None => {
            let message = "an output behind a URL is without its run; read it where it was made";
            Err(Error::new(Code::RunNotPrepared, message))
        }
    };
    let encoder = match (&options.tokenizer, &run) {
        (Some(path), _) => Some(longweave_tokens::load(Path::new(path))?.encoder),
        (None, Ok(run)) => run.resources.encoder().ok(),
        (None, Err(_)) => None,
    };
    let mut pieces = Vec::new();
    let places = record.doc_starts.iter().zip(&record.doc_lens).zip(&record.doc_offsets);
    for (i, ((&start, &len), &offset)) in places.enumerate() {
        let end = start.saturating_add(len.min(options.words)) as usize;
        let ids = record.input_ids.get(start as usize..end).ok_or_else(|| {
            Error::new(
                Code::FileCorrupt,
                format!(
                    "sequence {sequence} has a piece beyond its end; check the output with `verify`"
                ),
            )
        })?;
        let text = encoder.as_ref().map(|e| e.decode(ids)).transpose()?;
        pieces.push(ShownPiece {
            doc_id: record.doc_ids.get(i).cloned(),
            start,
            length: len,
            doc_offset: offset,
            reason: record.reasons.get(i).cloned().flatten(),
            group: record.groups.get(i).copied(),
            text,
            pass: None,
        });
    }
    let mut shown = ShownSequence {
        index: sequence,
        sequences,
        sequence_length: record.input_ids.len() as u32,
        token_count: record.n_tokens,
        pieces,
        why: None,
    };
    if options.why {
        let part = if holdout { Part::HeldOut } else { Part::Main };
        why(&run?, part, sequence, &mut shown)?;
    }
    Ok(shown)
}

fn why(run: &RunContext, part: Part, sequence: u64, shown: &mut ShownSequence) -> Result<()> {
    run.require(PLAN)?;
    let plan = plan::open(run, part)?;
    let (index, of_topics) = (index::open(run)?, run.options().needs_topics());
    let read = plan.read(sequence, 1)?;
    let planned = read.sequences.get(0);
    for (piece, shown) in planned.pieces.iter().zip(&mut shown.pieces) {
        let Some(group) = read.groups.get(piece.group) else { continue };
        let documents = match (&index, group.keyword) {
            (_, keyword) if keyword.is_none() => None,
            (_, topic) if of_topics => Some(matches::documents_of(run, topic)?),
            (index, keyword) => index.as_ref().map(|i| i.postings(keyword).len() as u64),
        };
        shown.pass = Some(GroupPass { epoch: group.epoch, round: group.round, documents });
    }
    let phrase =
        planned.node.and_then(|node| index.as_ref().map(|i| i.node_phrase(node).to_owned()));
    let text = match planned.rule {
        Rule::Group => {
            format!("one group filled the sequence. {}", run.options().method.name().sentence())
        }
        Rule::Next => {
            "the groups had too little left to fill a sequence; their rests follow each other in \
             random order (fill: next)"
                .to_owned()
        }
        Rule::Related => format!(
            "the rests of keywords met under \"{}\" (fill: related)",
            phrase.as_deref().unwrap_or("?")
        ),
        Rule::Pad => "one group's rest, padded (fill: pad)".to_owned(),
        Rule::Last => "what was open at the end of the epoch, padded (incomplete: pad)".to_owned(),
    };
    shown.why = Some(SequenceOrigin {
        rule: planned.rule,
        text,
        phrase,
        epoch: planned.epoch,
        round: planned.round,
        seed: run.options().seed,
    });
    Ok(())
}
