use proptest::prelude::*;

use super::*;
use crate::request::{Thread, ThreadHash};
use crate::signals::FeedbackSignal;

const MINUTE: u64 = 60_000;
const START: u64 = 1_000 * MINUTE;

fn turn(id: &str, minute: f64) -> Turn {
    let time_ms = START + (minute * 60_000.0) as u64;
    Turn {
        id: id.into(),
        time_ms,
        end_ms: time_ms + 1000,
        session: None,
        response: None,
        thread: Thread::default(),
        feedback: FeedbackSignal::default(),
        answered: true,
        silent: false,
    }
}

fn in_session(id: &str, minute: f64) -> Turn {
    Turn { session: Some("s".into()), ..turn(id, minute) }
}

fn hashed(id: &str, minute: f64, whole: u64, follows: Option<u64>) -> Turn {
    let thread =
        Thread { whole: Some(ThreadHash(whole)), follows: follows.map(ThreadHash), ..Default::default() };
    Turn { thread, ..turn(id, minute) }
}

fn saying(turn: Turn, kind: FeedbackKind) -> Turn {
    Turn { feedback: FeedbackSignal { kind, score: 0.9 }, ..turn }
}

fn wrong(turn: Turn) -> Turn {
    saying(turn, FeedbackKind::WrongAnswer)
}

fn chain() -> Chain {
    Chain::new(10 * MINUTE, 0)
}

/// What is found when the turns arrive in this order, each as soon as it is answered, and then time goes on to `until`.
fn found(turns: impl IntoIterator<Item = Turn>, until: f64) -> Vec<(String, &'static str, Option<String>)> {
    let mut chain = chain();
    let mut all = Vec::new();
    for turn in turns {
        let now = turn.end_ms;
        chain.arrive(turn, now);
        all.extend(chain.advance(now));
    }
    all.extend(chain.advance(START + (until * 60_000.0) as u64));
    all.into_iter().map(|f| (f.of, f.evidence.name(), f.by)).collect()
}

fn one(of: &str, what: &'static str, by: &str) -> Vec<(String, &'static str, Option<String>)> {
    vec![(of.into(), what, Some(by.into()))]
}

#[test]
fn the_next_turn_of_a_session_speaks_of_the_answer_before_it() {
    assert_eq!(
        found([in_session("a", 0.0), wrong(in_session("b", 1.0))], 2.0),
        one("a", "wrong_answer", "b")
    );
    let third = saying(in_session("c", 2.0), FeedbackKind::Satisfied);
    assert_eq!(found([in_session("a", 0.0), in_session("b", 1.0), third], 3.0), one("b", "satisfied", "c"));
    let other = Turn { session: Some("t".into()), ..wrong(turn("b", 1.0)) };
    assert_eq!(found([in_session("a", 0.0), other], 2.0), []);
}

#[test]
fn without_a_session_the_conversation_itself_is_the_link() {
    let next = wrong(hashed("b", 1.0, 2, Some(1)));
    assert_eq!(
        found([hashed("a", 0.0, 1, None), hashed("x", 0.5, 9, None), next], 2.0),
        one("a", "wrong_answer", "b")
    );
    let nothing = Turn { thread: Thread { complains: true, ..Default::default() }, ..turn("b", 1.0) };
    assert_eq!(found([hashed("a", 0.0, 1, None), nothing], 2.0), []);
}

#[test]
fn a_named_answer_is_the_one_that_is_followed() {
    let answer =
        |id: &str, minute, response: &str| Turn { response: Some(response.into()), ..turn(id, minute) };
    let mut next = wrong(turn("c", 2.0));
    next.thread.previous_response = Some("resp_1".into());
    next.session = Some("resp_1".into());
    let sibling = Turn { id: "b".into(), time_ms: START + MINUTE, ..next.clone() };
    let sibling = Turn { feedback: FeedbackSignal::default(), ..sibling };
    assert_eq!(found([answer("a", 0.0, "resp_1"), sibling, next], 3.0), one("a", "wrong_answer", "c"));
}

#[test]
fn the_same_prompt_again_is_a_wish_for_another_answer_and_no_follow_up() {
    assert_eq!(
        found([hashed("a", 0.0, 1, None), hashed("b", 1.0, 1, None)], 2.0),
        one("a", "regenerated", "b")
    );
    let sessions =
        |id: &str, minute, s: &str| Turn { session: Some(s.into()), ..hashed(id, minute, 1, None) };
    assert_eq!(found([sessions("a", 0.0, "s"), sessions("b", 1.0, "s")], 2.0), one("a", "regenerated", "b"));
    assert_eq!(found([sessions("a", 0.0, "s"), sessions("b", 1.0, "t")], 2.0), []);
    let first = hashed("a", 0.0, 1, None);
    let at_once = Turn { time_ms: START + 100, ..hashed("b", 0.0, 1, None) };
    assert_eq!(found([first, at_once], 2.0), [], "nobody has seen the first answer yet");
    let (next, again) = (wrong(hashed("b", 1.0, 2, Some(1))), wrong(hashed("c", 2.0, 2, Some(1))));
    let all = found([hashed("a", 0.0, 1, None), next, again], 3.0);
    assert_eq!(all, [one("a", "wrong_answer", "b"), one("b", "regenerated", "c")].concat());
}

