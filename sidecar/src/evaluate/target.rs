//! The policy to judge: where it comes from and how it would have chosen.

use std::path::Path;

use dragoman_core::config::{Config, PolicyKind, PolicyParams};
use dragoman_core::decision::{Candidate, decide};
use dragoman_core::learner::Pace;
use dragoman_core::replay::ReplayRecord;
use dragoman_core::snapshot::Snapshot;
use serde_json::json;

use super::Args;
use crate::key;
use crate::log::Reader;

/// A policy to judge.
#[derive(Debug)]
pub(super) struct Target {
    /// What it is called in the report.
    pub(super) name: String,
    /// How it chooses.
    pub(super) policy: Policy,
}

/// How a target chooses.
#[derive(Debug)]
pub(super) enum Policy {
    /// As was logged.
    Logged,
    /// Each logged candidate as likely.
    Uniform,
    /// Always this model.
    Fixed(String),
    /// What the filter would do with this snapshot.
    Snapshot(Box<Snapshot>),
}

/// What a snapshot would have done with one request.
pub(super) struct Choice<'a> {
    /// The model.
    pub(super) model: &'a str,
    /// π of it.
    pub(super) probability: f64,
    /// Predicted reward and dollars; `None` of the default route outside the candidates.
    pub(super) candidate: Option<Candidate>,
}

// === impl Target ===

impl Target {
    /// The target that the arguments name.
    ///
    /// # Errors
    ///
    /// A sentence: there is no such policy, model or snapshot, or it does not fit the configuration.
    pub(super) fn read(args: &Args, config: &Config, log: &Path) -> Result<Self, String> {
        let store = Store { config, reader: Reader::new(log) };
        let name = args.policy.as_deref().unwrap_or_default();
        let simple = match (name, name.strip_prefix("fixed:")) {
            ("logged", _) => Some(Policy::Logged),
            ("uniform", _) => Some(Policy::Uniform),
            (_, Some(model)) => Some(Policy::Fixed(known(config, model)?)),
            _ => None,
        };
        if let Some(policy) = simple {
            return match args.alpha.or(args.epsilon).or(args.cost_weight) {
                None => Ok(Self { name: name.to_owned(), policy }),
                Some(_) => {
                    Err(format!("--alpha, --epsilon and --cost-weight mean nothing to --policy {name}"))
                }
            };
        }
        let mut snapshot = match &args.snapshot {
            Some(which) => store.snapshot(which)?,
            None => store.newest_as(name)?,
        };
        let meta = &mut snapshot.meta;
        overrule(&mut meta.routing.policy, args)?;
        if let Some(weight) = args.cost_weight {
            meta.pace = Pace { cost_weight: f64::from(weight), slack: 0.0 };
        }
        let name = match &args.policy {
            Some(policy) => format!("policy {policy} with snapshot {}", meta.version),
            None => format!("snapshot {}", meta.version),
        };
        Ok(Self { name, policy: Policy::Snapshot(Box::new(snapshot)) })
    }

    /// When the parameters were made, if there are any and they know something.
    pub(super) fn created_ms(&self) -> Option<u64> {
        match &self.policy {
            Policy::Snapshot(s) => {
                Some(s.meta.created_ms).filter(|_| s.meta.observations.iter().any(|n| *n > 0))
            }
            _ => None,
        }
    }
}

/// What `snapshot` would have done with the request of `record`; `None` if its context is of another size.
pub(super) fn choices<'a>(snapshot: &'a Snapshot, record: &ReplayRecord) -> Option<Vec<Choice<'a>>> {
    let context = record.context.as_ref()?;
    if context.values().len() != snapshot.features.columns() {
        return None;
    }
    let routing = &snapshot.meta.routing;
    let name = |model: usize| routing.models.get(model).map_or("", |m| m.name.as_str());
    // Propensities do not depend on the draw.
    let decided = decide(snapshot, context, &record.signals, record.api, &record.request, None, 0.5);
    let candidates = decided.map(|d| d.candidates).unwrap_or_default();
    let mut choices: Vec<_> = candidates
        .into_iter()
        .map(|c| Choice {
            model: routing.routes.get(c.route).map_or("", |r| name(r.model)),
            probability: f64::from(c.propensity),
            candidate: Some(c),
        })
        .collect();
    let rest = 1.0 - choices.iter().map(|c| c.probability).sum::<f64>();
    if rest > super::actions::ROUNDING {
        choices.push(Choice { model: name(routing.default_model), probability: rest, candidate: None });
    }
    Some(choices)
}

