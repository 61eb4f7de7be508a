//! The way to the sidecar: batches, failures, a bounded queue; and the way back after a restart of Envoy.

use std::time::Duration;

use dragoman_wasm_tests::mock::{Host, Plan, other_key, push, route};

fn ready() -> Host {
    Host::new().config(route()).configured()
}

/// Lets `count` requests be answered.
fn serve(host: &Host, count: usize) {
    for i in 0..count {
        // Ids sort by their millisecond.
        host.advance(Duration::from_millis(1));
        host.ask(&format!("Prompt {i}")).answered("ok");
    }
}

#[test]
fn records_leave_in_batches_one_call_at_a_time() {
    let host = ready();
    serve(&host, 6);
    assert!(host.calls().is_empty(), "never in a request's way");
    host.tick();
    let first = host.open_calls().remove(0);
    assert_eq!((first.cluster.as_str(), first.header(":path").as_str()), ("dragoman", "/v1/replays"));
    assert_eq!(
        (first.header(":method").as_str(), first.header("content-type").as_str()),
        ("POST", "application/x-ndjson")
    );
    assert_eq!(first.header("x-dragoman-encoder").len(), 8, "a checksum");
    assert_eq!(first.records().len(), 4, "the batch's size");
    host.tick();
    assert_eq!(host.open_calls().len(), 1, "one at a time");
    host.answer(first.token, 202, b"");
    let second = host.open_calls().remove(0);
    assert_eq!(second.records().len(), 2, "the rest follows at once");
    host.answer(second.token, 200, b"");
    assert_eq!(host.metric("dragoman_replays_sent"), 6);
    let ids: Vec<_> = first.records().into_iter().chain(second.records()).map(|r| r.id).collect();
    assert!(ids.is_sorted() && ids.len() == 6, "in order: {ids:?}");
    host.tick();
    assert_eq!(host.calls().len(), 2);
}

#[test]
fn a_failed_call_is_sent_again_with_the_same_records() {
    let host = ready();
    serve(&host, 2);
    for failure in [None, Some(500), Some(503), Some(429)] {
        host.tick();
        let call = host.open_calls().remove(0);
        match failure {
            None => host.fail(call.token),
            Some(status) => host.answer(call.token, status, b""),
        }
        assert!(host.open_calls().is_empty(), "not before the next tick");
    }
    host.tick();
    let calls = host.calls();
    assert!(calls.iter().all(|c| c.body == calls[0].body));
    host.answer(calls[4].token, 200, b"");
    assert_eq!(host.metric("dragoman_replay_calls_failed"), 4);
    assert_eq!((host.metric("dragoman_replays_sent"), host.metric("dragoman_replays_dropped")), (2, 0));
}

#[test]
fn a_call_that_envoy_refuses_is_tried_again() {
    let host = ready();
    serve(&host, 1);
    host.refuse_calls(true);
    host.tick();
    assert_eq!((host.calls().len(), host.metric("dragoman_replay_calls_failed")), (0, 1));
    host.refuse_calls(false);
    assert_eq!(host.flush().len(), 1);
}

#[test]
fn a_batch_refused_for_good_is_dropped_and_counted() {
    let host = ready();
    serve(&host, 5);
    host.tick();
    host.answer(host.open_calls()[0].token, 400, b"");
    assert_eq!(host.metric("dragoman_replays_refused"), 4);
    let next = host.open_calls().remove(0);
    assert_eq!(next.records().len(), 1, "the others are not blocked");
    host.answer(next.token, 200, b"");
    assert_eq!(host.metric("dragoman_replays_sent"), 1);
}

#[test]
fn a_dead_sidecar_costs_records_beyond_the_queue_and_nothing_else() {
    let host = ready();
    for _ in 0..3 {
        serve(&host, 4);
        host.tick();
        host.open_calls().iter().for_each(|c| host.fail(c.token));
    }
    assert_eq!(host.metric("dragoman_replays_dropped"), 4, "twelve requests, a queue of eight");
    assert_eq!(host.flush().len(), 8);
}

#[test]
fn a_late_answer_settles_only_what_it_carried() {
    let host = ready();
    serve(&host, 2);
    host.tick();
    let call = host.open_calls().remove(0);
    serve(&host, 3);
    host.answer(call.token, 200, b"");
    assert_eq!(host.metric("dragoman_replays_sent"), 2);
    assert_eq!(host.open_calls()[0].records().len(), 3);
}