#[test]
fn words_that_are_sent_all_the_time_are_a_machines_and_say_nothing() {
    let probe = |n: u32| hashed(&format!("p{n}"), f64::from(n), 1, None);
    let of: Vec<_> = found((0..30).map(probe), 30.0).into_iter().map(|(of, what, _)| (of, what)).collect();
    assert_eq!(of, ["p0", "p1", "p2"].map(|id| (id.to_owned(), "regenerated")));
}

#[test]
fn steps_of_an_agent_say_nothing_and_the_next_turn_speaks_of_the_last() {
    let step = |id: &str, minute| {
        let mut step = wrong(hashed(id, minute, 1, None));
        step.thread.continues = true;
        step
    };
    let next = wrong(hashed("d", 3.0, 2, Some(1)));
    let all = found([hashed("a", 0.0, 1, None), step("b", 1.0), step("c", 2.0), next], 4.0);
    assert_eq!(all, one("c", "wrong_answer", "d"));
}

#[test]
fn only_an_answer_that_succeeded_is_spoken_of() {
    let failed = Turn { answered: false, ..in_session("a", 0.0) };
    assert_eq!(found([failed.clone(), wrong(in_session("b", 1.0))], 2.0), []);
    assert_eq!(found([failed], 60.0), [], "nor met with silence");
}

#[test]
fn silence_is_an_answer_after_which_nothing_came_within_the_window() {
    assert_eq!(found([in_session("a", 0.0)], 10.0), []);
    assert_eq!(found([in_session("a", 0.0)], 10.1), [("a".to_owned(), "silence", None)]);
    let next = in_session("b", 9.0);
    assert_eq!(found([in_session("a", 0.0), next], 60.0), [("b".to_owned(), "silence", None)]);
    let late = wrong(in_session("b", 11.0));
    let all = found([in_session("a", 0.0), late], 12.0);
    assert_eq!(all, [("a".to_owned(), "silence", None)], "too late to be a follow-up");
}

#[test]
fn a_follow_up_that_was_long_under_way_ends_the_silence() {
    let slow = Turn { end_ms: START + 12 * MINUTE, ..in_session("b", 9.0) };
    let mut chain = chain();
    chain.arrive(in_session("a", 0.0), START + 1000);
    let silence = chain.advance(START + 11 * MINUTE);
    assert_eq!(silence[0].evidence, Evidence::Silence);
    chain.arrive(slow, START + 12 * MINUTE);
    let found = chain.advance(START + 12 * MINUTE);
    assert_eq!((found[0].of.as_str(), found[0].evidence), ("a", NOTHING_SAID));
}

#[test]
fn turns_that_arrive_in_disorder_are_linked_in_the_order_of_their_times() {
    let mut chain = Chain::new(10 * MINUTE, 400);
    let now = START + 3 * MINUTE;
    for turn in [
        wrong(in_session("c", 2.0)),
        in_session("a", 0.0),
        saying(in_session("b", 1.0), FeedbackKind::Satisfied),
    ] {
        chain.arrive(turn, now);
    }
    assert_eq!((chain.due(), chain.advance(now)), (Some(now + 400), vec![]));
    let found: Vec<_> = chain.advance(now + 400).into_iter().map(|f| (f.of, f.evidence.name())).collect();
    assert_eq!(found, [("a".to_owned(), "satisfied"), ("b".to_owned(), "wrong_answer")]);
}

#[test]
fn records_of_another_time_bring_their_clock_with_them() {
    let mut chain = chain();
    let now = START + 100_000 * MINUTE;
    chain.arrive(in_session("a", 0.0), now);
    assert_eq!(chain.advance(now + 9 * MINUTE), []);
    chain.arrive(wrong(in_session("b", 9.5)), now + 10 * MINUTE);
    assert_eq!(chain.advance(now + 10 * MINUTE).len(), 1);
    assert_eq!(chain.advance(now + 25 * MINUTE)[0].evidence, Evidence::Silence);
}

#[test]
fn a_clock_that_is_ahead_does_not_stop_the_others() {
    let mut chain = chain();
    chain.arrive(in_session("a", 0.0), START + 1000);
    chain.arrive(Turn { time_ms: u64::MAX, end_ms: u64::MAX, ..hashed("x", 0.0, 1, None) }, START + 1000);
    chain.arrive(wrong(in_session("b", 1.0)), START + 2 * MINUTE);
    assert_eq!(chain.advance(START + 2 * MINUTE).len(), 1);
    assert_eq!(chain.advance(START + 20 * MINUTE).len(), 2, "silence after x and b");
    chain.advance(START + 40 * MINUTE);
    assert!(chain.is_empty());
}

