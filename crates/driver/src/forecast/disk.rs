//! Whether what a run still has to write fits on its disks: asked before the run and before each of
//! its stages, with what is known by then.

use std::path::Path;

use longweave_common::{Code, Ctx, Error, Result};
use longweave_run::{DiskCheck, Facts, Place, RunContext, Stage};
use longweave_storage::{Space, space};
use serde::Serialize;
use ts_rs::TS;

use super::facts::facts;

/// Bytes that a run has yet to write, and the free space for them.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct DiskNeed {
    /// The need of the work directory.
    pub work: DirectoryNeed,
    /// The need of the output directory.
    pub output: DirectoryNeed,
    /// Whether both directories are on one file system. Null where the system does not say.
    pub shared: Option<bool>,
    /// Whether everything fits. Null where a need or the free space is unknown.
    pub fits: Option<bool>,
}

/// Bytes that a run has yet to write to a directory, and the free space for them.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryNeed {
    /// The directory that is written.
    pub directory: String,
    /// Bytes to be written, estimated. Null where the size of the corpus is unknown.
    pub bytes: Option<u64>,
    /// Bytes free on its file system. Null where the system does not say.
    pub free_bytes: Option<u64>,
}

/// Bytes of a done record and the lease, blocks of the file system counted.
const RECORD: f64 = 8192.0;

/// Bytes that a stage leaves when all its tasks are done.
pub(crate) fn stage_bytes(run: &RunContext, stage: Stage, facts: &Facts) -> Result<f64> {
    Ok(stage.bytes(run, facts)? + RECORD * f64::from(run.tasks(stage)?.unwrap_or(1)))
}

/// Bytes that a stage still has to write: those of its open tasks, estimated from its done tasks if
/// there are any.
fn left(run: &RunContext, stage: Stage, facts: &Facts) -> Result<f64> {
    let (tasks, done) = run.progress(stage)?;
    let Some(tasks) = tasks.filter(|_| !done.is_empty()) else {
        return stage_bytes(run, stage, facts);
    };
    let bytes: u64 = done.iter().flat_map(|(_, record)| &record.files).map(|f| f.bytes).sum();
    let finished = done.len() as f64;
    Ok(bytes as f64 / finished * (f64::from(tasks) - finished))
}

/// The bytes that the stages up to and with `last` still need.
pub(crate) fn need(ctx: &Ctx, run: &RunContext, last: Stage) -> Result<DiskNeed> {
    let (mut work, mut output) = (0.0, 0.0);
    let facts = facts(ctx, run)?;
    if let Some(facts) = &facts {
        for stage in run.stages_to(last) {
            let mut bytes = left(run, stage, facts)?;
            if stage.is_sent(run.options()) {
                // A shard is deleted once it is sent: the disk holds as many as are packed at the
                // same time.
                let shards = facts.sequences.max(1.0) / run.file.shard_sequences() as f64;
                let shard = stage.bytes(run, facts)? / shards.max(1.0);
                bytes = bytes.min(shard * ctx.pool.current_num_threads() as f64);
            }
            if stage.place == Place::Output { output += bytes } else { work += bytes }
        }
    }
    let (room, out_room) = (space(run.work()), space(run.out()));
    let of = |directory: &Path, bytes: f64, room: Option<Space>| DirectoryNeed {
        directory: directory.display().to_string(),
        bytes: facts.map(|_| bytes.ceil() as u64),
        free_bytes: room.map(|r| r.free),
    };
    let (work, output) = (of(run.work(), work, room), of(run.out(), output, out_room));
    let shared = room.zip(out_room).map(|(a, b)| a.device == b.device);
    Ok(DiskNeed { fits: fits(&work, &output, shared), work, output, shared })
}

fn fits(work: &DirectoryNeed, output: &DirectoryNeed, shared: Option<bool>) -> Option<bool> {
    let (bytes, free) = (work.bytes?, work.free_bytes?);
    let (out_bytes, out_free) = (output.bytes?, output.free_bytes?);
    Some(if shared? {
        bytes + out_bytes <= free.min(out_free)
    } else {
        bytes <= free && out_bytes <= out_free
    })
}

/// Refuses, or gives a warning, where what is still to be written does not fit.
///
/// Errors: `DISK_SPACE`.
pub(crate) fn check(ctx: &Ctx, run: &RunContext, last: Stage) -> Result<Option<String>> {
    let check = run.options().disk_check;
    if check == DiskCheck::Off {
        return Ok(None);
    }
    let need = need(ctx, run, last)?;
    if need.fits != Some(false) {
        return Ok(None);
    }
    let what = describe(&need);
    if check == DiskCheck::Warn {
        return Ok(Some(format!("the disk will fill up: {what}")));
    }
    let message = format!(
        "the run does not fit: {what}. Put the work directory on another disk (`--work`), make the \
         output smaller (`output.format`, `output.compression`, `output.provenance`, `tokens`), \
         remove what no run needs (`longweave clean`), or continue anyway with `diskCheck: warn`"
    );
    let error = Error::new(Code::DiskSpace, message)
        .with("option", "diskCheck")
        .with("directory", need.work.directory);
    let number = |n: Option<u64>| n.map_or(serde_json::Value::Null, Into::into);
    Err(error
        .with("workBytes", number(need.work.bytes))
        .with("workFreeBytes", number(need.work.free_bytes))
        .with("outputBytes", number(need.output.bytes))
        .with("outputFreeBytes", number(need.output.free_bytes)))
}

fn describe(need: &DiskNeed) -> String {
    let size = |n: Option<u64>| human(n.unwrap_or(0));
    let DiskNeed { work, output, .. } = need;
    if need.shared == Some(true) {
        format!(
            "it still needs about {} in {} and {} in {}, which share one file system with {} free",
            size(work.bytes),
            work.directory,
            size(output.bytes),
            output.directory,
            size(work.free_bytes)
        )
    } else {
        format!(
            "it still needs about {} in {}, where {} are free, and {} in {}, where {} are free",
            size(work.bytes),
            work.directory,
            size(work.free_bytes),
            size(output.bytes),
            output.directory,
            size(output.free_bytes)
        )
    }
}

/// Bytes as people say them: `1.5 GB`.
pub(crate) fn human(bytes: u64) -> String {
    for (unit, size) in [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)] {
        if bytes as f64 >= size {
            return format!("{:.1} {unit}", bytes as f64 / size);
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_shared_or_each_has_its_own_and_what_is_unknown_refuses_nothing() {
        let need = |bytes: Option<u64>, free_bytes| DirectoryNeed {
            directory: "d".into(),
            bytes,
            free_bytes,
        };
        for (work, output, shared, expected) in [
            ((Some(6), Some(10)), (Some(5), Some(10)), Some(true), Some(false)),
            ((Some(5), Some(10)), (Some(5), Some(10)), Some(true), Some(true)),
            ((Some(6), Some(10)), (Some(5), Some(10)), Some(false), Some(true)),
            ((Some(6), Some(10)), (Some(5), Some(4)), Some(false), Some(false)),
            ((None, Some(10)), (None, Some(4)), Some(false), None),
            ((Some(6), None), (Some(5), None), None, None),
        ] {
            assert_eq!(
                fits(&need(work.0, work.1), &need(output.0, output.1), shared),
                expected,
                "{work:?} {output:?} {shared:?}"
            );
        }
        assert_eq!(
            (human(999).as_str(), human(1500).as_str(), human(2_340_000_000_000).as_str()),
            ("999 bytes", "1.5 kB", "2.3 TB")
        );
    }
}
