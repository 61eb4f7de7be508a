//! The stream of one seed: decide, look up the one answer, learn from it; first the learn rows, then the score rows.

use std::collections::VecDeque;

use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::encode::Prompt;
use super::rows::Answer;
use super::world::{Change, Event, World};

/// Whoever routes: the real router, or a baseline that learns.
pub(crate) trait Chooser {
    /// Chooses among the arms that are `offered`, at least one; `draw` is uniform in 0..1.
    fn decide(&mut self, prompt: &Prompt, offered: &[bool], draw: f64) -> Choice;
    /// Learns what an earlier choice gave.
    fn learn(&mut self, prompt: &Prompt, observed: &Observed);
    /// Scoring begins with the next decision.
    fn score_begins(&mut self) {}
    /// An arm's configured price becomes `factor` times what it was.
    fn set_price(&mut self, arm: usize, factor: f64);
    /// The arm may be used from now on.
    fn add_arm(&mut self, arm: usize);
    /// The arm may not be used any more.
    fn remove_arm(&mut self, arm: usize);
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Choice {
    pub(crate) arm: usize,
    /// Probability with which this arm was to be chosen.
    pub(crate) propensity: f64,
    /// What was predicted of each arm, by arm; `None` where it was not offered or nothing was predicted.
    pub(crate) predicted: Vec<Option<Predicted>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Predicted {
    pub(crate) reward: f64,
    /// Dollars.
    pub(crate) cost: f64,
    /// Probability with which this arm was to be chosen.
    pub(crate) propensity: f64,
}

/// The feedback of one request, all that a chooser gets to see.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Observed {
    pub(crate) arm: usize,
    pub(crate) reward: f64,
    /// Dollars paid, at the price of then.
    pub(crate) cost: Option<f64>,
    /// Dollars at the price the arm was configured with first: as tokens are, free of price changes.
    pub(crate) base_cost: Option<f64>,
}

/// One scored step: the log that every number of the report is made of.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) choice: Choice,
    /// What the chosen arm gave.
    pub(crate) got: Answer,
}

/// The rows of one seed, in its order: indices into the prompts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Order {
    pub(crate) learn: Vec<usize>,
    pub(crate) score: Vec<usize>,
}

/// How feedback comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Feedback {
    /// Nothing is learned while scoring; feedback still on its way is lost.
    pub(crate) frozen: bool,
    /// Feedback arrives this many steps late.
    pub(crate) delay: usize,
    /// Share of rewards that arrive as 1 − reward.
    pub(crate) poison: f64,
    /// The one arm whose rewards may; `None`: every arm's.
    pub(crate) poisoned: Option<usize>,
}

/// What the random numbers of a seed are for; each use has a stream of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Use {
    Order = 0,
    Draws = 1,
    Poison = 2,
    Thompson = 3,
}

pub(crate) fn random(seed: u64, of: Use) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(of as u64);
    rng
}

impl Order {
    /// Shuffles; where `learn_first` is given, the first so many of the shuffled score rows are the learn rows.
    pub(crate) fn of(seed: u64, learn: &[usize], score: &[usize], learn_first: Option<usize>) -> Self {
        let mut rng = random(seed, Use::Order);
        let (mut learn, mut score) = (learn.to_vec(), score.to_vec());
        learn.shuffle(&mut rng);
        score.shuffle(&mut rng);
        if let Some(n) = learn_first {
            let rest = score.split_off(n.min(score.len()));
            learn = std::mem::replace(&mut score, rest);
        }
        Self { learn, score }
    }
}

/// What all choosers of one seed share.
pub(crate) struct Stage<'a> {
    pub(crate) prompts: &'a [Prompt],
    /// By row, then by arm, as recorded.
    pub(crate) answers: &'a [Vec<Option<Answer>>],
    /// Sorted by step.
    pub(crate) events: &'a [Event],
    pub(crate) order: Order,
    /// By score step, then by arm: what each arm would give. `None`: not available.
    pub(crate) truth: Vec<Vec<Option<Answer>>>,
    /// The same of the learn rows.
    pub(crate) learn_truth: Vec<Vec<Option<Answer>>>,
}