/// What linking costs a record: `cargo test --release -p dragoman-core -- --ignored linking --nocapture`.
#[test]
#[ignore = "a measurement"]
fn linking_takes_microseconds() {
    let (mut chain, turns) = (chain(), 200_000u32);
    let (start, mut found) = (std::time::Instant::now(), 0);
    for n in 0..turns {
        let turn = Turn {
            session: Some(format!("s{}", n % 20_000)),
            ..wrong(turn(&n.to_string(), f64::from(n) / 12_000.0))
        };
        let now = turn.end_ms;
        chain.arrive(turn, now);
        found += chain.advance(now).len();
    }
    println!("{:?} a turn, {found} found, {} remembered", start.elapsed() / turns, chain.len());
}

#[test]
fn what_is_recalled_is_not_found_again_but_can_be_followed() {
    let mut chain = chain();
    let now = START + 5 * MINUTE;
    let silent = Turn { silent: true, session: Some("t".into()), ..turn("x", 0.0) };
    chain.recall([in_session("a", 0.0), wrong(in_session("b", 1.0)), silent], now);
    assert_eq!(chain.advance(now), []);
    chain.arrive(wrong(in_session("c", 5.0)), now);
    assert_eq!(chain.advance(now)[0].of, "b");
    let ends: Vec<_> = chain.advance(now + 60 * MINUTE).into_iter().map(|f| f.of).collect();
    assert_eq!(ends, ["c"]);
}

#[test]
fn a_hostile_conversation_has_a_bounded_say() {
    let first = hashed("a", 0.0, 1, None);
    let many = (0..50u32).map(|n| wrong(hashed(&format!("b{n}"), 1.0, 100 + u64::from(n), Some(1))));
    assert_eq!(found(std::iter::once(first).chain(many), 2.0).len(), usize::from(MAX_VOICES));
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let one = (0u64..1200, 0u64..90, 0u8..4, 0u64..5, prop::option::of(0u64..5), any::<[bool; 4]>());
    let made =
        one.prop_map(|(second, took, session, whole, follows, [answered, wrong, continues, named])| Turn {
            id: String::new(),
            time_ms: START + second * 1000,
            end_ms: START + (second + took) * 1000,
            session: (session > 0).then(|| format!("s{session}")),
            response: named.then(|| format!("r{whole}")),
            thread: Thread {
                whole: Some(ThreadHash(whole)),
                follows: follows.map(ThreadHash),
                previous_response: follows.filter(|_| named).map(|f| format!("r{f}")),
                continues,
                complains: wrong,
            },
            feedback: FeedbackSignal::default(),
            answered,
            silent: false,
        });
    prop::collection::vec(made, 0..60).prop_map(|mut turns| {
        turns.iter_mut().enumerate().for_each(|(n, turn)| turn.id = n.to_string());
        turns
    })
}

proptest! {
    #[test]
    fn whatever_arrives_every_piece_is_about_an_earlier_answer_and_all_is_forgotten_in_time(turns in turns()) {
        let mut chain = Chain::new(MINUTE, 400);
        let mut all = Vec::new();
        for turn in &turns {
            chain.arrive(turn.clone(), turn.end_ms + 100);
            all.extend(chain.advance(turn.end_ms + 100));
            prop_assert!(chain.len() <= turns.len());
        }
        let mut now = START + 3_600_000;
        while let Some(due) = chain.due() {
            now = now.max(due);
            all.extend(chain.advance(now));
        }
        prop_assert_eq!(chain.len(), 0);
        prop_assert!(chain.table.is_clean());
        let silent = |id: &str| all.iter().filter(|f| f.of == id && f.evidence == Evidence::Silence).count();
        for found in &all {
            let turn = |id: &str| &turns[id.parse::<usize>().unwrap()];
            prop_assert!(turn(&found.of).answered && silent(&found.of) <= 1);
            if let Some(by) = &found.by {
                prop_assert!(*by != found.of && turn(by).time_ms >= turn(&found.of).time_ms);
                prop_assert!(turn(by).time_ms <= turn(&found.of).end_ms + MINUTE);
            }
        }
    }
}

#[test]
fn the_table_is_bounded() {
    let mut table = Table::default();
    for n in 0..100u64 {
        if table.len() >= 10 {
            table.drop_oldest();
        }
        table.insert(in_session(&n.to_string(), n as f64), 0, MINUTE);
    }
    assert_eq!(table.len(), 10);
    assert!(table.latest(&Key::Session("s".into()), START + 99 * MINUTE + 1000).is_some());
}
