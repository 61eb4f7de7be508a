//! Checks the command line and reads every file it names: a valid plan out, or everything that is wrong, together.

use std::path::PathBuf;

use serde_json::Value;

use super::args::Args;
use super::encode::{self, EncoderFiles, Prompt};
use super::replay::Feedback;
use super::router::Recipe;
use super::rows::{self, Answer, Arms, Row};
use super::world::{Change, Event, read_at, read_drift};

/// A simulation that can be run.
pub(crate) struct Plan {
    pub(crate) arms: Arms,
    /// Of all rows, learn rows first.
    pub(crate) prompts: Vec<Prompt>,
    /// By row, then by arm.
    pub(crate) answers: Vec<Vec<Option<Answer>>>,
    /// Rows to learn from, and rows to score: indices into `prompts`.
    pub(crate) learn: Vec<usize>,
    pub(crate) score: Vec<usize>,
    pub(crate) learn_first: Option<usize>,
    /// Sorted by step.
    pub(crate) events: Vec<Event>,
    pub(crate) recipe: Recipe,
    pub(crate) policy: String,
    pub(crate) budget: Option<f64>,
    pub(crate) feedback: Feedback,
    /// `(weak, strong)`.
    pub(crate) apgr: Option<(usize, usize)>,
    pub(crate) off_policy: bool,
    pub(crate) seeds: usize,
    pub(crate) seed_base: u64,
    pub(crate) threads: usize,
}

/// Collects faults and stands in for what could not be read.
#[derive(Default)]
struct Faults(Vec<String>);

// === impl Faults ===

impl Faults {
    fn say(&mut self, wrong: bool, what: impl Into<String>) {
        if wrong {
            self.0.push(what.into());
        }
    }

    fn take<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|why| self.0.push(why)).ok()
    }

    fn under<T>(&mut self, option: &str, result: Result<T, String>) -> Option<T> {
        self.take(result.map_err(|why| format!("{option}: {why}")))
    }

    fn sentence(self) -> String {
        match self.0.as_slice() {
            [] => "the simulation cannot be planned".into(),
            [one] => one.clone(),
            many => format!("{} things are wrong:\n{}", many.len(), many.join("\n")),
        }
    }
}

// === impl Plan ===

impl Plan {
    pub(crate) fn new(args: &Args) -> Result<Self, String> {
        let mut faults = Faults::default();
        check_numbers(args, &mut faults);
        let mut arms = Arms::default();
        let (rows, learn) = read_rows(args, &mut arms, &mut faults);
        // Names of arms can only be judged when the rows were read.
        let known = faults.0.is_empty();
        let events = if known { read_events(args, &arms, &mut faults) } else { Vec::new() };
        let poisoned = args.poison_arm.as_deref().filter(|_| known);
        let poisoned = poisoned.and_then(|name| faults.under("--poison-arm", arms.find(name)));
        let apgr = args.apgr.as_deref().filter(|_| known);
        let apgr = apgr.and_then(|pair| faults.under("--apgr", read_pair(pair, &arms)));
        if known {
            let scored = rows.len() - learn - args.learn_first.unwrap_or(0).min(rows.len());
            check_rows(args, &rows, scored, &events, &mut faults);
        }
        let files = match &args.encoder {
            None => Some(EncoderFiles::shipped()),
            Some(folder) => faults.take(EncoderFiles::of(folder)),
        };
        let settings = read_settings(args, &mut faults);
        let recipe = files.as_ref().and_then(|files| {
            let base = faults.take(files.base())?;
            faults.take(Recipe::new(arms.len().max(1), &settings, args.budget, args.publish_every, base))
        });
        let (Some(files), Some(recipe), []) = (files, recipe, faults.0.as_slice()) else {
            return Err(faults.sentence());
        };
        let threads =
            args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let cache = args.cache.clone().unwrap_or_else(encode::default_cache);
        Ok(Self {
            prompts: encode::prompts(&rows, &files, args.max_tokens, &cache, threads)?,
            learn: (0..learn).collect(),
            score: (learn..rows.len()).collect(),
            answers: rows.into_iter().map(|row| row.answers).collect(),
            arms,
            learn_first: args.learn_first,
            events,
            policy: recipe.policy(),
            recipe,
            budget: args.budget,
            feedback: Feedback { frozen: args.frozen, delay: args.delay, poison: args.poison, poisoned },
            apgr,
            off_policy: args.off_policy,
            seeds: args.seeds,
            seed_base: args.seed_base,
            threads,
        })
    }
}