impl<'a> Stage<'a> {
    /// A row none of whose arms is available is passed over and takes no step.
    pub(crate) fn new(
        prompts: &'a [Prompt],
        answers: &'a [Vec<Option<Answer>>],
        events: &'a [Event],
        order: Order,
    ) -> Self {
        let arms = answers.first().map_or(0, Vec::len);
        let mut stage = Self {
            prompts,
            answers,
            events,
            order: Order::default(),
            truth: Vec::with_capacity(order.score.len()),
            learn_truth: Vec::with_capacity(order.learn.len()),
        };
        let mut world = World::before(arms, events);
        for row in order.learn {
            let truth = world.truth(&answers[row]);
            if truth.iter().any(Option::is_some) {
                stage.order.learn.push(row);
                stage.learn_truth.push(truth);
            }
        }
        let mut coming = events.iter().peekable();
        for row in order.score {
            while let Some(event) = coming.next_if(|e| e.step <= stage.truth.len()) {
                world.apply(event);
            }
            let truth = world.truth(&answers[row]);
            if truth.iter().any(Option::is_some) {
                stage.order.score.push(row);
                stage.truth.push(truth);
            }
        }
        stage
    }

    /// Runs a chooser over both streams and logs the score stream, a [`Step`] for each row of `truth`.
    pub(crate) fn play(&self, chooser: &mut dyn Chooser, feedback: Feedback, seed: u64) -> Vec<Step> {
        let arms = self.answers.first().map_or(0, Vec::len);
        for arm in (0..arms).filter(|&a| self.events.iter().any(|e| e.arm == a && e.change == Change::Add)) {
            chooser.remove_arm(arm);
        }
        let mut mail = Mail::new(feedback, seed);
        let mut draws = random(seed, Use::Draws);
        for (&row, truth) in self.order.learn.iter().zip(&self.learn_truth) {
            self.step(chooser, row, truth, draws.random(), &mut mail);
        }
        mail.closed = feedback.frozen;
        chooser.score_begins();
        let mut log = Vec::with_capacity(self.truth.len());
        for (step, (&row, truth)) in self.order.score.iter().zip(&self.truth).enumerate() {
            self.events.iter().filter(|e| e.step == step).for_each(|e| tell(chooser, e));
            log.extend(self.step(chooser, row, truth, draws.random(), &mut mail));
        }
        log
    }

    fn step(
        &self,
        chooser: &mut dyn Chooser,
        row: usize,
        truth: &[Option<Answer>],
        draw: f64,
        mail: &mut Mail,
    ) -> Option<Step> {
        let offered: Vec<bool> = truth.iter().map(Option::is_some).collect();
        let choice = chooser.decide(&self.prompts[row], &offered, draw);
        let got = truth[choice.arm]?;
        let base_cost = self.answers[row][choice.arm].and_then(|a| a.cost);
        let observed = Observed { arm: choice.arm, reward: got.reward, cost: got.cost, base_cost };
        mail.send(row, observed);
        while let Some((row, observed)) = mail.arrived() {
            chooser.learn(&self.prompts[row], &observed);
        }
        Some(Step { choice, got })
    }
}

fn tell(chooser: &mut dyn Chooser, event: &Event) {
    match event.change {
        Change::Price(factor) => chooser.set_price(event.arm, factor),
        Change::Add => chooser.add_arm(event.arm),
        Change::Remove => chooser.remove_arm(event.arm),
        // A silent regression: nobody is told.
        Change::Cap(_) => {}
    }
}

/// Feedback on its way.
struct Mail {
    feedback: Feedback,
    rng: ChaCha8Rng,
    queue: VecDeque<(usize, Observed)>,
    closed: bool,
}

impl Mail {
    fn new(feedback: Feedback, seed: u64) -> Self {
        Self { feedback, rng: random(seed, Use::Poison), queue: VecDeque::new(), closed: false }
    }

    fn send(&mut self, row: usize, mut observed: Observed) {
        let lies = self.rng.random::<f64>() < self.feedback.poison;
        if lies && self.feedback.poisoned.is_none_or(|arm| arm == observed.arm) {
            observed.reward = 1.0 - observed.reward;
        }
        self.queue.push_back((row, observed));
    }

