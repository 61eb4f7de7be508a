//! The judge: a model that scores a sampled share of the answers, away from everything else.
//!
//! This room owns the questions to it. The filter samples, the texts come with the records and stay in memory only
//! until they are judged; a queue that is full drops them and counts. It must not know the log or what a score is
//! worth. Neither texts nor the judge's words may be logged.

mod ask;

use std::sync::Arc;
use std::time::Duration;

use dragoman_core::config::Config;
use dragoman_core::replay::Sample;
use log::warn;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::client::Client;
use crate::clock::now_ms;
use crate::metrics::Metrics;
use crate::writer::{Scored, Writer};
use ask::Asker;

/// Answers that wait for the judge: with the longest texts some 200 MB.
const QUEUE: usize = 256;

/// An answer to be judged.
#[derive(Debug)]
struct Answer {
    replay_id: String,
    sample: Sample,
}

/// Takes answers for the judge; cheap to clone.
#[derive(Debug, Clone)]
pub struct Judge {
    sender: mpsc::Sender<Answer>,
    metrics: Metrics,
}

/// Asks for scores, a few at a time.
struct Court {
    asker: Asker,
    config: watch::Receiver<Arc<Config>>,
    writer: Writer,
    metrics: Metrics,
    failures: u64,
}

// === impl Judge ===

impl Judge {
    /// Starts to judge by the configuration in use; without a judge in it, what comes is let go.
    pub fn start(
        config: watch::Receiver<Arc<Config>>,
        writer: Writer,
        metrics: Metrics,
        client: Client,
    ) -> (Self, JoinHandle<()>) {
        let (sender, answers) = mpsc::channel(QUEUE);
        let court =
            Court { asker: Asker::new(client), config, writer, metrics: metrics.clone(), failures: 0 };
        (Self { sender, metrics }, tokio::spawn(court.sit(answers)))
    }

    /// Hands in an answer; never waits.
    pub fn hand_in(&self, replay_id: String, sample: Sample) {
        if self.sender.try_send(Answer { replay_id, sample }).is_err() {
            self.metrics.judge_dropped.inc();
        }
    }
}

// === impl Court ===

impl Court {
    async fn sit(mut self, mut answers: mpsc::Receiver<Answer>) {
        let mut under_way = JoinSet::new();
        loop {
            let judge = self.config.borrow().judge.clone();
            let seats = judge.as_ref().map_or(1, |judge| judge.concurrency as usize);
            tokio::select! {
                Some(ended) = under_way.join_next() => self.count(ended.unwrap_or_else(|e| Err(e.to_string()))),
                answer = answers.recv(), if under_way.len() < seats => {
                    let Some(answer) = answer else { return };
                    let Some(judge) = judge else { continue };
                    let (asker, writer) = (self.asker.clone(), self.writer.clone());
                    under_way.spawn(async move {
                        let deadline = Duration::from_secs(judge.deadline_s.into());
                        let asked = tokio::time::timeout(deadline, asker.ask(&judge, &answer.sample)).await;
                        let score = asked.map_err(|_| format!("it did not answer within {deadline:?}"))??;
                        let scored = Scored { replay_id: answer.replay_id, score, time_ms: now_ms() };
                        let kept = writer.score(scored).await;
                        kept.map_err(|_| "the loop was too busy to take its score".to_owned())
                    });
                }
            }
        }
    }

    /// Failures are counted; the log gets the 1st, 2nd, 4th, 8th … of them.
    fn count(&mut self, ended: Result<(), String>) {
        let Err(why) = ended else { return };
        self.metrics.judge_failures.inc();
        self.failures += 1;
        if self.failures.is_power_of_two() {
            warn!("the judge (judge.endpoint) gave no score: {why} ({} such failures)", self.failures);
        }
    }
}
