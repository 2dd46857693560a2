//! Jobs of all kinds, several at once, while everything goes wrong that may.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::case::Case;
use crate::jobs::{Kind, Run};
use crate::plagues::Plague;
use crate::site::Site;
use crate::support::processes::descendants;
use crate::support::{Random, eventually};
use crate::tally::{Count, Tally};

/// What is run, and what goes wrong meanwhile.
pub(crate) struct Storm {
    pub(crate) seed: u64,
    /// Jobs at once.
    pub(crate) workers: u64,
    pub(crate) kinds: &'static [Kind],
    /// Lines that are cut and stall.
    pub(crate) lines: bool,
    pub(crate) plagues: Vec<Plague>,
    /// Clients that are stopped and slow.
    pub(crate) clients: bool,
}

impl Storm {
    /// Runs jobs until it is enough, then looks for what is left.
    pub(crate) fn rage(&self, enough: impl Fn(&Tally) -> bool + Sync) -> Tally {
        let line = |more| self.lines.then_some(self.seed.wrapping_add(more));
        let sites = [Site::unix(line(1)), Site::network(line(2)), Site::nats()];
        let (tally, dir) = (Tally::default(), tempfile::tempdir().unwrap());
        let (over, next) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            for (plague, seed) in self.plagues.iter().zip(self.seed..) {
                let (sites, over, tally) = (&sites, &over, &tally);
                scope.spawn(move || plague.rage(sites, over, seed, tally));
            }
            let work = || {
                while !enough(&tally) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    self.job(&sites, number, dir.path(), &tally);
                }
            };
            let workers: Vec<_> = (0..self.workers).map(|_| scope.spawn(work)).collect();
            let ended: Vec<_> = workers.into_iter().map(|it| it.join()).collect();
            over.store(true, Ordering::Relaxed);
            assert!(ended.iter().all(Result::is_ok), "a worker failed");
        });
        for site in &sites {
            nothing_is_left(site, &tally);
            site.count_faults(&tally);
        }
        tally
    }

    /// All of it is a function of its number and our seed.
    fn job(&self, sites: &[Site], number: u64, dir: &Path, tally: &Tally) {
        let seed = self.seed.wrapping_mul(1_000_000).wrapping_add(number);
        let mut random = Random::new(seed);
        // Those of neighbours are alike at first.
        random.next();
        let kind = self.kinds[random.below(self.kinds.len() as u64) as usize];
        let slowly = random.below(2) == 0;
        let case = Case::new(dir, seed);
        let run = Run {
            site: &sites[random.below(sites.len() as u64) as usize],
            case: if slowly { case.slowly() } else { case },
            random,
            tally,
            plagued: self.clients,
        };
        run.go(kind);
    }
}

/// No process without a job, no job that has not ended, none that was removed.
fn nothing_is_left(site: &Site, tally: &Tally) {
    let children = || {
        let all = descendants(site.keeper()).into_iter();
        let others = all.filter(|process| {
            let is = |flag| process.arguments.contains(flag);
            !is("--front") && !is("--nats-agent")
        });
        others.collect::<Vec<_>>()
    };
    eventually(|| children().is_empty().then_some(()));
    for left in children() {
        tally.wrong(Count::Left, format!("it has no job: {left:?}"));
    }
    for job in site.jobs(tally) {
        if job["state"] != "ended" || job["kept"] == true {
            tally.wrong(Count::Left, format!("a job that should not be: {job}"));
        }
    }
}
