//! The loop itself: start, groups of commands, deadlines, end.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dragoman_core::chain::Chain;
use log::{error, info, warn};
use tokio::sync::{mpsc, watch};

use super::apply::Books;
use super::chores::{Retaining, Training};
use super::rebuild::relearn;
use super::timetable::Timetable;
use super::tune::Tuning;
use super::verify::{Job, Verdict};
use super::{Command, Knowledge, PENDING_MS, QUEUE, Rules, Writer};
use crate::clock::now_ms;
use crate::guard::Guard;
use crate::guard::webhook::Posted;
use crate::log::{DirLock, Log, LogError};
use crate::metrics::Metrics;

/// Commands in one transaction.
const GROUP: usize = 64;

/// How often feedback that waited too long is dropped.
const SWEEP: Duration = Duration::from_secs(60);

/// How long evidence waits after it could not be written.
const LISTEN_AGAIN_MS: u64 = 5000;

/// How often the guard looks at the traffic as a whole.
const LOOK: Duration = Duration::from_secs(1);

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
    /// Where what people are told goes.
    pub notices: mpsc::Sender<Posted>,
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
    /// Version of the last snapshot that was asked for.
    pub(super) version: u64,
    pub(super) knowledge: watch::Sender<Option<Arc<Knowledge>>>,
    pub(super) next_publish: Instant,
    next_look: Instant,
    next_sweep: Instant,
    /// Evidence is not written before this time, milliseconds since the Unix epoch.
    listen_from: u64,
    pub(super) timetable: Timetable,
    pub(super) verifying: Option<Verifying>,
    pub(super) training: Option<Training>,
    pub(super) tuning: Option<Tuning>,
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
        let Setup { lock, log, path, rules, metrics, notices, knowledge } = setup;
        let started = Instant::now();
        let guard = Guard::new(rules.guard.clone(), rules.alerts.clone(), notices, metrics.clone());
        let chain = Chain::new(rules.blank.window_ms(), rules.hold_ms);
        let mut books = Books::open(log, &rules.blank, guard, chain, metrics)?;
        books.relink(&rules, now_ms())?;
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
            version: books.log.last_version()?,
            books,
            rules,
            path,
            own,
            knowledge,
            next_publish: now,
            next_look: now + LOOK,
            next_sweep: now + SWEEP,
            listen_from: 0,
            timetable,
            verifying: None,
            training: None,
            tuning: None,
            retaining,
        };
        running.remember_guard()?;
        running.publish("start");
        let on_trial = running.books.guard.trial.as_ref().and_then(|(trial, _)| trial.proposal);
        for proposal in running.books.waiting()?.into_iter().filter(|p| Some(*p) != on_trial) {
            running.put_forward(proposal)?;
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
            self.on_time().or_else(|e| self.take_back(&e))?;
            self.listen(now_ms())?;
        }
        self.keep_memory()?;
        self.books.log.begin()?;
        self.books.listen_to_all(now_ms())?;
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
                    Command::Ingest(..) | Command::Rate(..) | Command::Score(..) | Command::Keep(..) => {
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
        if let Err(e) = self.judge() {
            self.take_back(&e)?;
        }
        self.tune();
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
            Command::Ingest(records, reply) => Ok(later(reply, self.books.ingest(&records, now_ms())?)),
            Command::Rate(said, reply) => Ok(later(reply, self.books.rate(&said)?)),
            Command::Score(scored, reply) => {
                self.books.score(&scored)?;
                Ok(later(reply, ()))
            }
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
            Command::Guard(order) => self.order(order),
            Command::Trained(anew) => self.trained(anew),
            Command::Retained(horizon) => self.retained(horizon),
            Command::Weighed(found) => self.weighed(found),
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
        self.books.recall(&self.rules.blank)?;
        self.books.relink(&self.rules, now_ms())?;
        let Books { guard, log, .. } = &mut self.books;
        guard.recount(log.view())
    }

    /// Writes and learns what conversations have shown by now.
    fn listen(&mut self, now: u64) -> Result<(), LogError> {
        if now < self.listen_from || self.books.chain.due().is_none_or(|due| due > now) {
            return Ok(());
        }
        let written = (|| {
            self.books.log.begin()?;
            self.books.listen(now)?;
            self.books.log.commit()
        })();
        written.or_else(|e| {
            self.listen_from = now + LISTEN_AGAIN_MS;
            self.take_back(&e)
        })
    }

    /// Goes on by other rules. What they learn in another way is learned again from the log.
    fn reload(&mut self, rules: Rules, what: &str) -> Result<(), LogError> {
        let relearn = rules.blank != self.rules.blank;
        self.rules = rules;
        self.drop_trials()?;
        self.timetable = self.books.timetable(&self.rules)?;
        self.tuning.iter_mut().for_each(|job| job.outdated = true);
        if relearn {
            self.books.recall(&self.rules.blank)?;
            self.verifying.iter_mut().for_each(|job| job.outdated = true);
            self.training.iter_mut().for_each(|job| job.outdated = true);
            self.retaining.outdated = true;
        }
        self.books.chain.set_window(self.rules.blank.window_ms());
        self.books.log.begin()?;
        self.books.log.audit(now_ms(), "reload", what)?;
        self.books.log.commit()?;
        self.publish("reload");
        Ok(())
    }

    fn until_next(&self) -> Duration {
        let publish = self.books.changed.then_some(self.next_publish);
        let at = [Some(self.next_look), Some(self.next_sweep), Some(self.retaining.next()), publish];
        let timer = at.into_iter().flatten().min();
        let timer = timer.map_or(SWEEP, |at| at.saturating_duration_since(Instant::now()));
        let listen = self.books.chain.due().map(|due| due.max(self.listen_from));
        let clock = [self.timetable.next(), listen].into_iter().flatten().min();
        let clock = clock.map(|at| Duration::from_millis(at.saturating_sub(now_ms())));
        clock.map_or(timer, |clock| clock.min(timer))
    }

    fn on_time(&mut self) -> Result<(), LogError> {
        let now = Instant::now();
        if now >= self.next_look {
            self.next_look = now + LOOK;
            self.look()?;
        }
        if self.books.changed && now >= self.next_publish {
            self.publish("stream");
        }
        self.chores()?;
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP;
            match self.books.log.drop_pending(now_ms().saturating_sub(PENDING_MS)) {
                Ok(0) => {}
                Ok(n) => warn!("dropped {n} feedback whose records never came"),
                Err(e) => warn!("{e}"),
            }
            self.keep_memory()?;
        }
        Ok(())
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
