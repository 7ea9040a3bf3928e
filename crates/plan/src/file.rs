//! The plan file: a folder that is read without text and without the whole of it in memory.
//!
//! `plan.json` holds format, shape, counts and the number of sequences in a shard. For each shard
//! of sequences there are three columns of u32, so that nothing else is read to pack it:
//! `NNNNN.sequences`, six numbers for each sequence: pieces, rule's number, node, tokens, epoch,
//! round; `NNNNN.pieces`, five for each piece: document, start, length, group, tokens of the whole
//! document; `NNNNN.groups`, five for each group that a piece names, in order of their numbers:
//! number, keyword, anchor, epoch, round.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use longweave_common::{Code, DocId, Error, GroupId, KeywordId, Offsets, Result, ResultExt};
use longweave_storage::{ArrayFile, FileRecord, read_array, write_array, write_file};
use serde::{Deserialize, Serialize};

use crate::{Forest, Group, NamedGroups, Piece, Plan, PlanStats, Rule, Sequence, Sequences, Shape};

/// The version of the files; work directories keep plans of different versions apart by it.
pub const FORMAT: u32 = 6;

/// Numbers of a sequence, of a piece, and of a group.
const SEQUENCE: usize = 6;
const PIECE: usize = 5;
const GROUP: usize = 5;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Header {
    format: u32,
    shape: Shape,
    shard_sequences: u64,
    stats: PlanStats,
}

/// Writes a plan into `directory`, `shard_sequences` (at least 1) sequences to a shard. `lens` are
/// the tokens of the documents that it was made of.
pub fn write_plan(
    directory: &Path,
    plan: &Plan,
    lens: &[u32],
    shard_sequences: u64,
) -> Result<Vec<FileRecord>> {
    let mut files = Vec::new();
    let mut put = |name: String, column: &[u32]| -> Result<()> {
        let sealed = write_array(&directory.join(&name), column)?;
        files.push(FileRecord::new(name, sealed));
        Ok(())
    };
    let size = usize::try_from(shard_sequences.max(1)).unwrap_or(usize::MAX);
    for (shard, first) in (0..plan.sequences.len()).step_by(size).enumerate() {
        let own = plan.sequences.copy(first..plan.sequences.len().min(first.saturating_add(size)));
        let mut sequences = Vec::with_capacity(own.len() * SEQUENCE);
        for s in own.iter() {
            let rule =
                Rule::ALL.iter().position(|&r| r == s.rule).expect("ALL has every rule") as u32;
            sequences.extend([
                s.pieces.len() as u32,
                rule,
                s.node.unwrap_or(Forest::NONE),
                s.n_tokens,
                s.epoch,
                s.round,
            ]);
        }
        let piece = |p: &Piece| [p.doc.get(), p.start, p.len, p.group.get(), lens[p.doc.index()]];
        let group = |(number, g): (GroupId, Group)| {
            [number.get(), g.keyword.get(), g.anchor.get(), g.epoch, g.round]
        };
        let groups = NamedGroups::of(&plan.groups, own.pieces());
        put(format!("{shard:05}.sequences"), &sequences)?;
        let pieces: Vec<u32> = own.pieces().iter().flat_map(piece).collect();
        put(format!("{shard:05}.pieces"), &pieces)?;
        put(format!("{shard:05}.groups"), &groups.iter().flat_map(group).collect::<Vec<u32>>())?;
    }
    let header = Header {
        format: FORMAT,
        shape: plan.shape,
        shard_sequences: shard_sequences.max(1),
        stats: plan.stats.clone(),
    };
    let mut text = serde_json::to_string_pretty(&header)
        .map_err(|e| Error::new(Code::Internal, format!("plan.json: {e}")))?;
    text.push('\n');
    files.push(FileRecord::new(
        "plan.json",
        write_file(&directory.join("plan.json"), text.as_bytes())?,
    ));
    Ok(files)
}

/// Some sequences of a plan, with what packing asks of their pieces.
#[derive(Clone, Debug)]
pub struct PlannedPart {
    pub sequences: Sequences,
    /// For each piece, the tokens of its whole document.
    pub lens: Vec<u32>,
    /// The groups that the pieces name, and perhaps others.
    pub groups: Arc<NamedGroups>,
}

/// A plan on disk. Costs 32 bytes a sequence and 20 a group of the shard that was read last; pieces
/// are read on demand.
pub struct PlanFile {
    directory: PathBuf,
    header: Header,
    held: Mutex<Option<Arc<Shard>>>,
    /// Shards whose column of pieces was found to match its checksum.
    verified: Mutex<HashSet<u64>>,
}

/// The sequences of one shard, without their pieces.
struct Shard {
    number: u64,
    /// The numbers of each sequence, see above.
    rows: Vec<u32>,
    /// Each sequence's numbers in the column of pieces.
    pieces: Offsets,
    groups: Arc<NamedGroups>,
}

