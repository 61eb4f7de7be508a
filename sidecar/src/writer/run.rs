//! The loop itself: start, groups of commands, deadlines, end.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dragoman_core::optimizer;
use log::{error, info, warn};
use tokio::sync::watch;

use super::apply::Books;
use super::chores::{Retaining, Training};
use super::propose::Lookout;
use super::rebuild::{learned, relearn, relearn_and_rewrite};
use super::timetable::{Chore, Timetable};
use super::verify::{Job, Verdict};
use super::{Command, Knowledge, PENDING_MS, QUEUE, Rules, Writer};
use crate::clock::now_ms;
use crate::learn::State;
use crate::log::{DirLock, Log, LogError};
use crate::metrics::Metrics;

/// Commands in one transaction.
const GROUP: usize = 64;

/// How often feedback that waited too long is dropped.
const SWEEP: Duration = Duration::from_secs(60);

/// The fact that says by which rules the log's rows were counted.
const COUNTED_BY: &str = "counted_by";

/// What the loop starts from.
pub struct Setup {
    /// Held until the loop has ended.
    pub lock: DirLock,
    /// The log, open.
    pub log: Log,
    /// The log's path.
    pub path: PathBuf,
    /// What the loop goes by at first.
    pub rules: Rules,
    /// Counters.
    pub metrics: Metrics,
    /// Where new knowledge goes.
    pub knowledge: watch::Sender<Option<Arc<Knowledge>>>,
}

/// Sends answers once the group they belong to is on the disk.
type Answer = Box<dyn FnOnce()>;

pub(super) struct Loop {
    _lock: DirLock,
    pub(super) books: Books,
    pub(super) rules: Rules,
    pub(super) path: PathBuf,
    pub(super) own: SyncSender<Command>,
    knowledge: watch::Sender<Option<Arc<Knowledge>>>,
    next_publish: Instant,
    next_sweep: Instant,
    pub(super) timetable: Timetable,
    pub(super) verifying: Option<Verifying>,
    pub(super) training: Option<Training>,
    pub(super) retaining: Retaining,
}

/// A rebuild that is under way beside the loop.
pub(super) struct Verifying {
    /// The last event it learns.
    through: i64,
    /// Whether the rules have changed since: then it says nothing of what is learned now.
    pub(super) outdated: bool,
}

/// Starts the loop on a thread of its own. It is ready once it publishes its first knowledge; the thread ends
/// with an error only when the log cannot be read.
pub fn start(setup: Setup) -> std::io::Result<(Writer, JoinHandle<Result<(), LogError>>)> {
    let (sender, receiver) = sync_channel(QUEUE);
    let writer = Writer { sender: sender.clone(), metrics: setup.metrics.clone() };
    let thread = std::thread::Builder::new().name("dragoman-loop".into()).spawn(move || {
        let ended = Loop::open(setup, sender).and_then(|mut running| running.run(&receiver));
        if let Err(e) = &ended {
            error!("the learning loop has ended: {e}");
        }
        ended
    })?;
    Ok((writer, thread))
}

// === impl Loop ===

impl Loop {
    fn open(setup: Setup, own: SyncSender<Command>) -> Result<Self, LogError> {
        let Setup { lock, log, path, rules, metrics, knowledge } = setup;
        let started = Instant::now();
        let mut books = Books::open(log, &rules.blank, metrics)?;
        books.log.begin()?;
        books.log.audit(now_ms(), "start", &format!("version {}", env!("CARGO_PKG_VERSION")))?;
        books.log.commit()?;
        let events = books.log.last_seq()?;
        info!("learned {events} events from {} again in {:.1?}", path.display(), started.elapsed());
        let now = Instant::now();
        let timetable = books.timetable(&rules)?;
        let retaining = Retaining::new(books.log.view().horizon()?.is_some());
        let mut running = Self {
            _lock: lock,
            books,
            rules,
            path,
            own,
            knowledge,
            next_publish: now,
            next_sweep: now + SWEEP,
            timetable,
            verifying: None,
            training: None,
            retaining,
        };
        running.publish("start");
        for proposal in running.books.waiting()? {
            running.offer(proposal)?;
        }
        Ok(running)
    }

    fn run(&mut self, receiver: &Receiver<Command>) -> Result<(), LogError> {
        let mut running = true;
        while running {
            match receiver.recv_timeout(self.until_next()) {
                Ok(first) => running = self.group(first, receiver)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => running = false,
            }
            self.on_time();
        }
        self.books.log.begin()?;
        self.books.log.audit(now_ms(), "stop", "everything that waited is written")?;
        self.books.log.commit()?;
        self.books.log.checkpoint()
    }

