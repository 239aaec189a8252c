//! What the kernel says about processes: time on a core, memory, and how busy the machine was with other things.

use std::fs;

/// `/proc` counts time in hundredths of a second, whatever the kernel's own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time at one moment, in seconds since the processes and the machine started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    /// The processes under test, with all their children.
    pub(crate) subject_s: f64,
    /// The bench's own server.
    pub(crate) upstream_s: f64,
    /// This process: the client.
    pub(crate) client_s: f64,
    /// Every process and the kernel itself.
    pub(crate) machine_s: f64,
    /// Time taken away by the machine below this one.
    pub(crate) stolen_s: f64,
}

impl Cpu {
    /// Reads the counters now.
    pub(crate) fn read(subject: Option<u32>, upstream: u32) -> Self {
        let (machine_s, stolen_s) = machine_s();
        Self {
            subject_s: subject.map_or(0.0, tree_s),
            upstream_s: tree_s(upstream),
            client_s: own_s("self").unwrap_or(0.0),
            machine_s,
            stolen_s,
        }
    }

    /// What was used since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            subject_s: self.subject_s - earlier.subject_s,
            upstream_s: self.upstream_s - earlier.upstream_s,
            client_s: self.client_s - earlier.client_s,
            machine_s: self.machine_s - earlier.machine_s,
            stolen_s: self.stolen_s - earlier.stolen_s,
        }
    }

    /// Time used by nobody in the test. The kernel's threads for the disk are in it, so a path that writes has some.
    pub(crate) fn foreign_s(&self) -> f64 {
        (self.machine_s - self.subject_s - self.upstream_s - self.client_s).max(0.0)
    }
}

/// Processor time of a process and all its descendants, ended ones included, in seconds.
pub(crate) fn tree_s(root: u32) -> f64 {
    tree(root).iter().filter_map(|pid| own_s(&pid.to_string())).sum()
}

/// Resident memory of a process and all its descendants, in MiB. Pages that they share count once for each.
pub(crate) fn tree_resident_mib(root: u32) -> f64 {
    let resident = |pid: &u32| -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    tree(root).iter().filter_map(resident).sum::<f64>() / 1_024.0
}

/// The machine in one line, and its load as the kernel sees it.
pub(crate) fn describe() -> String {
    let line = |text: &str, key: &str| -> Option<String> {
        Some(text.lines().find(|line| line.starts_with(key))?.split_once(':')?.1.trim().to_owned())
    };
    let processor = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| line(&text, "model name"));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{} cores, {}, Linux {}, load {}",
        std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        processor.unwrap_or_else(|| "unknown processor".into()),
        kernel.trim(),
        load.split(' ').take(3).collect::<Vec<_>>().join(" ")
    )
}

/// The type of the file system that `path` is on, as `/proc/mounts` calls it.
pub(crate) fn file_system(path: &std::path::Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let on = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        path.starts_with(point).then_some((point.len(), kind))
    });
    on.max_by_key(|(length, _)| *length).map_or_else(|| "unknown".into(), |(_, kind)| kind.to_owned())
}

fn tree(root: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if let Some(parent) = field(&pid.to_string(), 1) {
            parents.push((pid, parent));
        }
    }
    let mut found = vec![root];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(parents.iter().filter(|(_, of)| *of == u64::from(parent)).map(|(pid, _)| *pid));
        at += 1;
    }
    found
}

/// User and system time of one process and of its ended children.
fn own_s(pid: &str) -> Option<f64> {
    let ticks = (11..15).map(|at| field(pid, at)).sum::<Option<u64>>()?;
    Some(ticks as f64 / TICKS_PER_SECOND)
}

/// A field of `/proc/PID/stat`, counted from 0 at the state, which is the first one behind the command's name (a name may
/// hold spaces and brackets).
fn field(pid: &str, at: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(at)?.parse().ok()
}

fn machine_s() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_ascii_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, irq, softirq: idle and waiting for a disk are not work, stolen time is somebody else's.
    let busy = [0, 1, 2, 5, 6].iter().filter_map(|at| ticks.get(*at)).sum::<f64>();
    (busy / TICKS_PER_SECOND, ticks.get(7).copied().unwrap_or(0.0) / TICKS_PER_SECOND)
}
