use dragoman_core::chain::Chain;
use dragoman_core::replay::Escalated;
use dragoman_core::request::{Thread, ThreadHash};
use dragoman_core::signals::{FeedbackKind, FeedbackSignal, Signals};
use dragoman_core::snapshot::SigningKey;
use proptest::prelude::*;

use super::apply::Books;
use super::rebuild::{learned, relearn, relearn_and_rewrite};
use super::*;
use crate::guard::Guard;
use crate::learn::tests::state;
use crate::log::Log;
use crate::sample;

const MINUTE_MS: u64 = 60_000;
const WINDOW_MS: u64 = 3 * MINUTE_MS;
const START_MS: u64 = 1_000 * MINUTE_MS;

/// Something that comes in, about one of twelve records.
#[derive(Debug, Clone)]
enum Happening {
    Record(u8),
    Feedback(u8, u8, u8, f64),
    Score(u8, u8),
    /// Time goes on to this minute, and the conversations are listened to.
    Time(u8),
    Restart,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let record = (0u8..12).prop_map(Happening::Record);
    let feedback = (0u8..12, 0u8..3, 1u8..=5, 0f64..=1.0)
        .prop_map(|(n, rater, rating, weight)| Happening::Feedback(n, rater, rating, weight));
    let score = (0u8..12, 1u8..=5).prop_map(|(n, score)| Happening::Score(n, score));
    let time = (0u8..30).prop_map(Happening::Time);
    let one = prop_oneof![4 => record, 2 => feedback, 1 => score, 3 => time, 1 => Just(Happening::Restart)];
    prop::collection::vec(one, 0..60)
}

/// Records of two routes, some failed, some escalated within the decision or out of it; turns of three conversations,
/// one of which has no name.
fn record(n: u8) -> ReplayRecord {
    let kinds = [FeedbackKind::None, FeedbackKind::Satisfied, FeedbackKind::WrongAnswer];
    let kind = kinds[usize::from(n / 3) % 3];
    let hash = |turn: u8| Some(ThreadHash(turn.into()));
    let thread = Thread {
        whole: hash(n / 6),
        follows: (n >= 6).then(|| hash(n / 6 - 1)).flatten(),
        complains: n.is_multiple_of(4),
        ..Default::default()
    };
    let escalated = |route: Option<&str>| Escalated { model: "b".into(), route: route.map(str::to_owned) };
    ReplayRecord {
        id: format!("r{n}"),
        route: (n != 11).then(|| if n.is_multiple_of(2) { "d/a" } else { "d/b" }.to_owned()),
        escalated_to: match n % 5 {
            3 => Some(escalated(Some("d/b"))),
            4 => Some(escalated(None)),
            _ => None,
        },
        cost: f64::from(n) * 1.1e-4,
        time_ms: START_MS + u64::from(n) * MINUTE_MS,
        session: (!n.is_multiple_of(3)).then(|| format!("s{}", n % 3)),
        thread: if n.is_multiple_of(3) { thread } else { Thread::default() },
        signals: Signals { feedback: FeedbackSignal { kind, score: 0.7 }, ..Default::default() },
        ..sample::record(if n.is_multiple_of(7) { 503 } else { 200 }, f32::from(n) / 13.0)
    }
}

fn books() -> (tempfile::TempDir, Books) {
    let dir = tempfile::tempdir().unwrap();
    let books = books_of(dir.path());
    (dir, books)
}

fn books_of(dir: &std::path::Path) -> Books {
    let log = Log::open(&crate::log::path(dir)).unwrap();
    let (metrics, chain) = (Metrics::new().unwrap(), Chain::new(WINDOW_MS, 0));
    let hook = crate::guard::webhook::channel().0;
    let guard = Guard::new(GuardConfig::default(), AlertsConfig::default(), hook, metrics.clone());
    Books::open(log, &state(), guard, chain, metrics).unwrap()
}

fn rules() -> Rules {
    let document = serde_json::json!({"default_model": "a", "models": {"a": {"endpoint": "http://h", "price": {}}},
        "reward": {"window_minutes": WINDOW_MS / MINUTE_MS}});
    let config = Config::from_value(&document).unwrap();
    let blank = State::new(config.reward, state().learner().clone());
    let secrets = Secrets::of(&SigningKey::from_bytes(&[7; 32]));
    Rules { hold_ms: 0, ..Rules::of(&config, blank, Arc::default(), secrets) }
}

