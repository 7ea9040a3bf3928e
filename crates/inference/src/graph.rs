//! A session with its binding: values in by name, values out in the order of the asked names.
//! Values that stay on the device are handed from run to run without a copy.

use std::path::{Path, PathBuf};

use longweave_common::{Code, Error, Result};
use ort::memory::MemoryInfo;
use ort::session::{IoBinding, Session};
use ort::value::{DynValue, Outlet, TensorElementType, ValueType};

use crate::device::Sessions;
use crate::runtime::runtime_error;
use crate::stop::Stop;

/// A model's graph, ready to run.
pub(crate) struct Graph {
    stop: Stop,
    session: Session,
    binding: IoBinding,
    file: PathBuf,
}

impl Graph {
    /// Opens a model file.
    ///
    /// Errors: as [`Sessions::open`]; `MODEL_MISSING`.
    pub(crate) fn open(sessions: &Sessions, path: &Path) -> Result<Graph> {
        Graph::of(sessions, sessions.open(path)?, path)
    }

    pub(crate) fn of(sessions: &Sessions, session: Session, file: &Path) -> Result<Graph> {
        let binding = session.create_binding().map_err(|e| runtime_error("bind a session", &e))?;
        Ok(Graph { stop: sessions.stop.clone(), session, binding, file: file.to_owned() })
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    fn names(outlets: &[Outlet]) -> Vec<&str> {
        outlets.iter().map(Outlet::name).collect()
    }

    pub(crate) fn inputs(&self) -> Vec<&str> {
        Self::names(self.session.inputs())
    }

    pub(crate) fn outputs(&self) -> Vec<&str> {
        Self::names(self.session.outputs())
    }

    /// Checks that the inputs are these, with no other, and that these outputs are there.
    ///
    /// Errors: `MODEL_MISMATCH`, with the names expected and found.
    pub(crate) fn require(&self, inputs: &[String], outputs: &[String]) -> Result<()> {
        let (has_inputs, has_outputs) = (self.inputs(), self.outputs());
        let missing_input = inputs.iter().any(|n| !has_inputs.contains(&n.as_str()));
        let unknown_input = has_inputs.iter().any(|n| !inputs.iter().any(|i| i == n));
        if missing_input || unknown_input {
            return Err(self.mismatch("inputs", inputs, &has_inputs));
        }
        if outputs.iter().any(|n| !has_outputs.contains(&n.as_str())) {
            return Err(self.mismatch("outputs", outputs, &has_outputs));
        }
        Ok(())
    }

    fn mismatch(&self, what: &str, expected: &[String], found: &[&str]) -> Error {
        let message = format!(
            "{} has the {what} {}, where {} were expected; export the model again, in one of the \
             layouts that the documentation names",
            self.file.display(),
            brief(found),
            brief(&expected.iter().map(String::as_str).collect::<Vec<_>>())
        );
        Error::new(Code::ModelMismatch, message)
            .with_file(&self.file)
            .with("expected", expected.to_vec())
            .with("found", found.iter().map(|&n| n.to_owned()).collect::<Vec<_>>())
    }

    /// Type of an input's elements, and its declared sizes (negative where they vary).
    ///
    /// Errors: `MODEL_MISMATCH` when it is no tensor.
    pub(crate) fn input_type(&self, name: &str) -> Result<(TensorElementType, Vec<i64>)> {
        self.outlet_type(self.session.inputs(), name)
    }

    /// As [`Self::input_type`], of an output.
    pub(crate) fn output_type(&self, name: &str) -> Result<(TensorElementType, Vec<i64>)> {
        self.outlet_type(self.session.outputs(), name)
    }

    fn outlet_type(&self, outlets: &[Outlet], name: &str) -> Result<(TensorElementType, Vec<i64>)> {
        match outlets.iter().find(|o| o.name() == name).map(Outlet::dtype) {
            Some(ValueType::Tensor { ty, shape, .. }) => Ok((*ty, shape.to_vec())),
            _ => {
                let message = format!("{} has no tensor `{name}`", self.file.display());
                Err(Error::new(Code::ModelMismatch, message).with_file(&self.file))
            }
        }
    }

    /// Binds an input for the next run.
    pub(crate) fn input(&mut self, name: &str, value: &DynValue) -> Result<()> {
        self.binding
            .bind_input(name, value)
            .map_err(|e| runtime_error(&format!("bind the input `{name}`"), &e))
    }

    /// Runs; the outputs are allocated in the memory named with each.
    pub(crate) fn run<'n>(
        &mut self,
        outputs: impl IntoIterator<Item = (&'n str, &'n MemoryInfo<'static>)> + Clone,
    ) -> Result<Vec<DynValue>> {
        let action = format!("run {}", self.file.display());
        let failed = |e: ort::Error| runtime_error(&action, &e);
        for (name, memory) in outputs.clone() {
            self.binding.bind_output_to_device(name, memory).map_err(failed)?;
        }
        let mut values = self
            .session
            .run_binding_with_options(&self.binding, self.stop.options())
            .map_err(failed)?;
        let taken = outputs.into_iter().map(|(name, _)| {
            values.remove(name).ok_or_else(|| {
                Error::new(
                    Code::InferenceFailed,
                    format!("{} gave no `{name}`", self.file.display()),
                )
            })
        });
        let taken: Result<Vec<DynValue>> = taken.collect();
        drop(values);
        // Otherwise the binding would keep values that the caller drops.
        self.binding.clear();
        taken
    }
}

/// Names in a message: the first few.
fn brief(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(6).map(|n| format!("`{n}`")).collect();
    let more = names.len().saturating_sub(6);
    format!(
        "{}{}",
        shown.join(", "),
        if more > 0 { format!(" and {more} more") } else { String::new() }
    )
}
