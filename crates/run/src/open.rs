//! Preparing and opening runs.

use std::fs;
use std::path::Path;

use longweave_common::{Code, Ctx, Error, Result, ResultExt};
use longweave_storage::write_file;

use crate::context::{Place, RunContext, Stage};
use crate::fence::{Claim, Driving};
use crate::options::{OutputFormat, RunOptions};
use crate::registry::register;
use crate::resources::Resources;
use crate::run_file::{RunFile, current_directory};

/// Changes when a work directory's layout or the form of done records does. Results of one stage
/// have a version of their own.
pub const WORK_FORMAT: u32 = 6;

impl RunContext {
    /// Prepares a run: lists the input, loads the tokenizer, writes `run.json`. A directory that
    /// holds the same run is resumed; until something is packed, files may have changed since (a
    /// row was fixed, say): results in the work directory are found by content, so no old result is
    /// taken for a new one. This process is the run's only driver until the second value is dropped.
    /// `list` is that of all stages, in order.
    ///
    /// Errors: whatever is wrong with options or inputs; `RUN_MISMATCH` for a directory of another
    /// run, `INPUT_CHANGED`, `OUTPUT_EXISTS`.
    pub fn prepare(
        list: &'static [Stage],
        ctx: &Ctx,
        options: RunOptions,
        out: &Path,
        claim: &Claim<'_>,
    ) -> Result<(RunContext, Driving)> {
        let (file, resources) = RunFile::resolve(ctx, options, out)?;
        refuse_other_files(out, file.options.output.format)?;
        let driving = Driving::begin(out, &ctx.cancel, claim)?;
        let run = Self::checked(list, ctx, (file, resources), out)?.of_driver(&driving);
        run.file.write(out)?;
        write_work_version(run.work())?;
        register(run.work(), out)?;
        Ok((run, driving))
    }

    /// The result of [`RunContext::prepare`], without writing or locking anything.
    ///
    /// Errors: as [`RunContext::prepare`].
    pub fn resolve_dry(
        list: &'static [Stage],
        ctx: &Ctx,
        options: RunOptions,
        out: &Path,
    ) -> Result<RunContext> {
        let (file, resources) = RunFile::resolve(ctx, options, out)?;
        refuse_other_files(out, file.options.output.format)?;
        let run = Self::checked(list, ctx, (file, resources), out)?;
        check_work_version(run.work()).map(|_| run)
    }

    fn checked(
        list: &'static [Stage],
        ctx: &Ctx,
        (file, resources): (RunFile, Resources),
        out: &Path,
    ) -> Result<RunContext> {
        let path = out.join("run.json");
        if path.exists() {
            let stored = RunFile::read(out)?;
            stored.compare_options(&file, out)?;
            if output_began(list, out)? {
                stored.compare_inputs(&file, out)?;
            }
        }
        let run = RunContext::new(list, file, resources, out);
        run.stages().try_for_each(|stage| stage.check_run(&ctx.cancel, &run))?;
        Ok(run)
    }

    /// Checks that need no document: the tokenizer, other files that the options name, a directory
    /// of something else.
    ///
    /// Errors: as [`RunContext::prepare`].
    pub fn check_before_input(options: &RunOptions, out: &Path) -> Result<()> {
        let resources = Resources::new(options, &current_directory()?);
        resources.tokenizer_info(options)?;
        resources.inputs(options)?;
        refuse_other_files(out, options.output.format)
    }

    /// The run prepared in `out`.
    ///
    /// Errors: `RUN_NOT_PREPARED`, `VERSION_MISMATCH`, `FILE_CORRUPT`.
    pub fn open(list: &'static [Stage], out: &Path) -> Result<RunContext> {
        let run = Self::open_read_only(list, out)?;
        write_work_version(run.work())?;
        Ok(run)
    }

    /// The run prepared in `out`, to look at: nothing is written.
    ///
    /// Errors: as [`RunContext::open`].
    pub fn open_read_only(list: &'static [Stage], out: &Path) -> Result<RunContext> {
        let path = out.join("run.json");
        if !path.exists() {
            let message = format!(
                "{} holds no run.json; prepare the run with `longweave prepare --out {}`",
                out.display(),
                out.display()
            );
            return Err(Error::new(Code::RunNotPrepared, message).with_file(&path));
        }
        let file = RunFile::read(out)?;
        let resources = Resources::new(&file.options, &file.base);
        Ok(RunContext::new(list, file, resources, out))
    }

    /// Checks that the tokenizer and other files that decide results are still those the run was
    /// prepared with.
    ///
    /// Errors: `INPUT_CHANGED`.
    pub fn check_inputs(&self) -> Result<()> {
        self.file.check_inputs(&self.resources, self.out())
    }
}

/// Whether a task has ever begun whose results are in the output directory: from then on the
/// directory holds what was made of its inputs.
fn output_began(list: &[Stage], out: &Path) -> Result<bool> {
    let state = out.join(".state");
    if !state.exists() {
        return Ok(false);
    }
    let prefixes: Vec<String> = list
        .iter()
        .filter(|stage| stage.place == Place::Output)
        .map(|stage| format!("{}-", stage.name))
        .collect();
    for entry in fs::read_dir(&state).at("open", &state)? {
        let name = entry.at("read", &state)?.file_name();
        if prefixes.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A directory without a run must be empty; what is hidden does not count.
fn refuse_other_files(out: &Path, format: OutputFormat) -> Result<()> {
    if out.join("run.json").exists() {
        return Ok(());
    }
    let entries = match fs::read_dir(out) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.at("open", out)?,
    };
    for entry in entries {
        let name = entry.at("read", out)?.file_name();
        if format.file().is_some() && !name.to_string_lossy().starts_with('.') {
            let message = format!(
                "{} holds files that are not this run's ({}); choose an empty or new directory",
                out.display(),
                name.display()
            );
            return Err(Error::new(Code::OutputExists, message).with_file(out));
        }
    }
    Ok(())
}

/// Whether the work directory says its format, which must be ours.
pub fn check_work_version(work: &Path) -> Result<bool> {
    let path = work.join("VERSION");
    match fs::read_to_string(&path) {
        Ok(found) if found == work_version() => Ok(true),
        Ok(found) => {
            let message = format!(
                "{} says \"{}\", this version needs format {WORK_FORMAT}; choose another \
                 `--work` directory, or delete this one",
                path.display(),
                found.trim()
            );
            Err(Error::new(Code::VersionMismatch, message).with_file(&path))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io(&e, "read", &path)),
    }
}

fn write_work_version(work: &Path) -> Result<()> {
    if !check_work_version(work)? {
        write_file(&work.join("VERSION"), work_version().as_bytes())?;
    }
    Ok(())
}

fn work_version() -> String {
    format!("longweave work directory, format {WORK_FORMAT}\n")
}

#[cfg(test)]
mod tests {
    use longweave_plan::PLAN_FORMAT;

    use super::*;
    use crate::run_file::RUN_FORMAT;

    #[test]
    fn formats_md_names_the_formats_that_this_version_writes() {
        let page = include_str!("../../../FORMATS.md");
        let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
        for sentence in [
            format!("`VERSION` holds the format of the whole directory ({WORK_FORMAT})"),
            format!("`OUT/run.json` (format {RUN_FORMAT})"),
            format!("`holdout/plan.json` | format ({PLAN_FORMAT})"),
        ] {
            assert!(page.contains(&sentence), "FORMATS.md does not say: {sentence}");
        }
    }
}