    /// Does `first` and what waits behind it in one transaction. False when the loop is to end.
    fn group(&mut self, first: Command, receiver: &Receiver<Command>) -> Result<bool, LogError> {
        let commands = std::iter::once(first).chain(receiver.try_iter()).take(GROUP);
        let (mut answers, mut running, mut after) = (Vec::new(), true, Vec::new());
        let written = (|| {
            self.books.log.begin()?;
            for command in commands {
                match command {
                    Command::Stop => {
                        running = false;
                        break;
                    }
                    Command::Ingest(..) | Command::Rate(..) | Command::Keep(..) => {
                        answers.push(self.apply(command)?);
                    }
                    own => after.push(own),
                }
            }
            self.books.log.commit()
        })();
        match written {
            Ok(()) => answers.into_iter().for_each(|answer| answer()),
            // The answers are dropped unsent: their callers hear that nothing was kept.
            Err(e) => self.take_back(&e)?,
        }
        for command in after {
            self.apart(command)?;
        }
        if let Err(e) = self.tune() {
            self.take_back(&e)?;
        }
        self.books.show();
        Ok(running)
    }

    fn apply(&mut self, command: Command) -> Result<Answer, LogError> {
        // Whoever asked may have left; the deed stands.
        fn later<T: 'static>(reply: tokio::sync::oneshot::Sender<T>, value: T) -> Answer {
            Box::new(move || drop(reply.send(value)))
        }
        self.books.metrics.queue_depth.dec();
        match command {
            Command::Ingest(records, reply) => Ok(later(reply, self.books.ingest(&records)?)),
            Command::Rate(said, reply) => Ok(later(reply, self.books.rate(&said)?)),
            Command::Keep(snapshot, reply) => {
                self.books.keep(&snapshot)?;
                Ok(later(reply, ()))
            }
            _ => Ok(Box::new(|| ())),
        }
    }

    /// Commands with transactions of their own. One that could not be written is taken back.
    fn apart(&mut self, command: Command) -> Result<(), LogError> {
        let done = match command {
            Command::Verified(found) => self.settle(found),
            Command::Trained(anew) => self.trained(anew),
            Command::Retained(horizon) => self.retained(horizon),
            Command::Train(reply) => {
                self.books.metrics.queue_depth.dec();
                self.train(Some(reply));
                Ok(())
            }
            Command::Reload(rules, what, reply) => {
                self.books.metrics.queue_depth.dec();
                self.reload(*rules, &what)?;
                // Whoever asked may have left; the deed stands.
                let _ = reply.send(());
                Ok(())
            }
            _ => Ok(()),
        };
        done.or_else(|e| self.take_back(&e))
    }

    /// The learner may hold what the log does not: it is built again from what is written.
    fn take_back(&mut self, why: &LogError) -> Result<(), LogError> {
        error!("{why}; nothing of this group was kept, its senders are told to send again");
        self.books.metrics.write_failures.inc();
        self.books.log.rollback()?;
        self.books.recall(&self.rules.blank)
    }

    /// Goes on by other rules. What they learn in another way is learned again from the log.
    fn reload(&mut self, rules: Rules, what: &str) -> Result<(), LogError> {
        let relearn = rules.blank != self.rules.blank;
        self.rules = rules;
        self.timetable = self.books.timetable(&self.rules)?;
        if relearn {
            self.books.recall(&self.rules.blank)?;
            self.verifying.iter_mut().for_each(|job| job.outdated = true);
            self.training.iter_mut().for_each(|job| job.outdated = true);
            self.retaining.outdated = true;
        }
        self.books.log.begin()?;
        self.books.log.audit(now_ms(), "reload", what)?;
        self.books.log.commit()?;
        self.publish("reload");
        Ok(())
    }

    fn until_next(&self) -> Duration {
        let publish = self.books.changed.then_some(self.next_publish);
        let next = [Some(self.next_sweep), Some(self.retaining.next()), publish].into_iter().flatten().min();
        let timer = next.map_or(SWEEP, |at| at.saturating_duration_since(Instant::now()));
        let chore = self.timetable.next().map(|at| Duration::from_millis(at.saturating_sub(now_ms())));
        chore.map_or(timer, |chore| chore.min(timer))
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        if self.books.changed && now >= self.next_publish {
            self.publish("stream");
        }
        self.chores();
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP;
            match self.books.log.drop_pending(now_ms().saturating_sub(PENDING_MS)) {
                Ok(0) => {}
                Ok(n) => warn!("dropped {n} feedback whose records never came"),
                Err(e) => warn!("{e}"),
            }
        }
    }

    pub(super) fn publish(&mut self, tag: impl Into<Cow<'static, str>>) {
        self.books.changed = false;
        self.next_publish = Instant::now() + self.rules.publish_every;
        self.books.show();
        let (state, configured) = (&self.books.state, Arc::clone(&self.rules.routing));
        let routing = Arc::new(optimizer::apply(&configured, state.tuner().live()));
        let known = Knowledge { learner: state.learner().clone(), routing, configured, tag: tag.into() };
        // Nobody listens only while the sidecar stops.
        drop(self.knowledge.send(Some(Arc::new(known))));
    }

    /// Starts a rebuild on a thread of its own, so that records are taken in meanwhile.
    pub(super) fn verify(&mut self) {
        let Ok(through) = self.books.log.last_seq() else { return };
        if self.verifying.is_some() {
            return warn!(
                "the last rebuild from the log is still running; schedule.batch is too often for it"
            );
        }
        let job = Job {
            path: self.path.clone(),
            blank: self.rules.blank.clone(),
            streamed: self.books.state.clone(),
            through,
        };
        if self.beside("dragoman-batch", move || Command::Verified(job.run().map_err(|e| e.to_string()))) {
            self.verifying = Some(Verifying { through, outdated: false });
        }
    }

    /// A rebuild has ended: publish it; if it differs, take it over and tell.
    fn settle(&mut self, found: Result<Verdict, String>) -> Result<(), LogError> {
        let Some(Verifying { through, outdated: false }) = self.verifying.take() else { return Ok(()) };
        match found {
            Ok(Verdict::Same) => info!("rebuilt from the log up to event {through}: the same, bit for bit"),
            Err(why) => {
                error!("the rebuild from the log failed: {why}");
                return Ok(());
            }
            Ok(Verdict::Differs(mut rebuilt)) => {
                let what =
                    format!("the streamed learner differs from the log's at event {through}; took the log's");
                error!("{what}; please report this");
                self.books.metrics.rebuild_mismatches.inc();
                relearn(self.books.log.view(), &mut rebuilt, through, i64::MAX)?;
                self.books.state = *rebuilt;
                self.books.log.begin()?;
                self.books.log.audit(now_ms(), "rebuild_mismatch", &what)?;
                self.books.log.commit()?;
            }
        }
        self.publish("batch");
        Ok(())
    }
}