#[test]
fn recovery_asks_at_once_while_there_is_nothing_and_stores_what_comes() {
    let host = ready();
    let worker = host.plugin(push());
    worker.tick();
    let call = worker.open_calls().remove(0);
    assert_eq!(
        (call.header(":method").as_str(), call.header(":path").as_str()),
        ("GET", "/v1/snapshot?newer_than=0")
    );
    worker.tick();
    assert_eq!(worker.open_calls().len(), 1, "one at a time");
    worker.answer(call.token, 200, &Plan::favouring(4, "coder").blob());
    assert_eq!(host.shared_data("dragoman.version"), Some(4u64.to_le_bytes().to_vec()));
    assert_eq!(host.ask("Hello").header("x-vsr-cluster").as_deref(), Some("coder"));
    assert!(host.logs().contains(&"info: snapshot 4 recovered from the sidecar".to_owned()));
}

#[test]
fn recovery_asks_rarely_once_there_is_a_snapshot() {
    let worker = Host::new().config(push()).configured();
    worker.plugin(push()).push(&Plan::favouring(4, "coder").blob());
    worker.tick();
    let call = worker.open_calls().remove(0);
    assert_eq!(call.header(":path"), "/v1/snapshot?newer_than=4");
    worker.answer(call.token, 304, b"");
    (0..40).for_each(|_| worker.tick());
    assert_eq!(worker.calls().len(), 1);
    worker.advance(Duration::from_secs(5));
    worker.tick();
    assert_eq!(worker.calls().len(), 2);
}

#[test]
fn workers_take_turns_in_asking() {
    let one = Host::new().config(push()).configured();
    let other = one.plugin(push());
    one.push(&Plan::favouring(4, "coder").blob());
    let asked = || (one.calls().len(), other.calls().len());
    one.tick();
    other.tick();
    assert_eq!(asked(), (1, 0));
    one.answer(one.open_calls()[0].token, 304, b"");
    one.advance(Duration::from_secs(5));
    other.tick();
    one.tick();
    assert_eq!(asked(), (1, 1));
}

#[test]
fn a_clock_that_was_put_back_does_not_end_recovery() {
    let worker = Host::new().config(push()).configured();
    let in_the_future = u64::MAX.to_le_bytes();
    worker.set_shared_data("dragoman.asked", &in_the_future);
    worker.tick();
    assert_eq!(worker.open_calls().len(), 1);
}

#[test]
fn recovery_goes_on_asking_a_sidecar_that_fails_and_complains_once() {
    let worker = Host::new().config(push()).configured();
    for failure in [None, Some(503), None, Some(500)] {
        worker.tick();
        let call = worker.open_calls().remove(0);
        match failure {
            None => worker.fail(call.token),
            Some(status) => worker.answer(call.token, status, b""),
        }
    }
    worker.refuse_calls(true);
    worker.tick();
    let warnings = worker.logs().iter().filter(|l| l.starts_with("warn")).count();
    assert_eq!((worker.calls().len(), warnings), (4, 1), "{:?}", worker.logs());
}

#[test]
fn recovery_refuses_what_push_would_refuse() {
    let worker = Host::new().config(push()).configured();
    for blob in
        [Plan::favouring(4, "coder").snapshot().encode(&other_key()).unwrap(), b"<html>".to_vec(), vec![]]
    {
        worker.tick();
        worker.answer(worker.open_calls()[0].token, 200, &blob);
        assert_eq!(worker.shared_data("dragoman.snapshot"), None);
    }
}

#[test]
fn a_push_that_is_faster_than_recovery_wins() {
    let worker = Host::new().config(push()).configured();
    worker.tick();
    let call = worker.open_calls().remove(0);
    worker.plugin(push()).push(&Plan::favouring(5, "strong").blob());
    worker.answer(call.token, 200, &Plan::favouring(4, "coder").blob());
    assert_eq!(worker.shared_data("dragoman.version"), Some(5u64.to_le_bytes().to_vec()));
    assert!(!worker.logs().iter().any(|l| l.starts_with("warn")), "{:?}", worker.logs());
}

#[test]
fn a_race_for_the_very_first_snapshot_heals() {
    // Envoy's CAS cannot guard a key that is not there yet, so an older snapshot may take a newer one's place once.
    let host = ready();
    let worker = host.plugin(push());
    worker.tick();
    let newer = Plan::favouring(5, "strong").blob();
    host.race("dragoman.snapshot", &newer);
    worker.answer(worker.open_calls()[0].token, 200, &Plan::favouring(4, "coder").blob());
    worker.advance(Duration::from_secs(5));
    worker.tick();
    let call = worker.open_calls().remove(0);
    assert_eq!(call.header(":path"), "/v1/snapshot?newer_than=4", "the version fits the blob that is stored");
    worker.answer(call.token, 200, &newer);
    assert_eq!(host.ask("Hello").header("x-vsr-cluster").as_deref(), Some("strong"));
}
