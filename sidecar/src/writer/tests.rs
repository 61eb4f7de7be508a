use dragoman_core::replay::Escalated;
use proptest::prelude::*;

use super::apply::Books;
use super::rebuild::{learned, relearn, relearn_and_rewrite};
use super::*;
use crate::learn::tests::state;
use crate::log::Log;
use crate::sample;

/// Something that comes in, about one of twelve records.
#[derive(Debug, Clone)]
enum Happening {
    Record(u8),
    Feedback(u8, u8, u8),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let record = (0u8..12).prop_map(Happening::Record);
    let feedback =
        (0u8..12, 0u8..3, 1u8..=5).prop_map(|(n, rater, rating)| Happening::Feedback(n, rater, rating));
    prop::collection::vec(prop_oneof![record, feedback], 0..60)
}

/// Records of two routes, some failed, some escalated within the decision or out of it.
fn record(n: u8) -> ReplayRecord {
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
        ..sample::record(if n.is_multiple_of(7) { 503 } else { 200 }, f32::from(n) / 13.0)
    }
}

fn books() -> (tempfile::TempDir, Books) {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(&crate::log::path(dir.path())).unwrap();
    (dir, Books::open(log, &state(), Metrics::new().unwrap()).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_rebuild_gives_the_same_bits_whatever_came_in_whichever_order(all in happenings()) {
        let (_dir, mut books) = books();
        books.log.begin().unwrap();
        for happening in all {
            match happening {
                Happening::Record(n) => drop(books.ingest(&[record(n)]).unwrap()),
                Happening::Feedback(n, rater, rating) => {
                    let feedback = Feedback { rating: Some(rating), ..Default::default() };
                    let said = Said { replay_id: format!("r{n}"), rater: rater.to_string(), feedback, time_ms: 0 };
                    books.rate(&said).unwrap();
                }
            }
        }
        books.log.commit().unwrap();
        let mut rebuilt = state();
        relearn(books.log.view(), &mut rebuilt, 0, i64::MAX).unwrap();
        prop_assert_eq!(&rebuilt, &books.state);
        let rewritten = relearn_and_rewrite(&mut books.log, &state()).unwrap();
        prop_assert_eq!(&rewritten, &books.state, "the rows were right already");
    }
}

/// What may happen to a log between records.
#[derive(Debug, Clone)]
enum Deed {
    Records(u8),
    Feedback(u64, u8),
    /// Everything is learned anew; the verdict comes after so many more records.
    Retrain(u8, bool),
    /// What is older than the newest so many records goes.
    Retain(u64),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let feedback = (1u64..60, 1u8..=5).prop_map(|(back, rating)| Deed::Feedback(back, rating));
    let retrain = (0u8..9, any::<bool>()).prop_map(|(later, promoted)| Deed::Retrain(later, promoted));
    let deed = prop_oneof![
        4 => (1u8..25).prop_map(Deed::Records),
        4 => feedback,
        2 => retrain,
        2 => (5u64..60).prop_map(Deed::Retain),
    ];
    prop::collection::vec(deed, 1..25)
}

/// A log that grows, is learned anew and loses its old end.
struct Story {
    dir: tempfile::TempDir,
    books: Books,
    next: u64,
}

impl Story {
    fn records(&mut self, count: u8) {
        self.books.log.begin().unwrap();
        for _ in 0..count {
            let n = self.next;
            let record = ReplayRecord { id: format!("n{n}"), time_ms: 1000 * n, ..record((n % 11) as u8) };
            self.books.ingest(&[record]).unwrap();
            self.next += 1;
        }
        self.books.log.commit().unwrap();
    }

    fn path(&self) -> std::path::PathBuf {
        crate::log::path(self.dir.path())
    }

    fn rules(&self) -> Rules {
        let document =
            serde_json::json!({"default_model": "a", "models": {"a": {"endpoint": "http://h", "price": {}}}});
        Rules::of(&Config::from_value(&document).unwrap(), state())
    }

    fn act(&mut self, deed: &Deed) {
        match *deed {
            Deed::Records(count) => self.records(count),
            Deed::Feedback(back, rating) => {
                let feedback = Feedback { rating: Some(rating), ..Default::default() };
                let replay_id = format!("n{}", self.next.saturating_sub(back));
                let said = Said { replay_id, rater: rating.to_string(), feedback, time_ms: 1000 * self.next };
                self.books.log.begin().unwrap();
                self.books.rate(&said).unwrap();
                self.books.log.commit().unwrap();
            }
            Deed::Retrain(later, promoted) => {
                let through = self.books.log.last_seq().unwrap();
                let job = super::train::Job { path: self.path(), blank: state(), through };
                let Some(anew) = job.run().unwrap() else { return };
                let proposal = self.books.keep_candidate(&anew).unwrap().proposal;
                self.records(later);
                let before = self.books.state.clone();
                let replaced = self.books.judged(&self.rules(), proposal, promoted).unwrap();
                assert_eq!(replaced, promoted);
                assert!(promoted || self.books.state == before, "a rejected one changes nothing");
                assert_eq!(self.books.waiting().unwrap(), Vec::<i64>::new());
            }
            Deed::Retain(newest) => {
                let (cutoff, now) = (1000 * self.next.saturating_sub(newest), 1000 * self.next);
                let job = super::retain::Job { path: self.path(), blank: state(), cutoff, now };
                let Some(horizon) = job.run().unwrap() else { return };
                let log = &mut self.books.log;
                log.begin().unwrap();
                log.set_horizon(horizon.seq, cutoff, &horizon.state, now).unwrap();
                log.commit().unwrap();
                while log.trim().unwrap() {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn with_retrains_and_retention_in_between_a_rebuild_still_gives_the_same_bits(all in deeds()) {
        let (dir, books) = books();
        let mut story = Story { dir, books, next: 0 };
        story.records(40);
        for deed in all {
            story.act(&deed);
            let rebuilt = learned(story.books.log.view(), &state(), i64::MAX).unwrap();
            prop_assert_eq!(&rebuilt, &story.books.state, "after {:?}", deed);
        }
        // Another run of the program goes on from the file alone.
        let Story { dir, books, .. } = story;
        let streamed = books.state.clone();
        drop(books);
        let log = Log::open(&crate::log::path(dir.path())).unwrap();
        let again = Books::open(log, &state(), Metrics::new().unwrap()).unwrap();
        prop_assert_eq!(&again.state, &streamed);
    }
}

#[test]
fn a_log_of_the_first_tables_is_taken_over_and_shrinks_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = crate::log::path(dir.path());
    let old = "PRAGMA auto_vacuum = NONE; PRAGMA user_version = 1; CREATE TABLE replays(
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, time_ms INTEGER NOT NULL, session TEXT, decision TEXT,
        model TEXT NOT NULL, route TEXT, ordinal INTEGER, reward REAL NOT NULL, record TEXT NOT NULL)";
    rusqlite::Connection::open(&path).unwrap().execute_batch(old).unwrap();
    let books = Books::open(Log::open(&path).unwrap(), &state(), Metrics::new().unwrap()).unwrap();
    let mut story = Story { dir, books, next: 0 };
    for _ in 0..10 {
        story.records(60);
    }
    story.act(&Deed::Retain(5));
    story.books.log.shrink(true).unwrap();
    let beside = rusqlite::Connection::open(&path).unwrap();
    let number = |name: &str| beside.pragma_query_value(None, name, |r| r.get::<_, i64>(0)).unwrap();
    assert_eq!((number("auto_vacuum"), number("freelist_count"), number("user_version")), (2, 0, 2));
    let left: i64 = beside.query_row("SELECT count(*) FROM replays", [], |r| r.get(0)).unwrap();
    assert_eq!(left, 5);
}

#[test]
fn other_rewards_are_counted_anew_from_the_logs_old_end_on() {
    let (dir, books) = books();
    let mut story = Story { dir, books, next: 0 };
    story.records(60);
    story.act(&Deed::Retrain(3, true));
    story.act(&Deed::Retain(20));
    let horizon = story.books.log.view().horizon().unwrap().unwrap().seq;
    assert!(horizon > 20);
    let kept = story.books.log.view().events(0, i64::MAX).unwrap();
    assert!(kept.iter().all(|event| event.seq() > horizon));
    let other = crate::learn::tests::state_of(serde_json::json!({"quality": 0.9}));
    let again = relearn_and_rewrite(&mut story.books.log, &other).unwrap();
    assert_eq!(learned(story.books.log.view(), &other, i64::MAX).unwrap(), again);
    let observed = |state: &State| state.learner().observations("d/a");
    assert_eq!(observed(&again), observed(&story.books.state), "observations keep their numbers");
    assert_ne!(again.totals()["d/a"].sum, story.books.state.totals()["d/a"].sum);
}

#[test]
fn feedback_that_waits_is_dropped_after_its_time_and_bounded() {
    let (_dir, mut books) = books();
    let feedback = Feedback { rating: Some(5), ..Default::default() };
    let said = |n: u64| Said { replay_id: format!("r{n}"), rater: String::new(), feedback, time_ms: n };
    books.log.begin().unwrap();
    for n in 1..MAX_PENDING {
        books.log.add_pending(&format!("r{n}"), "", &feedback, n).unwrap();
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
