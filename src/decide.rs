//! From a request body to what Envoy is told: parse → embed → signals → context → decision → rewrite.

use std::ops::Range;
use std::rc::Rc;
use std::time::Instant;

use dragoman_core::config::Routing;
use dragoman_core::context::Context;
use dragoman_core::decision::{Decision, decide};
use dragoman_core::guard::LIVE;
use dragoman_core::privacy;
use dragoman_core::replay::{CandidateRecord, ReplayRecord, SCHEMA, Sample};
use dragoman_core::request::{Api, PromptRequest, RequestFacts, parse_thread, rewrite_model};
use dragoman_core::response::ResponseFacts;
use dragoman_core::signals::Signals;

use crate::embed::Embedding;
use crate::params::Loaded;
use crate::sessions::Seat;
use crate::worker::{Worker, now_ms};

/// A request that was read, on its way to its embedding.
pub(crate) struct Question {
    request: PromptRequest,
    session: Option<String>,
    since: Instant,
    parse_us: u64,
}

impl Question {
    /// The text to embed.
    pub(crate) fn prompt(&self) -> &str {
        &self.request.prompt
    }
}

/// What was decided of one request.
pub(crate) struct Verdict {
    /// The record, complete but for the response.
    pub(crate) record: ReplayRecord,
    /// The snapshot that decided, for prices and names.
    pub(crate) loaded: Option<Rc<Loaded>>,
    /// Cluster the request goes to; `None` leaves it to Envoy's default route.
    pub(crate) cluster: Option<String>,
    /// Cluster a retry goes to.
    pub(crate) fallback: Option<String>,
    /// Category of the decision.
    pub(crate) category: Option<String>,
    /// The body with its new model, if that changed.
    pub(crate) body: Option<Vec<u8>>,
    /// Where the model's name lies in the body that goes out.
    pub(crate) model_at: Option<Range<usize>>,
    /// The conversation's place in the table, if it names itself.
    pub(crate) seat: Option<Seat>,
}

impl Verdict {
    /// The default route, without a decision; the request stays as it is.
    pub(crate) fn default_route(worker: &Worker, api: Api, reason: &str) -> Self {
        worker.stats.count_default(reason);
        let mut verdict = Self::blank(worker, api);
        verdict.record.default_reason = Some(reason.to_owned());
        verdict
    }

    /// Nothing decided yet.
    fn blank(worker: &Worker, api: Api) -> Self {
        let time_ms = now_ms();
        let record = ReplayRecord {
            schema: SCHEMA,
            id: worker.new_id(time_ms),
            time_ms,
            session: None,
            snapshot_version: 0,
            arm: LIVE.to_owned(),
            api,
            context: None,
            decision: None,
            candidates: Vec::new(),
            route: None,
            model: worker.config.default_cluster.clone(),
            propensity: 1.0,
            explored: false,
            sticky: false,
            default_reason: None,
            signals: Signals::default(),
            request: RequestFacts::default(),
            response: ResponseFacts::default(),
            escalated_to: None,
            cost: 0.0,
            stages: Default::default(),
            prompt: None,
            thread: Default::default(),
            sample: None,
        };
        Self {
            record,
            loaded: None,
            cluster: None,
            fallback: None,
            category: None,
            body: None,
            model_at: None,
            seat: None,
        }
    }

    /// The request of this body, its conversation hashed as the snapshot in use says; the default route if it cannot be read.
    pub(crate) fn read(
        worker: &Worker,
        api: Api,
        body: &[u8],
        session: Option<String>,
        loaded: Option<&Loaded>,
    ) -> Result<Question, Box<Self>> {
        let since = Instant::now();
        let key = loaded.and_then(|l| l.snapshot.meta.routing.thread_key.as_ref());
        let request = parse_thread(api, body, key).map_err(|error| {
            worker.warn(&error.to_string());
            Box::new(Self::default_route(worker, api, error.reason()))
        })?;
        Ok(Question { request, session, since, parse_us: micros(since) })
    }

    /// Decides `question`, read from `body`, by the snapshot in use.
    pub(crate) fn of(
        worker: &Worker,
        question: Question,
        body: &[u8],
        loaded: Option<Rc<Loaded>>,
        embedding: &Embedding,
    ) -> Self {
        let Question { request, session, since, parse_us } = question;
        let session = session.or_else(|| request.session.clone());
        let mut verdict = match loaded.map(|l| l.arm(session.as_deref(), || worker.draw())) {
            Some((arm, loaded)) => {
                let mut verdict = Self::decide(worker, &request, session.as_deref(), loaded, embedding);
                verdict.record.arm = arm.to_owned();
                verdict
            }
            None => Self::default_route(worker, request.api, "no_snapshot"),
        };
        verdict.rewrite(worker, &request, body);
        let record = &mut verdict.record;
        record.session = session;
        record.request = request.facts;
        record.thread = request.thread;
        record.stages.parse_us = parse_us;
        record.stages.total_us = micros(since);
        worker.stats.parse_us.record(parse_us);
        worker.stats.total_us.record(record.stages.total_us);
        verdict
    }