    fn arrived(&mut self) -> Option<(usize, Observed)> {
        if self.closed || self.queue.len() <= self.feedback.delay {
            return None;
        }
        self.queue.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::sample::{Scripted, prompts, table};

    fn feedback(frozen: bool, delay: usize, poison: f64) -> Feedback {
        Feedback { frozen, delay, poison, poisoned: None }
    }

    fn learned(feedback: Feedback, learn: usize) -> Vec<Observed> {
        let answers = table(&[&[(1.0, 1.0), (0.0, 2.0)]; 10]);
        let order = Order { learn: (0..learn).collect(), score: (learn..10).collect() };
        let (prompts, mut chooser) = (prompts(10), Scripted::default());
        let stage = Stage::new(&prompts, &answers, &[], order);
        assert_eq!(stage.play(&mut chooser, feedback, 1).len(), 10 - learn);
        chooser.learned
    }

    #[test]
    fn feedback_is_late_by_the_delay() {
        assert_eq!(learned(feedback(false, 0, 0.0), 0).len(), 10);
        assert_eq!(learned(feedback(false, 3, 0.0), 0).len(), 7);
    }

    #[test]
    fn a_frozen_chooser_learns_from_the_learn_rows_only() {
        assert_eq!(learned(feedback(true, 0, 0.0), 4).len(), 4);
        assert_eq!(learned(feedback(true, 3, 0.0), 4).len(), 1);
    }

    #[test]
    fn poison_inverts_what_is_learned_and_not_what_is_scored() {
        assert!(learned(feedback(false, 0, 1.0), 0).iter().all(|o| o.reward == 0.0));
        let some = learned(feedback(false, 0, 0.5), 0).iter().filter(|o| o.reward == 0.0).count();
        assert!((1..10).contains(&some), "{some}");
        let of_one = |arm| Feedback { poisoned: Some(arm), ..feedback(false, 0, 1.0) };
        assert!(learned(of_one(0), 0).iter().all(|o| o.reward == 0.0), "the arm that is chosen");
        assert!(learned(of_one(1), 0).iter().all(|o| o.reward == 1.0), "another arm");
    }

    #[test]
    fn an_order_is_a_permutation_that_its_seed_decides() {
        let rows: Vec<usize> = (0..100).collect();
        let order = Order::of(1, &[], &rows, Some(30));
        assert_eq!((order.learn.len(), order.score.len()), (30, 70));
        let mut all = [order.learn.clone(), order.score.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, rows);
        assert_eq!(Order::of(1, &[], &rows, Some(30)), order);
        assert_ne!(Order::of(2, &[], &rows, Some(30)), order);
    }

    #[test]
    fn the_chooser_is_told_of_prices_and_arms_and_never_of_caps() {
        let answers = table(&[&[(1.0, 1.0), (0.8, 2.0)]; 4]);
        let event = |step, arm, change| Event { step, arm, change };
        let events = [
            event(1, 0, Change::Cap(Some(0.5))),
            event(2, 1, Change::Add),
            event(3, 0, Change::Price(0.1)),
            event(3, 1, Change::Remove),
        ];
        let (prompts, mut chooser) = (prompts(4), Scripted::default());
        let order = Order { learn: vec![], score: vec![0, 1, 2, 3] };
        let stage = Stage::new(&prompts, &answers, &events, order);
        let rewards: Vec<f64> =
            stage.play(&mut chooser, feedback(false, 0, 0.0), 1).iter().map(|s| s.got.reward).collect();
        assert_eq!(rewards, [1.0, 0.5, 0.5, 0.5]);
        assert_eq!(chooser.offered, [[true, false], [true, false], [true, true], [true, false]]);
        assert_eq!(chooser.told, ["remove 1", "add 1", "price 0 0.1", "remove 1"]);
        assert_eq!(chooser.learned[3].cost, Some(0.1));
        assert_eq!(chooser.learned[3].base_cost, Some(1.0));
    }
}
