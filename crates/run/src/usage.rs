//! Resources that this process has used, from Linux's `/proc/self`: resident memory and bytes read
//! and written. Elsewhere they are unknown.

use std::fs;

use serde::Serialize;

/// Resources of a process during a stage. Bytes are those of all its threads, whatever they did;
/// null where the system does not report them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Used {
    /// Largest resident memory of the process since it began (VmHWM).
    pub peak_bytes: Option<u64>,
    /// Largest resident memory seen during the stage, looked at four times a second.
    pub stage_peak_bytes: Option<u64>,
    /// Bytes that reads asked for, from the page cache or the disk (rchar). Mapped files do not
    /// count.
    pub read_bytes: Option<u64>,
    /// Bytes handed to writes (wchar).
    pub written_bytes: Option<u64>,
    /// Bytes that really came from the disk (read_bytes).
    pub disk_read_bytes: Option<u64>,
    /// Bytes that were to go to the disk (write_bytes).
    pub disk_written_bytes: Option<u64>,
}

/// The counters of reading and writing so far.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    read: Option<u64>,
    written: Option<u64>,
    disk_read: Option<u64>,
    disk_written: Option<u64>,
}

impl Counters {
    /// The counters now.
    pub fn now() -> Counters {
        let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
        let field = |name| number_after(&text, name);
        Counters {
            read: field("rchar:"),
            written: field("wchar:"),
            disk_read: field("read_bytes:"),
            disk_written: field("write_bytes:"),
        }
    }

    /// The resources used since; `stage_peak` is the largest resident memory seen meanwhile.
    pub fn until_now(&self, stage_peak: Option<u64>) -> Used {
        let now = Counters::now();
        let since = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        Used {
            peak_bytes: of_status("VmHWM:"),
            stage_peak_bytes: stage_peak,
            read_bytes: since(now.read, self.read),
            written_bytes: since(now.written, self.written),
            disk_read_bytes: since(now.disk_read, self.disk_read),
            disk_written_bytes: since(now.disk_written, self.disk_written),
        }
    }
}

/// Resident memory of this process, in bytes.
pub fn resident() -> Option<u64> {
    of_status("VmRSS:")
}

fn of_status(name: &str) -> Option<u64> {
    number_after(&fs::read_to_string("/proc/self/status").ok()?, name).map(|kib| kib << 10)
}

/// The number on the line that begins with `name`.
fn number_after(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_written_and_held_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let before = Counters::now();
        fs::write(directory.path().join("a"), vec![1u8; 3 << 20]).unwrap();
        let held = vec![1u8; 64 << 20];
        let used = before.until_now(resident());
        assert!(used.written_bytes.unwrap() >= 3 << 20, "{used:?}");
        assert!(used.peak_bytes.unwrap() >= held.len() as u64, "{used:?}");
    }
}