    fn decide(
        worker: &Worker,
        request: &PromptRequest,
        session: Option<&str>,
        loaded: Rc<Loaded>,
        embedding: &Embedding,
    ) -> Self {
        let mut watch = Watch { last: Instant::now() };
        let snapshot = &loaded.snapshot;
        let vector = embedding.vector.as_deref();
        let signals = loaded.rules.extract(&request.prompt, &request.facts, vector);
        let signals_us = watch.lap();
        let dimensions = snapshot.embedding_size();
        let context = Context::new(vector, dimensions, &signals, &request.facts);
        let routing = &snapshot.meta.routing;
        let seat = session.and_then(|session| Seat::find(session, &routing.sticky, now_ms()));
        let previous = seat.as_ref().and_then(|seat| seat.model(routing));
        let (api, facts) = (request.api, &request.facts);
        let outcome = decide(snapshot, &context, &signals, api, facts, previous, worker.draw());
        let decide_us = watch.lap();

        let mut verdict = match outcome {
            Ok(decision) => Self::decided(worker, api, &loaded, &decision, seat),
            Err(none) => Self::default_route(worker, api, none.reason()),
        };
        let record = &mut verdict.record;
        record.snapshot_version = snapshot.meta.version;
        record.context = Some(context);
        record.signals = signals;
        record.stages.embed_us = embedding.micros;
        record.stages.signals_us = signals_us;
        record.stages.decide_us = decide_us;
        record.prompt = privacy::stored(&routing.privacy, &request.prompt);
        let sampling = routing.sampling;
        if record.route.is_some() && sampling.share > 0.0 && worker.draw() < sampling.share {
            let prompt = request.prompt.chars().take(sampling.max_chars as usize).collect();
            record.sample = Some(Sample { prompt, answer: String::new() });
        }
        worker.stats.embed_us.record(embedding.micros);
        worker.stats.signals_us.record(signals_us);
        worker.stats.decide_us.record(decide_us);
        verdict.loaded = Some(loaded);
        verdict
    }

    fn decided(worker: &Worker, api: Api, loaded: &Loaded, decision: &Decision, seat: Option<Seat>) -> Self {
        let routing = &loaded.snapshot.meta.routing;
        let mut verdict = Self::blank(worker, api);
        let record = &mut verdict.record;
        record.explored = decision.explored;
        record.sticky = decision.sticky;
        record.candidates = candidates(routing, decision);
        let taken = decision.chosen.and_then(|i| record.candidates.get(i));
        record.route = taken.map(|c| c.route.clone());
        let explored: f32 = record.candidates.iter().map(|c| c.propensity).sum();
        record.propensity = taken.map_or(1.0 - explored, |c| c.propensity);
        let chosen = decision.chosen.and_then(|i| decision.candidates.get(i));
        let route = chosen.and_then(|c| routing.routes.get(c.route));
        let model = routing.models.get(route.map_or(routing.default_model, |r| r.model));
        if let Some(model) = model {
            record.model.clone_from(&model.name);
            verdict.cluster = Some(model.name.clone());
        }
        if let Some(rule) = routing.decisions.get(decision.rule) {
            record.decision = Some(rule.name.clone());
            verdict.category = Some(rule.category.clone());
        }
        if worker.config.escalation {
            let fallback = decision.fallback.and_then(|i| routing.models.get(i));
            verdict.fallback = fallback.map(|m| m.name.clone());
        }
        count(worker, decision);
        verdict.seat = seat.map(|seat| sit(worker, seat, decision, &verdict.record));
        verdict
    }

    /// Puts the chosen model's own name into the body.
    fn rewrite(&mut self, worker: &Worker, request: &PromptRequest, body: &[u8]) {
        let models = self.loaded.as_ref().map(|l| l.snapshot.meta.routing.models.as_slice());
        let chosen = models.unwrap_or_default().iter().find(|m| m.name == self.record.model);
        let name = chosen.map_or(&worker.config.default_model, |m| &m.upstream_model);
        if request.model.as_ref() == Some(name) {
            self.model_at.clone_from(&request.model_span);
        } else if let Some(rewritten) = rewrite_model(body, request, name) {
            self.body = Some(rewritten.body);
            self.model_at = Some(rewritten.model);
        }
    }
}

/// Notes which model the conversation is on now, so that a next turn that does not wait for this answer finds it.
fn sit(worker: &Worker, mut seat: Seat, decision: &Decision, record: &ReplayRecord) -> Seat {
    match decision.sticky {
        true => worker.stats.sticky_held.add(1),
        false if seat.is_taken() => worker.stats.sticky_moved.add(1),
        false => {}
    }
    seat.take(&record.model, record.time_ms);
    seat
}

fn candidates(routing: &Routing, decision: &Decision) -> Vec<CandidateRecord> {
    let record = |c: &dragoman_core::decision::Candidate| {
        Some(CandidateRecord {
            route: routing.routes.get(c.route)?.name.clone(),
            reward: c.reward,
            bonus: c.bonus,
            cost: c.cost,
            utility: c.utility,
            propensity: c.propensity,
        })
    };
    decision.candidates.iter().filter_map(record).collect()
}

fn count(worker: &Worker, decision: &Decision) {
    worker.stats.decisions.add(1);
    if decision.explored {
        worker.stats.explored.add(1);
    }
    if decision.chosen.is_none() {
        worker.stats.default_not_worth.add(1);
    }
}

/// Times one stage after the other.
struct Watch {
    last: Instant,
}

impl Watch {
    /// Microseconds since the last lap.
    fn lap(&mut self) -> u64 {
        let lap = micros(self.last);
        self.last = Instant::now();
        lap
    }
}

fn micros(since: Instant) -> u64 {
    since.elapsed().as_micros() as u64
}
