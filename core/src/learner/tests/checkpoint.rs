//! What is written down and read again goes on as if nothing had happened.

use std::sync::Arc;

use super::super::*;
use crate::config::LearnerConfig;
use crate::request::RequestFacts;
use crate::signals::Signals;

fn context(i: u64) -> Arc<Context> {
    let noise = |salt: u64| ((i * 7919 + salt * 104_729) % 997) as f32 / 997.0 - 0.5;
    let embedding: Vec<f32> = (0..4).map(noise).collect();
    let signals = Signals { code: noise(9).abs(), ..Default::default() };
    Arc::new(Context::new(Some(&embedding), 4, &signals, &RequestFacts::default()))
}

/// Two components of embeddings of four numbers: what the first says of rewards comes as a trend too.
fn learner(whole: bool) -> Learner {
    let identity: Vec<f32> = (0..8).map(|i| f32::from(u8::from(i / 4 == i % 4))).collect();
    let config = LearnerConfig { whole_context: whole, dimensions: 9, ..super::LEARNER };
    Learner::new(config, Base::from_components(&[0.1; 4], &identity).unwrap(), Some(0.01))
}

fn learn(learner: &mut Learner, range: std::ops::Range<u64>) {
    for i in range {
        let context = context(i);
        let route = if i % 3 == 0 { "d/a" } else { "d/b" };
        let reward = f64::from(context.values()[0]) / 3.0;
        let tokens = (i % 5 > 0).then_some(20 + i as u32 % 90);
        learner.observe(&Observation { route, context: &context, reward, completion_tokens: tokens });
        learner.spent(route, &context, &RequestFacts::default(), 0.001 * (i % 7) as f64);
        if i % 4 == 3 {
            let ordinal = learner.observations(route);
            learner.revise(route, &context, ordinal, reward, reward + 0.1);
        }
    }
}

fn through_text(learner: &Learner, blank: &Learner) -> Learner {
    let text = serde_json::to_string(&learner.save()).unwrap();
    blank.restored(serde_json::from_str(&text).unwrap()).unwrap()
}

#[test]
fn a_learner_written_down_is_the_same_to_the_bit_and_goes_on_alike() {
    for (whole, events) in [(false, 100), (false, 4200), (true, 100)] {
        let blank = learner(whole);
        let mut streamed = blank.clone();
        learn(&mut streamed, 0..events);
        let mut again = through_text(&streamed, &blank);
        assert_eq!(again, streamed);
        assert_eq!(again.is_fitting(), !whole && events < 4096);
        assert_eq!(again.trend.is_some(), !whole);
        learn(&mut streamed, events..events + 70);
        learn(&mut again, events..events + 70);
        assert_eq!(again, streamed);
    }
}

#[test]
fn what_another_encoder_or_kind_of_features_learned_is_refused() {
    let mut other = learner(false);
    learn(&mut other, 0..40);
    let why = learner(true).restored(other.save()).unwrap_err();
    assert!(why.contains("another learner.features"), "{why}");
    let base = Base::from_components(&[0.2; 4], &[1.0, 0.0, 0.0, 0.0]).unwrap();
    let stranger = Learner::new(super::LEARNER, base, None);
    assert!(stranger.restored(other.save()).unwrap_err().contains("another encoder"));
}

#[test]
fn begun_anew_observations_keep_their_numbers_and_features_are_of_the_newest_prompts() {
    let mut old = learner(false);
    learn(&mut old, 0..300);
    let newest: Vec<_> = (1000..1200).map(context).collect();
    let answered = |x: &'_ Arc<Context>| (f64::from(x.values()[2]), Arc::clone(x));
    let newest: Vec<_> = newest.iter().map(answered).collect();
    let newest: Vec<_> =
        newest.iter().map(|(reward, context)| Answered { route: "d/a", context, reward: *reward }).collect();
    let mut anew = old.anew(&newest).unwrap();
    assert!(!anew.is_fitting() && anew.features() != old.features());
    assert!(anew.trend.is_some() && anew.trend != old.trend);
    assert_eq!(anew.observations("d/a"), old.observations("d/a"));
    learn(&mut anew, 300..360);
    learn(&mut old, 300..360);
    for route in ["d/a", "d/b"] {
        assert_eq!(anew.observations(route), old.observations(route));
    }
    assert_eq!(through_text(&anew, &learner(false)), anew);
    assert!(learner(false).anew(&[]).is_none(), "there are no prompts to fit to");
}
