//! The device that a model runs on, and sessions on it.

use std::fmt;
use std::path::Path;

use longweave_common::{Code, Error, Result};
use ort::ep::{self, ExecutionProvider};
use ort::logging::LogLevel;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use crate::runtime::{Runtime, reason, runtime_error};
use crate::stop::Stop;

/// The requested device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    Cpu,
    /// A GPU by its number.
    Cuda(i32),
    /// The first GPU if it can be used, else the CPU. The summary reports the choice.
    Auto,
}

impl Device {
    /// From `cpu`, `cuda`, `cuda:N` or `auto`.
    ///
    /// Errors: `OPTIONS_INVALID`.
    pub fn parse(text: &str) -> Result<Device> {
        let number = text.strip_prefix("cuda:").and_then(|n| n.parse::<u16>().ok());
        match (text, number) {
            ("cpu", _) => Ok(Device::Cpu),
            ("cuda", _) => Ok(Device::Cuda(0)),
            ("auto", _) => Ok(Device::Auto),
            (_, Some(n)) => Ok(Device::Cuda(i32::from(n))),
            _ => {
                let message =
                    format!("a device must be cpu, cuda, cuda:N or auto, but is {text:?}");
                Err(Error::new(Code::OptionsInvalid, message).with("option", "queries.device"))
            }
        }
    }
}

/// How to use the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Which.
    pub device: Device,
    /// Threads of a processor, at least 1.
    pub threads: usize,
    /// Bytes of a GPU's memory that the arena may take; `None` for all.
    pub memory: Option<u64>,
    /// Whether a GPU may round the inputs of fp32 products to TF32.
    pub tf32: bool,
}

/// The execution provider that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// `CPUExecutionProvider`. With `auto` and a library that could use a GPU: why it does not.
    Cpu(Option<String>),
    /// `CUDAExecutionProvider` on the GPU of that number.
    Cuda(i32),
}

impl Provider {
    /// A remark on the choice for the user.
    pub fn warning(&self) -> Option<String> {
        match self {
            Provider::Cpu(Some(why)) => {
                Some(format!("`device: auto` uses the CPU, because the GPU cannot be used: {why}"))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Provider::Cpu(_) => f.write_str("cpu"),
            Provider::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

/// Makes sessions on the chosen device.
#[derive(Clone)]
pub(crate) struct Sessions {
    runtime: &'static Runtime,
    options: DeviceOptions,
    pub(crate) provider: Provider,
    /// Stops what the sessions run.
    pub(crate) stop: Stop,
}

impl Sessions {
    /// Errors: `DEVICE_UNAVAILABLE` where a GPU was asked for and cannot be used: never a silent
    /// fall back.
    pub(crate) fn new(runtime: &'static Runtime, options: DeviceOptions) -> Result<Sessions> {
        let stop = Stop::new()?;
        let on = |provider| Sessions { runtime, options, provider, stop: stop.clone() };
        Ok(match options.device {
            Device::Cpu => on(Provider::Cpu(None)),
            Device::Cuda(n) => {
                let sessions = on(Provider::Cuda(n));
                sessions.builder().map_err(|e| {
                    let message = format!(
                        "cuda:{n} cannot be used: {e}. CUDA needs the library of PyPI's \
                         onnxruntime-gpu (its `capi` folder, through ONNXRUNTIME_LIB), a GPU with \
                         its driver, CUDA and cuDNN; `device: cpu` works without"
                    );
                    Error::new(Code::DeviceUnavailable, message)
                        .with("device", format!("cuda:{n}"))
                        .with("library", runtime.path().display().to_string())
                })?;
                sessions
            }
            Device::Auto if !ep::CUDA::is_available().unwrap_or(false) => on(Provider::Cpu(None)),
            Device::Auto => {
                let cuda = on(Provider::Cuda(0));
                match cuda.builder() {
                    Ok(_) => cuda,
                    Err(e) => on(Provider::Cpu(Some(e))),
                }
            }
        })
    }

    /// A builder of sessions. The error is a message.
    fn builder(&self) -> Result<SessionBuilder, String> {
        let said = |e: &dyn fmt::Display| reason(&e.to_string());
        let builder = SessionBuilder::new(&self.runtime.environment).map_err(|e| said(&e))?;
        let builder =
            builder.with_optimization_level(GraphOptimizationLevel::All).map_err(|e| said(&e))?;
        let builder = builder.with_log_level(LogLevel::Fatal).map_err(|e| said(&e))?;
        match self.provider {
            Provider::Cpu(_) => {
                let builder = builder
                    .with_intra_threads(self.options.threads.max(1))
                    .map_err(|e| said(&e))?;
                // Lengths change from batch to batch: a pattern of allocations would be kept for
                // each.
                builder.with_memory_pattern(false).map_err(|e| said(&e))
            }
            Provider::Cuda(n) => {
                if !ep::CUDA::is_available().unwrap_or(false) {
                    return Err(format!(
                        "{} was built without the CUDA provider",
                        self.runtime.path().display()
                    ));
                }
                let mut cuda = ep::CUDA::default()
                    .with_device_id(n)
                    .with_tf32(self.options.tf32)
                    .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested);
                if let Some(bytes) = self.options.memory {
                    cuda = cuda.with_memory_limit(usize::try_from(bytes).unwrap_or(usize::MAX));
                }
                builder
                    .with_execution_providers([cuda.build().error_on_failure()])
                    .map_err(|e| said(&e))
            }
        }
    }

    /// A session over a model file.
    ///
    /// Errors: `MODEL_INVALID`, `DEVICE_UNAVAILABLE`, `INFERENCE_FAILED`.
    pub(crate) fn open(&self, path: &Path) -> Result<Session> {
        let mut builder = self.any_builder()?;
        builder.commit_from_file(path).map_err(|e| {
            let text = reason(&e.to_string());
            let file = path.display().to_string();
            if self.provider != Provider::Cpu(None)
                && (text.contains("CUDA") || text.contains("cuda") || text.contains("cuDNN"))
            {
                let message = format!("{file} cannot be prepared on {}: {text}", self.provider);
                return Error::new(Code::DeviceUnavailable, message).with("file", file);
            }
            let message = format!(
                "{file} is not a model that ONNX Runtime can load: {text}; export or copy it again"
            );
            Error::new(Code::ModelInvalid, message).with("file", file)
        })
    }

    /// A session over a graph made here.
    pub(crate) fn build(&self, model: ort::editor::Model) -> Result<Session> {
        let builder = self.any_builder()?;
        model.into_session(&builder).map_err(|e| {
            Error::new(
                Code::InferenceFailed,
                format!("a graph of longweave's own does not load: {e}"),
            )
        })
    }

    fn any_builder(&self) -> Result<SessionBuilder> {
        self.builder().map_err(|e| {
            Error::new(Code::DeviceUnavailable, format!("{} cannot be used: {e}", self.provider))
        })
    }

    /// Where values stay between two runs.
    pub(crate) fn memory(&self) -> Result<MemoryInfo<'static>> {
        let (device, n) = match self.provider {
            Provider::Cpu(_) => (AllocationDevice::CPU, 0),
            Provider::Cuda(n) => (AllocationDevice::CUDA, n),
        };
        MemoryInfo::new(device, n, AllocatorType::Device, MemoryType::Default)
            .map_err(|e| runtime_error("describe a device's memory", &e))
    }

    /// Where results are read.
    pub(crate) fn host() -> Result<MemoryInfo<'static>> {
        MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default)
            .map_err(|e| runtime_error("describe the host's memory", &e))
    }
}