fn known(config: &Config, model: &str) -> Result<String, String> {
    let names: Vec<&str> = config.routing.models.iter().map(|m| m.name.as_str()).collect();
    match names.contains(&model) {
        true => Ok(model.to_owned()),
        false => Err(format!("\"{model}\" is not among the models ({})", names.join(", "))),
    }
}

fn overrule(policy: &mut PolicyParams, args: &Args) -> Result<(), String> {
    let mut set = |name: &str, to: Option<f32>, top: f32, slot: fn(&mut PolicyParams) -> &mut f32| match to {
        Some(v) if !(0.0..=top).contains(&v) => Err(format!("--{name} must be from 0 to {top}, not {v}")),
        Some(v) => {
            *slot(policy) = v;
            Ok(())
        }
        None => Ok(()),
    };
    set("alpha", args.alpha, 10.0, |p| &mut p.alpha)?;
    set("epsilon", args.epsilon, 1.0, |p| &mut p.epsilon)?;
    set("cost-weight", args.cost_weight, 1e6, |p| &mut p.cost_weight)
}

/// Where snapshots are kept.
struct Store<'a> {
    config: &'a Config,
    reader: Reader,
}

// === impl Store ===

impl Store<'_> {
    /// The snapshot of this version, or in this file.
    fn snapshot(&self, which: &str) -> Result<Snapshot, String> {
        let Ok(version) = which.parse() else {
            let blob = std::fs::read(which).map_err(|e| {
                format!("--snapshot {which}: is no version, and no file can be read there: {e}")
            })?;
            return self.decode(which, &blob);
        };
        match self.reader.snapshot(version).map_err(|e| e.to_string())? {
            Some(blob) => self.decode(which, &blob),
            None => {
                let kept = self.reader.snapshots().map_err(|e| e.to_string())?;
                let kept: Vec<String> = kept.iter().map(|s| s.version.to_string()).collect();
                Err(format!("there is no snapshot {version}; kept are: {}", kept.join(", ")))
            }
        }
    }

    /// The newest snapshot's parameters under the current configuration, with the policy of this name.
    fn newest_as(&self, policy: &str) -> Result<Snapshot, String> {
        let kind: PolicyKind = serde_json::from_value(json!(policy)).map_err(|_| {
            format!(
                "--policy {policy}: there is no such policy; use logged, uniform, fixed:MODEL, or what policy.kind \
                 may be in the configuration"
            )
        })?;
        let newest = self.reader.latest_snapshot().map_err(|e| e.to_string())?;
        let (version, blob) = newest.ok_or("there is no snapshot yet: start `dragoman serve` once")?;
        let mut snapshot = self.decode(&version.to_string(), &blob)?;
        let names = |routes: &[dragoman_core::config::Route]| {
            routes.iter().map(|r| r.name.clone()).collect::<Vec<_>>()
        };
        let routing = &self.config.routing;
        if names(&routing.routes) != names(&snapshot.meta.routing.routes) {
            return Err(format!(
                "the configuration has other routes than snapshot {version}: serve with it once, or judge the \
                 snapshot as it is with --snapshot {version}"
            ));
        }
        snapshot.meta.routing = routing.clone();
        if routing.policy.budget.is_none() {
            let cost_weight = f64::from(routing.policy.cost_weight);
            snapshot.meta.pace = Pace { cost_weight, slack: 0.0 };
        }
        snapshot.meta.routing.policy.kind = kind;
        // That policy is asked for everywhere.
        snapshot.meta.routing.decisions.iter_mut().for_each(|decision| decision.policy.kind = None);
        Ok(snapshot)
    }

    fn decode(&self, which: &str, blob: &[u8]) -> Result<Snapshot, String> {
        let dir = Path::new(&self.config.data_dir);
        if !dir.join(key::FILE).exists() {
            return Err(format!("there is no {} in {} to check the snapshot with", key::FILE, dir.display()));
        }
        let key = key::load_or_create(dir)?.verifying_key();
        Snapshot::decode(blob, &key).map_err(|e| format!("snapshot {which}: {e}"))
    }
}
