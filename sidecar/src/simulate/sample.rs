//! Small worlds for tests.

use dragoman_core::context::Context;
use dragoman_core::request::RequestFacts;
use dragoman_core::signals::Signals;

use super::encode::Prompt;
use super::replay::{Choice, Chooser, Observed, Order, Stage};
use super::rows::Answer;

/// Prompts of growing length without an embedding: row i has i + 1 characters.
pub(crate) fn prompts(n: u32) -> Vec<Prompt> {
    let prompt = |chars| {
        let facts = RequestFacts { prompt_chars: chars, ..Default::default() };
        let signals = Signals::default();
        Prompt { context: Context::new(None, 0, &signals, &facts).into(), signals, facts }
    };
    (1..=n).map(prompt).collect()
}

/// `(reward, cost)` by row, then by arm.
pub(crate) fn table<R: AsRef<[(f64, f64)]>>(rows: &[R]) -> Vec<Vec<Option<Answer>>> {
    let answer = |(reward, cost): &(f64, f64)| Some(Answer { reward: *reward, cost: Some(*cost) });
    rows.iter().map(|row| row.as_ref().iter().map(answer).collect()).collect()
}

/// All rows scored, in their order, without events.
pub(crate) fn scored<'a>(prompts: &'a [Prompt], answers: &'a [Vec<Option<Answer>>]) -> Stage<'a> {
    Stage::new(prompts, answers, &[], Order { learn: vec![], score: (0..answers.len()).collect() })
}

/// Takes the first arm that is offered and notes what it is told.
#[derive(Default)]
pub(crate) struct Scripted {
    pub(crate) learned: Vec<Observed>,
    pub(crate) offered: Vec<Vec<bool>>,
    pub(crate) told: Vec<String>,
}

impl Chooser for Scripted {
    fn decide(&mut self, _: &Prompt, offered: &[bool], _: f64) -> Choice {
        self.offered.push(offered.to_vec());
        let arm = offered.iter().position(|o| *o).unwrap();
        Choice { arm, propensity: 1.0, predicted: vec![] }
    }

    fn learn(&mut self, _: &Prompt, observed: &Observed) {
        self.learned.push(*observed);
    }

    fn set_price(&mut self, arm: usize, factor: f64) {
        self.told.push(format!("price {arm} {factor}"));
    }

    fn add_arm(&mut self, arm: usize) {
        self.told.push(format!("add {arm}"));
    }

    fn remove_arm(&mut self, arm: usize) {
        self.told.push(format!("remove {arm}"));
    }
}