/// The kinds of evidence in the log about record `n`, in order.
fn heard(books: &Books, n: u8) -> Vec<&'static str> {
    let heard = books.log.view().evidence(&format!("r{n}"), i64::MAX).unwrap();
    heard.into_iter().map(|heard| heard.evidence.name()).collect()
}

#[test]
fn what_a_conversation_shows_is_written_once_also_over_a_restart() {
    let (_dir, mut books) = books();
    let minute = |n: u64| START_MS + n * MINUTE_MS;
    books.log.begin().unwrap();
    for n in [1, 4] {
        books.ingest(&[record(n)], minute(n.into())).unwrap();
        books.listen(minute(n.into())).unwrap();
    }
    books.relink(&rules(), minute(4)).unwrap();
    books.listen(minute(5)).unwrap();
    assert_eq!((heard(&books, 1), heard(&books, 4)), (vec!["satisfied"], vec![]));
    for _ in 0..2 {
        books.listen(minute(20)).unwrap();
        books.relink(&rules(), minute(20)).unwrap();
    }
    assert_eq!((heard(&books, 1), heard(&books, 4)), (vec!["satisfied"], vec![]), "4 was no route's answer");
    books.ingest(&[record(10)], minute(20)).unwrap();
    books.listen(minute(24)).unwrap();
    books.relink(&rules(), minute(24)).unwrap();
    books.listen(minute(40)).unwrap();
    assert_eq!(heard(&books, 10), ["silence"]);
    books.score(&Scored { replay_id: "r10".into(), score: 4, time_ms: 0 }).unwrap();
    books.score(&Scored { replay_id: "r10".into(), score: 1, time_ms: 0 }).unwrap();
    books.score(&Scored { replay_id: "r11".into(), score: 1, time_ms: 0 }).unwrap();
    assert_eq!((heard(&books, 10), heard(&books, 11)), (vec!["silence", "judge"], vec![]));
    let (mut rebuilt, mut deaf) = (state(), state());
    relearn(books.log.view(), &mut rebuilt, 0, i64::MAX).unwrap();
    [1, 4, 10].into_iter().for_each(|n| drop(deaf.observe(&record(n))));
    assert!(rebuilt == books.state && deaf != books.state, "it was learned, and is again");
    books.log.commit().unwrap();
}

#[test]
fn a_log_of_the_first_version_is_taken_over_with_all_voices_alike() {
    let dir = tempfile::tempdir().unwrap();
    let path = crate::log::path(dir.path());
    let old = rusqlite::Connection::open(&path).unwrap();
    let tables =
        "CREATE TABLE feedback(seq INTEGER PRIMARY KEY, replay_id TEXT NOT NULL, rater TEXT NOT NULL,
          time_ms INTEGER NOT NULL, feedback TEXT NOT NULL, UNIQUE(replay_id, rater));
        CREATE TABLE pending_feedback(seq INTEGER PRIMARY KEY, replay_id TEXT NOT NULL, rater TEXT NOT NULL,
          time_ms INTEGER NOT NULL, feedback TEXT NOT NULL, UNIQUE(replay_id, rater));
        INSERT INTO feedback VALUES(1, 'r1', '', 0, '{\"rating\":2}');";
    old.execute_batch(tables).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    for _ in 0..2 {
        let log = Log::open(&path).unwrap();
        let said = log.view().feedback("r1", i64::MAX).unwrap();
        assert_eq!((said[0].feedback.rating, said[0].weight), (Some(2), 1.0));
    }
}

/// What the guard knows of the feedback detector: for each pair, whether it agreed.
fn pairs(books: &Books) -> serde_json::Value {
    serde_json::to_value(books.guard.memory()).unwrap()["watch"]["pairs"].take()
}

