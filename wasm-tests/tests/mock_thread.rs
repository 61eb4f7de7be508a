//! What the filter tells of a conversation and, of sampled answers, to the judge.

use dragoman_core::config::Sampling;
use dragoman_core::replay::{ReplayRecord, Sample};
use dragoman_core::request::{Api, ThreadKey, parse_thread};
use dragoman_wasm_tests::mock::{Host, Plan, push, route};
use serde_json::{Value, json};

const KEY: ThreadKey = ThreadKey([3; 16]);

fn with(change: impl FnOnce(&mut Plan)) -> Host {
    let mut plan = Plan::favouring(1, "strong");
    change(&mut plan);
    let host = Host::new().config(route()).configured();
    assert_eq!(host.plugin(push()).push(&plan.blob()).0, 200);
    host
}

fn one(host: &Host) -> ReplayRecord {
    let mut records = host.flush();
    assert_eq!(records.len(), 1);
    records.remove(0)
}

fn conversation(turns: usize) -> String {
    let roles = ["user", "assistant"].into_iter().cycle();
    let said = |(text, role)| json!({"role": role, "content": text});
    let texts = ["Capital of Peru?", "Quito.", "That's wrong.", "Lima.", "Thanks!"];
    let messages: Vec<Value> = texts.into_iter().zip(roles).map(said).take(2 * turns - 1).collect();
    json!({"model": "auto", "messages": messages}).to_string()
}

#[test]
fn each_turn_says_which_turn_it_follows_and_the_hash_is_the_native_one() {
    let host = with(|plan| plan.meta.routing.thread_key = Some(KEY));
    let turns: Vec<_> = (1..=3)
        .map(|n| {
            host.ask_body(&conversation(n)).answered("Lima.");
            let record = one(&host);
            let native = parse_thread(Api::ChatCompletions, conversation(n).as_bytes(), Some(&KEY)).unwrap();
            assert_eq!(record.thread, native.thread);
            record
        })
        .collect();
    assert_eq!(turns[1].thread.follows, turns[0].thread.whole);
    assert_eq!(turns[2].thread.follows, turns[1].thread.whole);
    assert!(turns[0].thread.whole.is_some() && turns[1].thread.complains);
    assert_eq!(turns[0].response.id.as_deref(), Some("1"), "the answer's own name");
}

#[test]
fn without_a_key_no_word_is_hashed() {
    let host = with(|_| ());
    host.ask_body(&conversation(2)).answered("Lima.");
    let thread = one(&host).thread;
    assert_eq!((thread.whole, thread.follows), (None, None));
}

#[test]
fn a_sampled_answer_goes_out_with_its_prompt_both_cut() {
    let sampling = Sampling { share: 1.0, max_chars: 4 };
    let host = with(|plan| plan.meta.routing.sampling = sampling);
    host.ask("Grüße an alle").answered("Hallo zurück");
    let sample = Sample { prompt: "Grüß".into(), answer: "Hall".into() };
    assert_eq!(one(&host).sample, Some(sample));
    let mut failed = host.ask("Hello");
    failed.response_headers(&[(":status", "500"), ("content-type", "application/json")], false);
    failed.response_body("{}", true);
    failed.log();
    assert_eq!(one(&host).sample, None, "only an answer can be judged");
}

#[test]
fn a_share_of_the_answers_is_sampled_and_none_unless_asked_for() {
    let count = |share: f64| {
        let host = with(|plan| plan.meta.routing.sampling = Sampling { share, max_chars: 100 });
        let sampled = |_: &u32| {
            host.ask("Hello").answered("Hi");
            one(&host).sample.is_some()
        };
        (0..200).filter(sampled).count()
    };
    assert_eq!(count(0.0), 0);
    let half = count(0.5);
    assert!((60..140).contains(&half), "{half}");
}
