use dragoman_core::replay::Escalated;
use proptest::prelude::*;

use super::apply::Books;
use super::rebuild::{relearn, relearn_and_rewrite};
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
    (dir, Books { log, state: state(), metrics: Metrics::new().unwrap(), changed: false })
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
        let mut rewritten = state();
        relearn_and_rewrite(&mut books.log, &mut rewritten).unwrap();
        prop_assert_eq!(&rewritten, &books.state, "the rows were right already");
    }
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
