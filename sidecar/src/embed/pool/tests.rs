use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::*;

fn encoded(text: &str) -> Outcome {
    match text {
        "bad" => Err("it cannot be encoded".into()),
        text => Ok(Encoded { vector: vec![text.len() as f32].into(), tokens: text.len() }),
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|t| (*t).to_owned()).collect()
}

/// A pool of one thread that encodes only when it is let, and how often it has begun to.
fn held(capacity: usize) -> (Arc<Pool>, mpsc::Sender<()>, Arc<AtomicUsize>) {
    let (go, gate) = mpsc::channel::<()>();
    let (gate, count) = (Mutex::new(gate), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    let work = move |text: &str| {
        counted.fetch_add(1, Ordering::SeqCst);
        gate.lock().unwrap().recv().unwrap();
        encoded(text)
    };
    (Arc::new(Pool::start(work, 1, capacity).unwrap()), go, count)
}

fn asked(pool: &Arc<Pool>, text: &str) -> tokio::task::JoinHandle<Result<Vec<Outcome>, Busy>> {
    let (pool, text) = (Arc::clone(pool), texts(&[text]));
    tokio::spawn(async move { pool.encode(text).await })
}

async fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn outcomes_come_in_the_order_of_their_texts() {
    let pool = Pool::start(encoded, 3, 100).unwrap();
    let outcomes = pool.encode(texts(&["a", "bad", "ccc", "a"])).await.unwrap();
    assert_eq!(outcomes, ["a", "bad", "ccc", "a"].map(encoded));
}

#[tokio::test]
async fn a_full_queue_takes_all_of_a_call_or_nothing() {
    let (pool, go, count) = held(2);
    let first = asked(&pool, "a");
    until(|| count.load(Ordering::SeqCst) == 1).await;
    let second = asked(&pool, "b");
    until(|| pool.waiting() == 1).await;
    assert_eq!(pool.encode(texts(&["c", "d"])).await, Err(Busy { waiting: 1 }));
    assert_eq!(pool.waiting(), 1);
    (0..2).for_each(|_| go.send(()).unwrap());
    assert_eq!(first.await.unwrap().unwrap()[0], encoded("a"));
    assert_eq!(second.await.unwrap().unwrap()[0], encoded("b"));
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_encoded_and_takes_no_room() {
    let (pool, go, count) = held(1);
    let first = asked(&pool, "a");
    until(|| count.load(Ordering::SeqCst) == 1).await;
    let left = tokio::time::timeout(Duration::from_millis(5), pool.encode(texts(&["b"]))).await;
    assert!(left.is_err() && pool.waiting() == 1);
    let third = asked(&pool, "c");
    until(|| pool.0.queue().jobs.iter().any(|job| job.text == "c")).await;
    (0..2).for_each(|_| go.send(()).unwrap());
    assert_eq!(first.await.unwrap().unwrap()[0], encoded("a"));
    assert_eq!(third.await.unwrap().unwrap()[0], encoded("c"));
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn equal_texts_that_wait_together_are_encoded_once() {
    let (pool, go, count) = held(100);
    (0..8).for_each(|_| go.send(()).unwrap());
    // One call's texts may be taken in any batches; a batch has no equal ones left.
    let outcomes = pool.encode(texts(&["a"; 8])).await.unwrap();
    assert!(outcomes.iter().all(|outcome| *outcome == encoded("a")));
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn a_batch_is_a_fair_share_and_not_too_long() {
    let taken = |texts: &[usize], threads| {
        let queue = Mutex::new(Queue { jobs: VecDeque::new(), closed: false });
        let shared = Shared { queue, filled: Condvar::new(), threads, capacity: 100 };
        let _replies = shared.put(texts.iter().map(|n| "x".repeat(*n)).collect()).unwrap();
        shared.take().unwrap().len()
    };
    assert_eq!(taken(&[1; 10], 3), 4);
    assert_eq!(taken(&[1; 90], 1), MAX_BATCH);
    assert_eq!(taken(&[10_000; 3], 1), 1, "two are more than a thread takes at once");
    assert_eq!(taken(&[1 << 20, 1], 1), 1, "one is always taken");
}
