//! A sequence as a person reads it: its pieces with their documents' ids, reasons and first words, and why they stand together.

use std::path::Path;

use longweave_common::{Code, Error, Result};
use longweave_formats::SequenceReader;
use longweave_plan::{Part, Rule};
use serde::{Deserialize, Serialize};

use crate::stages::plan::folder;
use crate::{RunContext, Stage};

/// What to show.
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

/// A sequence.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// Its number.
    pub sequence: u64,
    /// Sequences of the output.
    pub sequences: u64,
    /// Tokens of a sequence.
    pub length: u32,
    /// Tokens before padding.
    pub n_tokens: u32,
    /// Its pieces.
    pub pieces: Vec<ShownPiece>,
    /// Why they stand together.
    pub why: Option<Why>,
}

/// A piece.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownPiece {
    /// The document's id.
    pub id: Option<String>,
    /// The keyword of the group that brought it.
    pub reason: Option<String>,
    /// Its place in the sequence.
    pub start: u32,
    /// Its tokens, separator included.
    pub len: u32,
    /// First token of the document.
    pub offset: u32,
    /// The plan's number of the group.
    pub group: Option<u32>,
    /// Its first tokens as text.
    pub text: Option<String>,
    /// The group's pass.
    pub pass: Option<Pass>,
}

/// The pass of a keyword's list that a group is.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pass {
    /// The epoch, from 0.
    pub epoch: u32,
    /// The pass in the epoch, from 0.
    pub round: u32,
    /// Documents of the pool and others with this keyword.
    pub documents: Option<u64>,
}

/// Why the pieces of a sequence stand together.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// The rule.
    pub rule: Rule,
    /// The rule in words.
    pub text: String,
    /// The phrase of the hierarchy where the pieces met.
    pub phrase: Option<String>,
    /// The epoch it was planned in.
    pub epoch: u32,
    /// The round it was finished in.
    pub round: u32,
    /// The seed of every draw.
    pub seed: u64,
}

/// Shows a sequence of an output directory.
///
/// Errors: `SEQUENCE_NOT_FOUND`, `RUN_NOT_PREPARED` for `why` without the run.
pub fn show(out: &Path, sequence: u64, options: &ShowOptions) -> Result<Shown> {
    let mut reader = SequenceReader::open(out)?;
    let sequences = reader.len();
    if sequence >= sequences {
        let message = format!(
            "{} has {sequences} sequences, numbered from 0; there is no sequence {sequence}",
            out.display()
        );
        return Err(Error::new(Code::SequenceNotFound, message).with("sequence", sequence));
    }
    let record = reader.get(sequence)?;
    // The held-out documents' output is a folder of its own inside the run's.
    let holdout = out.file_name().is_some_and(|n| n == folder(Part::HeldOut))
        && !out.join("run.json").exists();
    let run = if holdout { out.parent().unwrap_or(out) } else { out };
    let run = RunContext::open(run);
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
                    "sequence {sequence} has a piece beyond its end; check {} with `verify`",
                    out.display()
                ),
            )
        })?;
        let text = encoder.as_ref().map(|e| e.decode(ids)).transpose()?;
        pieces.push(ShownPiece {
            id: record.doc_ids.get(i).cloned(),
            reason: record.reasons.get(i).cloned().flatten(),
            start,
            len,
            offset,
            group: record.groups.get(i).copied(),
            text,
            pass: None,
        });
    }
    let mut shown = Shown {
        sequence,
        sequences,
        length: record.input_ids.len() as u32,
        n_tokens: record.n_tokens,
        pieces,
        why: None,
    };
    if options.why {
        let part = if holdout { Part::HeldOut } else { Part::Main };
        why(&run?, part, sequence, &mut shown)?;
    }
    Ok(shown)
}

fn why(run: &RunContext, part: Part, sequence: u64, shown: &mut Shown) -> Result<()> {
    run.require(Stage::Plan)?;
    let plan = run.plan(part)?;
    let index = crate::stages::index::open(run)?;
    let read = plan.read(sequence, 1)?;
    let planned = read.get(0);
    let groups = plan.groups();
    for (piece, shown) in planned.pieces.iter().zip(&mut shown.pieces) {
        let group = piece.group.index();
        let keyword = groups.keywords[group];
        let documents =
            index.as_ref().filter(|_| !keyword.is_none()).map(|i| i.postings(keyword).len() as u64);
        shown.pass =
            Some(Pass { epoch: groups.epochs[group], round: groups.rounds[group], documents });
    }
    let phrase =
        planned.node.and_then(|node| index.as_ref().map(|i| i.node_phrase(node).to_owned()));
    let text = match planned.rule {
        Rule::Group => format!("one group filled the sequence. {}", run.options().method_sentence()),
        Rule::Next => {
            "the groups had too little left to fill a sequence; their rests follow each other in random order (fill: next)".to_owned()
        }
        Rule::Related => format!("the rests of keywords met under \"{}\" (fill: related)", phrase.as_deref().unwrap_or("?")),
        Rule::Pad => "one group's rest, padded (fill: pad)".to_owned(),
        Rule::Last => "what was open at the end of the epoch, padded (incomplete: pad)".to_owned(),
    };
    shown.why = Some(Why {
        rule: planned.rule,
        text,
        phrase,
        epoch: planned.epoch,
        round: planned.round,
        seed: run.options().seed,
    });
    Ok(())
}
