// SPDX-License-Identifier: Apache-2.0
//! Copies and moves, as `cp`, `mv` and `sync` make them: into a store, out of one, between stores.
//!
//! ```text
//!  command line ─▶ clash     two sources with one target are refused before anything is copied
//!               ─▶ plan      sources and target ─▶ a stream of jobs (walk: files of a tree; listings: names of a prefix)
//!                            job: one copy · destination: where a listed name goes · ancestors: no file at `a` and `a/b`
//!               ─▶ equal     what is there already is skipped
//!               ─▶ copy_one  the copy itself, `--concurrency` at a time ─▶ tally
//!                            local_file: it appears when it is whole · remove_source: what a move takes away
//!                            rehearse: `--dry-run`, in the copy's place: what it would meet
//! ```

mod ancestors;
mod clash;
mod copy_one;
mod destination;
mod equal;
mod job;
mod local_file;
mod plan;
mod rehearse;
mod remove_source;
mod walk;

pub(crate) use copy_one::How;
pub(crate) use equal::Compare;
pub(crate) use job::Target;
pub(crate) use local_file::is_partial;
pub(crate) use plan::Plan;

use crate::exit::{Ended, Exit};
use crate::place::Place;
use crate::tally::Tally;
use copy_one::Carrier;
use futures_util::StreamExt;
use job::Step;
use std::sync::Arc;
use storescope::Client;

/// What is to be copied, and how.
#[derive(Debug)]
pub(crate) struct Copying {
    pub(crate) plan: Plan,
    pub(crate) how: How,
    pub(crate) concurrency: u32,
}

impl Copying {
    pub(crate) fn check(&self, json: bool) -> Ended {
        self.plan.check()?;
        if matches!(self.plan.target, Place::Standard) && json {
            return Err(Exit::usage("--json and the object would both go to standard output"));
        }
        Ok(())
    }

    /// The tally, as it suits what is counted.
    pub(crate) fn counting(&self, tally: Tally) -> Tally {
        if self.plan.is_of_many() {
            tally.expect_many();
        }
        tally.rehearsal(self.how.dry_run)
    }

    /// Copies; `seen` is told each target before anything is written there.
    pub(crate) async fn run(
        self,
        client: &Client,
        tally: &Arc<Tally>,
        mut seen: impl FnMut(&Target),
    ) -> Ended {
        let Copying { plan, how, concurrency } = self;
        let (moving, dry_run) = (how.moving, how.dry_run);
        let carrier = Carrier::new(how, tally);
        clash::check(&plan, client).await?;
        // In one task, so that a signal drops all of it at once.
        let jobs = plan.jobs(client).await?;
        let carried = jobs.take_while(|_| std::future::ready(!carrier.is_hopeless())).map(|step| {
            if let Step::Copy(job) = &step {
                seen(&job.to);
            }
            let carrier = &carrier;
            async move {
                match step {
                    Step::Copy(job) => carrier.carry(job).await,
                    Step::Skip(name, why) => carrier.pass_over(&name, why),
                    Step::Fail(name, exit) => carrier.refuse(&name, exit),
                }
            }
        });
        carried.buffer_unordered(concurrency as usize).for_each(std::future::ready).await;
        if moving && !dry_run && plan.recursive && tally.is_clean() {
            for source in &plan.sources {
                if let Place::Local(folder) = source {
                    remove_source::remove_emptied(folder);
                }
            }
        }
        Ok(())
    }
}