#[test]
fn the_detector_is_held_against_raters_once_for_each_answer() {
    let (_dir, mut books) = books();
    let minute = |n: u8| START_MS + u64::from(n) * MINUTE_MS;
    let kind = |n: u8, kind| {
        let feedback = FeedbackSignal { kind, score: 0.7 };
        ReplayRecord { signals: Signals { feedback, ..Default::default() }, ..record(n) }
    };
    let rate = |books: &mut Books, n: u8, rater: &str, rating: u8| {
        let feedback = Feedback { rating: Some(rating), ..Default::default() };
        let said =
            Said { replay_id: format!("r{n}"), rater: rater.into(), feedback, time_ms: 0, weight: 1.0 };
        books.rate(&said).unwrap();
    };
    books.log.begin().unwrap();
    // 4 follows 1 and 13 follows 10; said before anything is heard, and after.
    books.ingest(&[record(1)], minute(1)).unwrap();
    rate(&mut books, 1, "a", 2);
    assert_eq!(pairs(&books), serde_json::json!([]));
    books.ingest(&[kind(4, FeedbackKind::Satisfied)], minute(4)).unwrap();
    books.listen(minute(4)).unwrap();
    assert_eq!(heard(&books, 1), ["feedback", "satisfied"]);
    assert_eq!(pairs(&books), serde_json::json!([false]));
    rate(&mut books, 1, "b", 5);
    assert_eq!(pairs(&books), serde_json::json!([false]), "once");
    for n in [10, 13] {
        books.ingest(&[kind(n, FeedbackKind::WrongAnswer)], minute(n)).unwrap();
        books.listen(minute(n)).unwrap();
    }
    assert_eq!(heard(&books, 10), ["wrong_answer"]);
    rate(&mut books, 10, "a", 3);
    assert_eq!(pairs(&books), serde_json::json!([false]), "that is neither");
    rate(&mut books, 10, "b", 1);
    assert_eq!(pairs(&books), serde_json::json!([false, true]));
    books.log.commit().unwrap();
    // What is learned again is no news.
    books.recall(&state()).unwrap();
    assert_eq!(pairs(&books), serde_json::json!([false, true]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_rebuild_gives_the_same_bits_whatever_came_in_whichever_order(all in happenings()) {
        let (_dir, mut books) = books();
        let mut now = START_MS;
        books.log.begin().unwrap();
        for happening in all {
            match happening {
                Happening::Record(n) => drop(books.ingest(&[record(n)], now).unwrap()),
                Happening::Feedback(n, rater, rating, weight) => {
                    let (feedback, rater) = (Feedback { rating: Some(rating), ..Default::default() }, rater.to_string());
                    books.rate(&Said { replay_id: format!("r{n}"), rater, feedback, time_ms: 0, weight }).unwrap();
                }
                Happening::Score(n, score) => {
                    books.score(&Scored { replay_id: format!("r{n}"), score, time_ms: 0 }).unwrap();
                }
                Happening::Time(minute) => {
                    now = now.max(START_MS + u64::from(minute) * MINUTE_MS);
                    books.listen(now).unwrap();
                }
                Happening::Restart => books.relink(&rules(), now).unwrap(),
            }
        }
        books.listen_to_all(now).unwrap();
        books.log.commit().unwrap();
        let mut rebuilt = state();
        relearn(books.log.view(), &mut rebuilt, 0, i64::MAX).unwrap();
        prop_assert_eq!(&rebuilt, &books.state);
        let rewritten = relearn_and_rewrite(&mut books.log, &state()).unwrap();
        prop_assert_eq!(&rewritten, &books.state, "the rows were right already");
    }
}

#[test]
fn feedback_that_waits_is_dropped_after_its_time_and_bounded() {
    let (_dir, mut books) = books();
    let feedback = Feedback { rating: Some(5), ..Default::default() };
    let said =
        |n: u64| Said { replay_id: format!("r{n}"), rater: String::new(), feedback, time_ms: n, weight: 1.0 };
    books.log.begin().unwrap();
    for n in 1..MAX_PENDING {
        books.log.add_pending(&format!("r{n}"), "", &feedback, 1.0, n).unwrap();
    }
    assert_eq!(books.rate(&said(0)).unwrap(), Rating::Waiting);
    assert_eq!(books.rate(&said(MAX_PENDING)).unwrap(), Rating::TooManyWaiting);
    assert_eq!(books.log.drop_pending(10).unwrap(), 10);
    assert_eq!(books.rate(&said(MAX_PENDING)).unwrap(), Rating::Waiting);
    books.log.commit().unwrap();
}

#[test]
fn a_log_of_other_tables_is_refused_in_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let path = crate::log::path(dir.path());
    drop(Log::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let why = Log::open(&path).unwrap_err().to_string();
    assert!(why.contains("its tables have version 9, this build reads 2"), "{why}");
    std::fs::write(&path, "this is no database at all, but it is long enough to be looked at").unwrap();
    assert!(Log::open(&path).unwrap_err().to_string().contains("could not be opened"));
}

mod story;
