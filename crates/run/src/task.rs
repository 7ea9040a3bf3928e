//! Running one task: its lease, its record, and what is swept up after it.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use longweave_common::{Code, Ctx, Error, Result, ResultExt};
use longweave_storage::{DoneRecord, Lock, failpoint, sweep, sweep_below};

use crate::context::{Place, RunContext, Stage};
use crate::fence::lock_file;

/// Deletes the files of an attempt that lost to another, whose record counts. A file that cannot be
/// deleted costs only space.
fn give_way(directory: &Path, own: &[String], counts: &DoneRecord) {
    for name in own.iter().filter(|&name| counts.files.iter().all(|file| file.name != *name)) {
        let _ = fs::remove_file(directory.join(name));
    }
}

impl RunContext {
    /// Runs one task, unless it is done. Waits while another process runs the same one.
    ///
    /// Errors: `STAGE_NOT_READY`, `STAGE_NOT_FOUND` for a task beyond the last, and whatever the
    /// task meets.
    pub fn run_task(&self, ctx: &Ctx, stage: Stage, task: u32) -> Result<DoneRecord> {
        for input in self.inputs(stage) {
            self.all_done(input)?;
        }
        let tasks = self.tasks(stage)?.unwrap_or(0);
        if task >= tasks {
            let message = format!(
                "stage {} has {tasks} tasks, numbered from 0; there is no task {task}",
                stage.name
            );
            return Err(Error::new(Code::StageNotFound, message)
                .with("stage", stage.name)
                .with("task", task));
        }
        if let Some(record) = self.done(stage, task)? {
            return Ok(record);
        }
        let _lease = self.lease(ctx, stage, task)?;
        let path = self.record(stage, task);
        let recorded = path.exists();
        if let Some(record) = self.done(stage, task)? {
            return Ok(record);
        }
        ctx.cancel.check()?;
        self.check_driver()?;
        if recorded {
            // Its files are gone; it must not count for those of this attempt.
            self.take_away(stage, task)?;
        }
        let record = self.log.task(stage.name, task, || {
            failpoint::hit("task", &path).at("begin", &path)?;
            let own = stage.run(ctx, self, task).map_err(|e| self.locate(e))?;
            let names: Vec<String> = own.files.iter().map(|file| file.name.clone()).collect();
            self.check_driver()?;
            let record = own.put(&path)?;
            give_way(&self.directory(stage), &names, &record);
            Ok(record)
        })?;
        stage.after(self, task);
        Ok(record)
    }

    /// The lock of a task, which keeps it from being done twice at once; `None` where the file system
    /// does not have locks, or it is taken and a driver sees to it: two attempts are harmless.
    pub(crate) fn lease(&self, ctx: &Ctx, stage: Stage, task: u32) -> Result<Option<Lock>> {
        let path = self.lease_file(stage, task);
        loop {
            match Lock::take_if_supported(&path, &format!("task {task} of stage {}", stage.name)) {
                Err(_) if self.is_driven() => return Ok(None),
                Err(e) if e.code() == Code::RunLocked => {
                    ctx.cancel.check()?;
                    std::thread::sleep(Duration::from_millis(50));
                }
                other => return other,
            }
        }
    }

    /// Tasks of a stage that have, or had, a lock, in order.
    pub fn leased(&self, stage: Stage) -> Vec<u32> {
        let entries = fs::read_dir(self.lease_folder(stage)).into_iter().flatten().flatten();
        let mut tasks: Vec<u32> =
            entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        tasks.sort_unstable();
        tasks
    }

    /// The processes of this machine that hold the lock of the run's driver or of a task. Locks of
    /// stages of many tasks that are complete are not looked at.
    pub fn living(&self) -> HashSet<u32> {
        let open = self.stages().filter(|&stage| !self.record_list(stage).exists());
        let leases = open.filter_map(|stage| fs::read_dir(self.lease_folder(stage)).ok());
        leases
            .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
            .chain([lock_file(self.out())])
            .filter_map(|path| Lock::holder(&path).filter(|holder| holder.alive == Some(true)))
            .map(|holder| holder.process)
            .collect()
    }

    /// Removes what killed attempts left half written in the directories of a stage. Files that a
    /// living process writes stay.
    pub fn sweep_stage(&self, stage: Stage) {
        stage.sweep(self);
        sweep_below(&self.state(stage));
        match stage.place {
            // The output directory itself: what is hidden in it is not the stage's.
            Place::Output => {
                sweep(self.out());
                let folders = fs::read_dir(self.out()).into_iter().flatten().flatten();
                let folders = folders.filter(|e| {
                    !e.file_name().to_string_lossy().starts_with('.')
                        && e.file_type().is_ok_and(|t| t.is_dir())
                });
                folders.for_each(|folder| _ = sweep_below(&folder.path()));
            }
            Place::Work => _ = sweep_below(&self.directory(stage)),
        }
    }
}

#[cfg(test)]
mod tests {
    use longweave_storage::{FileRecord, write_file};
    use serde_json::json;

    use super::*;

    #[test]
    fn an_attempt_that_lost_deletes_its_own_files_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            FileRecord::new(name, write_file(&directory.path().join(name), b"x").unwrap())
        };
        let counts = DoneRecord { files: vec![write("0-a.x"), write("0.y")], counts: json!({}) };
        write("0-b.x");
        let own = ["0-b.x", "0.y", "0-b.gone"].map(str::to_owned);
        give_way(directory.path(), &own, &counts);
        let left = |name: &str| directory.path().join(name).exists();
        assert!(left("0-a.x") && left("0.y") && !left("0-b.x"));
    }
}