fn check_numbers(args: &Args, faults: &mut Faults) {
    let positive = |n: f64| n.is_finite() && n > 0.0;
    let budget = args.budget.is_some_and(|b| !positive(b));
    faults.say(budget, "--budget: must be dollars above 0; leave it out for no budget");
    faults.say(!(0.0..=1.0).contains(&args.poison), "--poison: must be a share from 0 to 1, such as 0.2");
    faults.say(args.seeds == 0, "--seeds: must be at least 1");
    faults.say(args.threads == Some(0), "--threads: must be at least 1");
    faults.say(args.publish_every == Some(0), "--publish-every: must be at least 1");
    faults.say(args.seed_base.checked_add(args.seeds as u64).is_none(), "--seed-base: is too large");
    let tokens = !(8..=512).contains(&args.max_tokens);
    faults.say(tokens, "--max-tokens: must be from 8 to 512, as encoder.max_tokens");
}

/// All rows, learn rows first, and how many of them those are.
fn read_rows(args: &Args, arms: &mut Arms, faults: &mut Faults) -> (Vec<Row>, usize) {
    let mut all = Vec::new();
    let mut read = |path: &PathBuf| all.extend(faults.take(rows::read(path, arms)).unwrap_or_default());
    args.learn.iter().for_each(&mut read);
    let scored = args.score.as_ref().or(args.file.as_ref());
    // The score rows' count is needed before they are read.
    let mut score = Vec::new();
    match scored {
        None => faults.say(true, "no rows to score: name a file with --score FILE"),
        Some(path) => score = faults.take(rows::read(path, arms)).unwrap_or_default(),
    }
    let learn = all.len();
    all.extend(score);
    rows::widen(&mut all, arms);
    (all, learn)
}

fn read_events(args: &Args, arms: &Arms, faults: &mut Faults) -> Vec<Event> {
    let mut events = Vec::new();
    if let Some(path) = &args.drift {
        events.extend(faults.take(read_drift(path, arms)).unwrap_or_default());
    }
    let lists =
        [("--add-arm", &args.add_arm, Change::Add), ("--remove-arm", &args.remove_arm, Change::Remove)];
    for (option, list, change) in lists {
        events.extend(list.iter().filter_map(|text| faults.under(option, read_at(text, change, arms))));
    }
    events.sort_by_key(|e| e.step);
    events
}

/// What the rows must have for these options; `scored` is the number of score rows.
fn check_rows(args: &Args, rows: &[Row], scored: usize, events: &[Event], faults: &mut Faults) {
    if let Some(n) = args.learn_first {
        let what = format!("--learn-first: {n} of {} rows leave none to score; name fewer", rows.len());
        faults.say(n >= rows.len(), what);
    }
    if args.budget.is_some() {
        let without =
            rows.iter().flat_map(|r| r.answers.iter().flatten()).filter(|a| a.cost.is_none()).count();
        let what = format!("--budget: {without} answers have no cost; a budget needs a cost in every row");
        faults.say(without > 0, what);
    }
    for event in events.iter().filter(|e| e.step >= scored && scored > 0) {
        faults.say(true, format!("step {} is past the end: only {scored} rows are scored", event.step));
    }
}

fn read_pair(text: &str, arms: &Arms) -> Result<(usize, usize), String> {
    let (weak, strong) = text.split_once(',').ok_or("write WEAK,STRONG, two arms")?;
    let (weak, strong) = (arms.find(weak.trim())?, arms.find(strong.trim())?);
    if weak == strong {
        return Err(format!("both are {}; write two different arms", arms.name(weak)));
    }
    Ok((weak, strong))
}

/// Settings of `dragoman.yaml` from `--policy` and `--set`. A ranking of two arms needs evidence on both, and nothing
/// is spent on finding the best: where it is asked for, the policy is uniform unless another is named.
fn read_settings(args: &Args, faults: &mut Faults) -> Vec<(String, Value)> {
    const OPEN: [&str; 3] = ["policy.", "learner.", "signals."];
    let mut settings = Vec::new();
    // What is given afterwards overrules it.
    if args.apgr.is_some() {
        settings.push(("policy.kind".to_owned(), "uniform".into()));
    }
    settings.extend(args.policy.iter().map(|name| ("policy.kind".to_owned(), Value::from(name.as_str()))));
    for text in &args.set {
        match text.split_once('=').filter(|(key, _)| OPEN.iter().any(|open| key.starts_with(open))) {
            // What is not a JSON value is a text.
            Some((key, value)) => {
                settings.push((key.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())));
            }
            None => faults.say(true, format!("--set {text}: write policy.KEY=VALUE or learner.KEY=VALUE")),
        }
    }
    settings
}
