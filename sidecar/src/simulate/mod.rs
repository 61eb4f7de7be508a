//! `dragoman simulate`: recorded benchmarks through the shipped encoder, the production learner and the production
//! decision, with bandit feedback only, beside baselines on the same rows.
//!
//! The files follow a row's way: [`rows`] reads it → [`encode`] (with a [`cache`]) makes of it what the router sees →
//! [`replay`] streams it past a chooser, the [`router`] or one of the [`baselines`], in a [`world`] that may change →
//! [`report`] makes the numbers ([`apgr`] and [`off_policy`] on demand), [`table`] and [`plot`] show them. [`plan`] checks the command line once, so that all
//! behind it may trust it. Only [`router`] knows the learner and the decision; nothing here may decide by itself.
//!
//! The same rows, options and seed give the same numbers, whatever the number of threads.

mod apgr;
mod args;
mod baselines;
mod cache;
mod encode;
mod off_policy;
mod plan;
mod plot;
mod replay;
mod report;
mod router;
mod rows;
mod table;
mod world;

#[cfg(test)]
mod sample;

use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

pub use args::Args;
use baselines::Baseline;
pub(crate) use encode::EncoderFiles;
use plan::Plan;
use replay::{Order, Stage, Step};

/// Everything measured with one seed.
pub(crate) struct Run {
    /// The router's log, one entry for each score step.
    pub(crate) steps: Vec<Step>,
    /// By step, then by arm: what each arm would have given. `None`: it was not available.
    pub(crate) truth: Vec<Vec<Option<rows::Answer>>>,
    pub(crate) baselines: Vec<Baseline>,
    /// What the log says of other policies, if that is asked for.
    pub(crate) off_policy: Option<Vec<off_policy::Judged>>,
}

/// Runs with the numbers of their seeds, in the order they ended.
type Numbered = Vec<(usize, Result<Run, String>)>;

/// Runs the simulation and prints its report.
///
/// # Errors
///
/// Every fault of the command line and of the files it names, together, each in a sentence; or why the encoder, the
/// router or the plot failed.
pub fn run(args: &Args) -> Result<(), String> {
    let plan = Plan::new(args)?;
    let runs = run_seeds(&plan)?;
    if runs.iter().any(|run| run.steps.is_empty()) {
        return Err("no scored row has an arm that is there: check --add-arm and --remove-arm".into());
    }
    let report = report::Report::of(&plan, &runs);
    if let Some(file) = &args.plot {
        plot::draw(file, &plan, &runs)?;
    }
    match args.json {
        true => println!("{}", report.json()),
        false => print!("{}", table::text(&report)),
    }
    Ok(())
}

/// All seeds on the plan's threads; the result is in the order of the seeds.
fn run_seeds(plan: &Plan) -> Result<Vec<Run>, String> {
    let next = AtomicUsize::new(0);
    let bar = progress("simulating", plan.seeds);
    let work = || {
        let mut done = Numbered::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= plan.seeds {
                return done;
            }
            done.push((index, run_seed(plan, plan.seed_base + index as u64)));
            bar.inc(1);
        }
    };
    let runs: Result<Vec<Numbered>, String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.threads.min(plan.seeds)).map(|_| scope.spawn(work)).collect();
        let ended = |_| "a simulating thread ended early".to_owned();
        workers.into_iter().map(|worker| worker.join().map_err(ended)).collect()
    });
    bar.finish_and_clear();
    let mut runs: Numbered = runs?.into_iter().flatten().collect();
    runs.sort_by_key(|(index, _)| *index);
    runs.into_iter().map(|(_, run)| run).collect()
}

fn run_seed(plan: &Plan, seed: u64) -> Result<Run, String> {
    let order = Order::of(seed, &plan.learn, &plan.score, plan.learn_first);
    let stage = Stage::new(&plan.prompts, &plan.answers, &plan.events, order);
    let mut router = plan.recipe.router()?;
    let steps = stage.play(&mut router, plan.feedback, seed);
    let judge = || off_policy::judge(&stage, &steps, &mut router, &plan.arms);
    let off_policy = plan.off_policy.then(judge);
    let baselines = baselines::all(&stage, &plan.arms, plan.budget, plan.feedback, seed, plan.apgr);
    Ok(Run { steps, truth: stage.truth, baselines, off_policy })
}

/// A bar on stderr if that is a terminal, else nothing.
fn progress(what: &str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} {eta}");
    let bar = ProgressBar::new(length as u64).with_message(what.to_owned());
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
