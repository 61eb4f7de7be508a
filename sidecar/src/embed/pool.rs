//! Threads that encode, and the queue before them.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

/// Texts that may wait; a thread takes tens to hundreds of milliseconds for one, and no request waits that long.
pub const MAX_WAITING: usize = 256;

/// Most texts that a thread takes at once.
const MAX_BATCH: usize = 16;
/// Most bytes of text that a thread takes at once, unless a single one is longer: some 4,000 tokens.
const MAX_BATCH_BYTES: usize = 16 << 10;

/// An encoded text; clones share the numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// The embedding, of unit length.
    pub vector: Arc<[f32]>,
    /// Tokens that were read.
    pub tokens: usize,
}

/// What came of a text; the error is a sentence.
type Outcome = Result<Encoded, String>;

/// The queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    /// Texts that wait.
    pub waiting: usize,
}

struct Job {
    text: String,
    reply: oneshot::Sender<Outcome>,
}

struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    threads: usize,
    capacity: usize,
}

/// Threads that encode what is put into their queue. Dropping it ends them when they have done what they took.
pub struct Pool(Arc<Shared>);

// === impl Pool ===

impl Pool {
    /// Starts `threads` threads that do `encode`, behind a queue of `capacity` texts.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub fn start(
        encode: impl Fn(&str) -> Outcome + Send + Sync + 'static,
        threads: usize,
        capacity: usize,
    ) -> Result<Self, String> {
        let queue = Mutex::new(Queue { jobs: VecDeque::new(), closed: false });
        let pool = Self(Arc::new(Shared { queue, filled: Condvar::new(), threads, capacity }));
        let encode = Arc::new(encode);
        for i in 0..threads {
            let (shared, encode) = (Arc::clone(&pool.0), Arc::clone(&encode));
            let work = move || {
                while let Some(batch) = shared.take() {
                    run(batch, &*encode);
                }
            };
            let started = thread::Builder::new().name(format!("encoder-{i}")).spawn(work);
            started.map_err(|e| format!("cannot start an encoder thread: {e}"))?;
        }
        Ok(pool)
    }

    /// Encodes `texts`, all or none of which are taken; gives their outcomes in order. A caller that stops waiting
    /// takes those back that no thread has begun.
    ///
    /// # Errors
    ///
    /// [`Busy`]: the queue has no room for all of them.
    pub async fn encode(&self, texts: Vec<String>) -> Result<Vec<Outcome>, Busy> {
        let mut outcomes = Vec::with_capacity(texts.len());
        for reply in self.0.put(texts)? {
            outcomes.push(reply.await.unwrap_or_else(|_| Err("the encoder broke off".into())));
        }
        Ok(outcomes)
    }

    /// Texts that wait.
    pub fn waiting(&self) -> usize {
        self.0.queue().jobs.len()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.queue().closed = true;
        self.0.filled.notify_all();
    }
}

// === impl Shared ===

impl Shared {
    /// Nothing can panic while it is locked.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, texts: Vec<String>) -> Result<Vec<oneshot::Receiver<Outcome>>, Busy> {
        let mut queue = self.queue();
        if queue.jobs.len() + texts.len() > self.capacity {
            // Those whose callers have left take no room.
            queue.jobs.retain(|job| !job.reply.is_closed());
        }
        if queue.jobs.len() + texts.len() > self.capacity {
            return Err(Busy { waiting: queue.jobs.len() });
        }
        let mut replies = Vec::with_capacity(texts.len());
        for text in texts {
            let (reply, outcome) = oneshot::channel();
            queue.jobs.push_back(Job { text, reply });
            replies.push(outcome);
        }
        drop(queue);
        self.filled.notify_all();
        Ok(replies)
    }

    /// Waits for texts and takes this thread's share of them; `None` when there will be no more.
    fn take(&self) -> Option<Vec<Job>> {
        let mut queue = self.queue();
        while queue.jobs.is_empty() {
            if queue.closed {
                return None;
            }
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let share = queue.jobs.len().div_ceil(self.threads).min(MAX_BATCH);
        let (mut batch, mut bytes) = (Vec::with_capacity(share), 0);
        while batch.len() < share {
            let fits = |job: &&Job| batch.is_empty() || bytes + job.text.len() <= MAX_BATCH_BYTES;
            if queue.jobs.front().filter(fits).is_none() {
                break;
            }
            batch.extend(queue.jobs.pop_front().inspect(|job| bytes += job.text.len()));
        }
        Some(batch)
    }
}

/// Encodes a batch: equal texts once, and none that nobody waits for.
fn run(batch: Vec<Job>, encode: &dyn Fn(&str) -> Outcome) {
    let mut done: Vec<(String, Outcome)> = Vec::with_capacity(batch.len());
    for Job { text, reply } in batch {
        if reply.is_closed() {
            continue;
        }
        let known = done.iter().find(|(t, _)| *t == text).map(|(_, outcome)| outcome.clone());
        let outcome = known.unwrap_or_else(|| {
            let outcome = encode(&text);
            done.push((text, outcome.clone()));
            outcome
        });
        // Nobody may wait any more.
        let _ = reply.send(outcome);
    }
}

#[cfg(test)]
mod tests;
