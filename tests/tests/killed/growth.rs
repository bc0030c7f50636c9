//! What must not grow: memory, open files, processes, and files of the server's state.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use auto_monitor_tests::process::Running;

use crate::role::{self, Role};

/// What the names of files and folders begin with that are in the making.
const UNFINISHED: [&str; 4] = [".new", ".staging", ".scratch", ".current-new"];
/// How many sets are kept, the one in force where it is none of them, and one that is being made.
const SETS: usize = 5 + 1 + 1;
/// The files of a set for each host: one for the engine, one for the checking program.
const OF_A_SET: usize = 2;
/// The files and folders of a set besides.
const OF_A_SET_BESIDES: usize = 20;
/// The files for each host: its record, its key, the link of its name, when it was seen, what it says of maintenance and what
/// the engine was told of that, and what is said of it.
const OF_A_HOST: usize = 7;
/// The locks, the endpoint's key and configuration, the folders themselves, and what is just being written.
const BESIDES: usize = 60;
/// By how much more memory is taken for growth: this part of it, in percent, and so many KiB. The number of services goes up
/// and down by as much, and the allocator gives back what it has when it likes. Between what is compared are a hundred publishes
/// and more, so what a publish would lose, more than 50 KiB, is seen.
const MORE: (u64, u64) = (10, 4096);
/// So many open files more are no growth: no moment need be as quiet as another one.
const OPEN_MORE: usize = 4;

/// What one process holds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Holding {
    id: i32,
    /// In KiB.
    pub resident: u64,
    /// The most that it ever was, in KiB.
    pub peak: u64,
    /// Open files; none where nobody may look, as into an sshd.
    pub descriptors: Option<usize>,
}

/// What there was at a moment.
#[derive(Debug, Clone)]
pub struct Sample {
    /// How many processes there were of each role.
    pub processes: BTreeMap<Role, usize>,
    /// What those hold that stay.
    pub holdings: BTreeMap<Role, Holding>,
    /// How many files and folders the server's state has.
    pub files: usize,
    /// How many of them are in the making.
    pub unfinished: usize,
}

impl Sample {
    /// What there is now.
    pub fn take(state: &Path) -> Result<Self> {
        let everybody = role::everybody();
        // What a role has begun for itself is small beside it.
        let own = i32::try_from(std::process::id())?;
        let first = everybody.iter().filter(|(role, process)| role.stays() && process.parent == own);
        let holdings = first.filter_map(|(role, process)| Some((*role, holding(process)?))).collect();
        let [files, unfinished] = files(state)?;
        Ok(Self { processes: role::count(&everybody), holdings, files, unfinished })
    }

    /// No more files than so many hosts give reason for.
    ///
    /// # Errors
    /// There are more.
    pub fn is_within(&self, hosts: usize) -> Result<()> {
        let most = SETS * (OF_A_SET * hosts + OF_A_SET_BESIDES) + OF_A_HOST * hosts + BESIDES;
        ensure!(self.files <= most, "the server's state has {} files, more than {most}", self.files);
        Ok(())
    }

    /// In one line.
    pub fn shown(&self) -> String {
        let mut text = String::new();
        for (role, Holding { resident, peak, descriptors, .. }) in &self.holdings {
            let open = descriptors.map(|count| format!(", {count} open")).unwrap_or_default();
            let _ = write!(text, "{role:?} {resident} KiB (peak {peak}{open}); ");
        }
        let processes: usize = self.processes.values().sum();
        text + &format!("{processes} processes; {} files, {} in the making", self.files, self.unfinished)
    }
}

fn holding(process: &Running) -> Option<Holding> {
    let id = process.id.as_raw_nonzero().get();
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let number = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    let descriptors = fs::read_dir(format!("/proc/{id}/fd")).ok().map(Iterator::count);
    Some(Holding { id, resident: number("VmRSS:")?, peak: number("VmHWM:")?, descriptors })
}

/// How many files and folders there are below a folder, and how many of them in the making. Most vanish at any moment.
fn files(folder: &Path) -> Result<[usize; 2]> {
    let (mut all, mut unfinished) = (0, 0);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        all += 1;
        unfinished += usize::from(UNFINISHED.iter().any(|begin| name.starts_with(begin)));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let below = files(&entry.path())?;
            all += below[0];
            unfinished += below[1];
        }
    }
    Ok([all, unfinished])
}

/// What stays has not died by itself, and holds no more in the last quarter of these samples than in the second one; in the
/// first, it has yet to do everything once.
///
/// # Errors
/// It does, or has died.
pub fn nothing_has_grown(samples: &[Sample]) -> Result<()> {
    let quarter = samples.len() / 4;
    if quarter == 0 {
        println!("too short to see anything grow");
        return Ok(());
    }
    let (before, after) = (&samples[quarter..2 * quarter], &samples[samples.len() - quarter..]);
    for role in Role::ALL.into_iter().filter(|role| role.stays()) {
        let held = |samples: &[Sample]| -> Vec<Holding> {
            samples.iter().filter_map(|sample| sample.holdings.get(&role).copied()).collect()
        };
        let lives: BTreeSet<i32> = held(samples).iter().map(|holding| holding.id).collect();
        ensure!(lives.len() == 1, "{role:?} was not killed, and has had {} lives", lives.len());
        let memory = |samples: &[Sample]| median(held(samples).iter().map(|holding| holding.resident));
        // The fewest: what is open for a connection, or while something is read, is open for a moment.
        let open = |samples: &[Sample]| {
            held(samples).iter().filter_map(|holding| holding.descriptors).min().unwrap_or_default()
        };
        let (first, last) = (memory(before), memory(after));
        println!("| {role:?}: memory in KiB, first and last | {first} to {last} |");
        let (percent, kibibytes) = MORE;
        ensure!(last <= first + first * percent / 100 + kibibytes, "the memory of {role:?} grows");
        let (first, last) = (open(before), open(after));
        println!("| {role:?}: open files, first and last | {first} to {last} |");
        ensure!(last <= first + OPEN_MORE, "the open files of {role:?} grow");
    }
    Ok(())
}

fn median<T: Ord + Copy + Default>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Nothing below a folder is in the making.
pub fn nothing_is_left(folder: &Path) -> Result<()> {
    let [_, unfinished] = files(folder)?;
    ensure!(unfinished == 0, "{unfinished} files below {} were never finished", folder.display());
    Ok(())
}
