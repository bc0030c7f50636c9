//! Every order of what an administrator can do with a package.

use std::collections::{HashSet, VecDeque};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// `apt install` of the release that was there last, or of this one.
    Install,
    /// `apt install --reinstall`.
    Reinstall,
    /// `apt install` of the release after this one.
    Upgrade,
    /// `apt remove`.
    Remove,
    /// `apt purge`.
    Purge,
}

/// How a package stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Not there, and nothing left.
    Absent,
    /// Of this release.
    Installed(Release),
    /// Its configuration is left.
    Removed(Release),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Release {
    This,
    Next,
}

use Release::{Next, This};
use Standing::{Absent, Installed, Removed};

impl Standing {
    /// What can be done now, and how it stands then.
    pub fn ways(self) -> Vec<(Step, Standing)> {
        match self {
            Absent => vec![(Step::Install, Installed(This))],
            Installed(release) => {
                let upgrade = (release == This).then_some((Step::Upgrade, Installed(Next)));
                let others =
                    [(Step::Reinstall, self), (Step::Remove, Removed(release)), (Step::Purge, Absent)];
                upgrade.into_iter().chain(others).collect()
            }
            Removed(release) => {
                let upgrade = (release == This).then_some((Step::Upgrade, Installed(Next)));
                let others = [(Step::Install, Installed(release)), (Step::Purge, Absent)];
                upgrade.into_iter().chain(others).collect()
            }
        }
    }
}

/// A step, and how it stood before.
type Taken = (Standing, Step);

/// One way from nothing to nothing in which every possible sequence of so many steps occurs. Each step leads to the nearest
/// sequence that has not occurred yet.
pub fn every_order(length: usize) -> Vec<(Step, Standing)> {
    let wanted = sequences(length);
    let mut seen: HashSet<Vec<Taken>> = HashSet::new();
    let mut way: Vec<Taken> = Vec::new();
    let mut standing = Absent;
    while seen.len() < wanted.len() {
        let begin = way.len();
        (way, standing) = extended(&way, standing, length, &seen);
        for end in begin + 1..=way.len() {
            if end >= length {
                seen.insert(way[end - length..end].to_vec());
            }
        }
    }
    if standing != Absent {
        way.push((standing, Step::Purge));
    }
    way.iter()
        .map(|&(before, step)| {
            let mut ways = before.ways().into_iter();
            ways.find(|(possible, _)| *possible == step).expect("only possible steps are taken")
        })
        .collect()
}

/// The shortest continuation of a way that ends in a sequence that has not been seen.
fn extended(
    way: &[Taken],
    standing: Standing,
    length: usize,
    seen: &HashSet<Vec<Taken>>,
) -> (Vec<Taken>, Standing) {
    let mut queue = VecDeque::from([(way.to_vec(), standing)]);
    while let Some((way, standing)) = queue.pop_front() {
        for (step, next) in standing.ways() {
            let mut longer = way.clone();
            longer.push((standing, step));
            if longer.len() >= length && !seen.contains(&longer[longer.len() - length..]) {
                return (longer, next);
            }
            queue.push_back((longer, next));
        }
    }
    unreachable!("from every standing, every other one can be reached")
}

/// Every possible sequence of so many steps, from every standing.
fn sequences(length: usize) -> HashSet<Vec<Taken>> {
    let all = [Absent, Installed(This), Installed(Next), Removed(This), Removed(Next)];
    let mut found: Vec<(Vec<Taken>, Standing)> = all.map(|standing| (Vec::new(), standing)).into();
    for _ in 0..length {
        let longer = |(way, standing): &(Vec<Taken>, Standing)| {
            let (way, standing) = (way.clone(), *standing);
            let ways = standing.ways().into_iter();
            ways.map(move |(step, next)| ([&way[..], &[(standing, step)]].concat(), next)).collect::<Vec<_>>()
        };
        found = found.iter().flat_map(longer).collect();
    }
    found.into_iter().map(|(way, _)| way).collect()
}

#[test]
fn the_way_holds_every_sequence() {
    for length in 1..=4 {
        let way = every_order(length);
        let mut taken = Vec::new();
        let mut standing = Absent;
        for &(step, next) in &way {
            assert!(standing.ways().contains(&(step, next)));
            taken.push((standing, step));
            standing = next;
        }
        assert_eq!(standing, Absent);
        let occurred: HashSet<Vec<Taken>> = taken.windows(length).map(<[Taken]>::to_vec).collect();
        assert!(sequences(length).is_subset(&occurred));
        println!("every sequence of {length}: {} steps", way.len());
    }
}