impl PlanFile {
    /// Opens a plan.
    ///
    /// Errors: `VERSION_MISMATCH`, `FILE_CORRUPT`.
    pub fn open(directory: &Path) -> Result<PlanFile> {
        let path = directory.join("plan.json");
        let text = std::fs::read_to_string(&path).at("read", &path)?;
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|e| corrupt(&path, &e.to_string()))?;
        if value["format"] != FORMAT {
            let message = format!(
                "{} has format {}, this version reads {FORMAT}; delete the folder and run again",
                path.display(),
                value["format"]
            );
            return Err(Error::new(Code::VersionMismatch, message));
        }
        let header: Header =
            serde_json::from_value(value).map_err(|e| corrupt(&path, &e.to_string()))?;
        if header.shard_sequences == 0 {
            return Err(corrupt(&path, "its shards hold no sequences"));
        }
        Ok(PlanFile {
            directory: directory.to_owned(),
            header,
            held: Mutex::new(None),
            verified: Mutex::default(),
        })
    }

    /// Length, begin tokens, separators.
    pub fn shape(&self) -> Shape {
        self.header.shape
    }

    /// The counts.
    pub fn stats(&self) -> &PlanStats {
        &self.header.stats
    }

    /// Number of sequences.
    pub fn sequences(&self) -> u64 {
        self.header.stats.sequences
    }

    /// Sequences `first..first + n`.
    ///
    /// Errors: `SEQUENCE_NOT_FOUND` beyond the end, `FILE_CORRUPT`.
    pub fn read(&self, first: u64, n: u64) -> Result<PlannedPart> {
        let all = self.sequences();
        let end = first.checked_add(n).filter(|&end| end <= all);
        let end = end.ok_or_else(|| {
            Error::new(
                Code::SequenceNotFound,
                format!("the plan has {all} sequences, not {n} from {first} on"),
            )
        })?;
        let size = self.header.shard_sequences;
        let mut out = Sequences { first, ..Sequences::default() };
        let (mut lens, mut groups) = (Vec::new(), Vec::<Arc<NamedGroups>>::new());
        let mut at = first;
        while at < end {
            let number = at / size;
            let shard = self.shard(number)?;
            let range = (at - number * size) as usize..((end - number * size).min(size)) as usize;
            let path = self.path(number, "pieces");
            let bad = |what: &str| corrupt(&path, what);
            if range.end > shard.pieces.len() {
                return Err(bad("its shard has fewer sequences than the header says"));
            }
            let (start, stop) = (shard.pieces.begin(range.start), shard.pieces.begin(range.end));
            let file = ArrayFile::<u32>::open(&path)?;
            let mut columns = Vec::new();
            if (start, stop) == (0, file.len()) {
                columns = file.read_all()?; // compares the checksum too
            } else {
                self.verify(number, &file)?;
                file.read_into(start, (stop - start) as usize, &mut columns)?;
            }
            for i in range {
                let own = shard.pieces.span(i);
                let own = &columns[(own.start - start) as usize..(own.end - start) as usize];
                let piece = |q: &[u32]| Piece {
                    doc: DocId::new(q[0]),
                    start: q[1],
                    len: q[2],
                    group: GroupId::new(q[3]),
                };
                let pieces: Vec<Piece> = own.chunks_exact(PIECE).map(piece).collect();
                lens.extend(own.chunks_exact(PIECE).map(|q| q[4]));
                if pieces.iter().any(|p| shard.groups.get(p.group).is_none()) {
                    return Err(bad("a piece names a group that the shard does not have"));
                }
                let s = &shard.rows[i * SEQUENCE..][..SEQUENCE];
                let rule = *Rule::ALL
                    .get(s[1] as usize)
                    .ok_or_else(|| bad("a sequence has an unknown rule"))?;
                let node = Some(s[2]).filter(|&n| n != Forest::NONE);
                out.push(Sequence {
                    number: number * size + i as u64,
                    pieces: &pieces,
                    rule,
                    node,
                    n_tokens: s[3],
                    epoch: s[4],
                    round: s[5],
                });
            }
            groups.push(Arc::clone(&shard.groups));
            at = (number + 1).saturating_mul(size).min(end);
        }
        let groups = match groups.len() {
            1 => groups.swap_remove(0),
            _ => Arc::new(NamedGroups::collect(groups.iter().flat_map(|groups| groups.iter()))),
        };
        Ok(PlannedPart { sequences: out, lens, groups })
    }

    /// Compares the checksum of a shard's pieces before parts of them are read for the first time.
    fn verify(&self, shard: u64, pieces: &ArrayFile<u32>) -> Result<()> {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if !verified.contains(&shard) {
            pieces.check()?;
            verified.insert(shard);
        }
        Ok(())
    }

    fn path(&self, shard: u64, kind: &str) -> PathBuf {
        self.directory.join(format!("{shard:05}.{kind}"))
    }

    /// A shard's sequences, kept until another shard is asked for: a reader that goes through the
    /// plan reads each once.
    fn shard(&self, number: u64) -> Result<Arc<Shard>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shard) = held.as_ref().filter(|s| s.number == number) {
            return Ok(Arc::clone(shard));
        }
        let rows = read_array::<u32>(&self.path(number, "sequences"))?;
        let mut pieces = Offsets::default();
        for row in rows.chunks_exact(SEQUENCE) {
            pieces.push(pieces.end() as usize + row[0] as usize * PIECE);
        }
        let groups = read_array::<u32>(&self.path(number, "groups"))?;
        let group = |row: &[u32]| {
            let (keyword, anchor) = (KeywordId::new(row[1]), DocId::new(row[2]));
            (GroupId::new(row[0]), Group { keyword, anchor, epoch: row[3], round: row[4] })
        };
        let groups = Arc::new(NamedGroups::collect(groups.chunks_exact(GROUP).map(group)));
        let shard = Arc::new(Shard { number, rows, pieces, groups });
        *held = Some(Arc::clone(&shard));
        Ok(shard)
    }
}

fn corrupt(path: &Path, what: &str) -> Error {
    let message = format!(
        "{} is not a plan of this version ({what}); delete the plan stage's folder and run again",
        path.display()
    );
    Error::corrupt(path, message)
}