// === impl Books ===

impl Books {
    /// The books of `log`, as it says itself.
    pub(super) fn open(log: Log, blank: &State, metrics: Metrics) -> Result<Self, LogError> {
        let lookout = Lookout::default();
        let mut books = Self { log, state: blank.clone(), metrics, changed: false, lookout };
        books.recall(blank)?;
        Ok(books)
    }

    /// Learns what the log says; `blank` knows nothing.
    fn recall(&mut self, blank: &State) -> Result<(), LogError> {
        let rules = blank.counted_by();
        let base = self.log.view().base(i64::MAX)?;
        let usable = base.is_none_or(|base| blank.read(&base.state).is_ok());
        if usable && self.log.fact(COUNTED_BY)?.as_deref() == Some(&rules) {
            self.state = learned(self.log.view(), blank, i64::MAX)?;
            return Ok(());
        }
        // The first start, or the reward or the encoder was changed since.
        self.state = relearn_and_rewrite(&mut self.log, blank)?;
        self.log.begin()?;
        self.log.audit(now_ms(), "counted_by", &rules)?;
        self.log.set_fact(COUNTED_BY, &rules)?;
        self.log.commit()
    }

    /// What is due when, by what was done when. What was never done counts as done now.
    fn timetable(&mut self, rules: &Rules) -> Result<Timetable, LogError> {
        let now = now_ms();
        let mut last = std::collections::BTreeMap::new();
        for fact in rules.schedule.iter().filter_map(|(chore, _)| chore.fact()) {
            let known = self.log.fact(fact)?.and_then(|text| text.parse().ok());
            if known.is_none() {
                self.log.set_fact(fact, &now.to_string())?;
            }
            last.insert(fact, known.unwrap_or(now));
        }
        let last = |chore: Chore| chore.fact().and_then(|fact| last.get(fact)).copied().unwrap_or(now);
        Ok(Timetable::new(rules.schedule.clone(), last))
    }

    /// Brings the metrics up to date.
    fn show(&self) {
        for (route, totals) in self.state.totals() {
            self.metrics.route(route, self.state.learner().observations(route), totals);
        }
    }
}
