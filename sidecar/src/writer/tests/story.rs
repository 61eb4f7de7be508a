//! A log that grows, is learned anew and loses its old end.

use super::*;

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
            self.books.ingest(&[record], 1000 * n).unwrap();
            self.next += 1;
        }
        self.books.log.commit().unwrap();
    }

    fn path(&self) -> std::path::PathBuf {
        crate::log::path(self.dir.path())
    }

    fn act(&mut self, deed: &Deed) {
        match *deed {
            Deed::Records(count) => self.records(count),
            Deed::Feedback(back, rating) => {
                let feedback = Feedback { rating: Some(rating), ..Default::default() };
                let replay_id = format!("n{}", self.next.saturating_sub(back));
                let said = Said {
                    replay_id,
                    rater: rating.to_string(),
                    feedback,
                    time_ms: 1000 * self.next,
                    weight: 1.0,
                };
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
                let replaced =
                    self.books.judged(&Rules { blank: state(), ..rules() }, proposal, promoted).unwrap();
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
        let again = books_of(dir.path());
        prop_assert_eq!(&again.state, &streamed);
    }
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
fn a_log_of_the_first_tables_is_taken_over_and_shrinks_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = crate::log::path(dir.path());
    let old = "PRAGMA auto_vacuum = NONE; PRAGMA user_version = 1; CREATE TABLE replays(
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, time_ms INTEGER NOT NULL, session TEXT, decision TEXT,
        model TEXT NOT NULL, route TEXT, ordinal INTEGER, reward REAL NOT NULL, record TEXT NOT NULL);
        CREATE TABLE feedback(seq INTEGER PRIMARY KEY, replay_id TEXT NOT NULL, rater TEXT NOT NULL,
          time_ms INTEGER NOT NULL, feedback TEXT NOT NULL, UNIQUE(replay_id, rater));
        CREATE TABLE pending_feedback(seq INTEGER PRIMARY KEY, replay_id TEXT NOT NULL, rater TEXT NOT NULL,
          time_ms INTEGER NOT NULL, feedback TEXT NOT NULL, UNIQUE(replay_id, rater))";
    rusqlite::Connection::open(&path).unwrap().execute_batch(old).unwrap();
    let books = books_of(dir.path());
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
