//! Which prompt goes when. The order must not be able to pass for learning: every stretch of requests
//! has the same mix of categories, and the last quarter asks prompts that were never sent before, as
//! the first quarter does, so that remembering texts is no help.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::prompts::{Prompt, Prompts};

/// One request to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn<'a> {
    /// What to ask, and its hidden category.
    pub prompt: &'a Prompt,
    /// Whether to ask for a stream; one request in three does.
    pub stream: bool,
}

/// The turns of a run; the same arguments give the same turns. Empty if there are no prompts.
pub fn schedule(prompts: &Prompts, requests: usize, seed: u64) -> Vec<Turn<'_>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut by_category = BTreeMap::<&str, Vec<&Prompt>>::new();
    for prompt in prompts.all() {
        by_category.entry(&prompt.category).or_default().push(prompt);
    }
    let quarter = requests / 4;
    let fresh = quarter.div_ceil(by_category.len().max(1));
    let mut piles: Vec<_> = by_category.into_values().map(|all| Piles::split(all, fresh, &mut rng)).collect();
    let mut turns = Vec::with_capacity(requests);
    while turns.len() < requests && !piles.is_empty() {
        piles.shuffle(&mut rng);
        for pile in piles.iter_mut().take(requests - turns.len()) {
            let last_quarter = turns.len() >= requests - quarter;
            let prompt = pile.draw(last_quarter, &mut rng);
            turns.push(Turn { prompt, stream: rng.random_ratio(1, 3) });
        }
    }
    turns
}

/// A category's prompts: those for the last quarter, and the rest.
struct Piles<'a> {
    rest: Pile<'a>,
    fresh: Pile<'a>,
}

/// Prompts dealt one by one, shuffled anew when all were dealt.
struct Pile<'a> {
    prompts: Vec<&'a Prompt>,
    next: usize,
}

// === impl Piles ===

impl<'a> Piles<'a> {
    /// Keeps `fresh` prompts back, but never more than half.
    fn split(mut all: Vec<&'a Prompt>, fresh: usize, rng: &mut ChaCha8Rng) -> Self {
        all.shuffle(rng);
        let mut kept = all.split_off(all.len() - fresh.min(all.len() / 2));
        if kept.is_empty() {
            kept.clone_from(&all); // a category of one prompt
        }
        Self { rest: Pile { prompts: all, next: 0 }, fresh: Pile { prompts: kept, next: 0 } }
    }

    fn draw(&mut self, last_quarter: bool, rng: &mut ChaCha8Rng) -> &'a Prompt {
        if last_quarter { self.fresh.draw(rng) } else { self.rest.draw(rng) }
    }
}

// === impl Pile ===

impl<'a> Pile<'a> {
    fn draw(&mut self, rng: &mut ChaCha8Rng) -> &'a Prompt {
        if self.next == self.prompts.len() {
            self.prompts.shuffle(rng);
            self.next = 0;
        }
        self.next += 1;
        self.prompts[self.next - 1]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn prompts() -> Prompts {
        let line = |n: usize| format!("{{\"category\":\"c{}\",\"prompt\":\"p{n}\"}}\n", n % 4);
        Prompts::parse(&(0..320).map(line).collect::<String>()).unwrap()
    }

    #[test]
    fn every_quarter_has_the_same_mix_of_categories() {
        let prompts = prompts();
        for quarter in schedule(&prompts, 600, 7).chunks(150) {
            for category in ["c0", "c1", "c2", "c3"] {
                let count = quarter.iter().filter(|turn| turn.prompt.category == category).count();
                assert!((36..=39).contains(&count), "{category}: {count} of 150");
            }
        }
    }

    #[test]
    fn the_last_quarter_asks_only_prompts_never_sent_before() {
        let prompts = prompts();
        let turns = schedule(&prompts, 600, 7);
        let texts =
            |turns: &[Turn<'_>]| turns.iter().map(|turn| turn.prompt.prompt.clone()).collect::<HashSet<_>>();
        assert!(texts(&turns[..450]).is_disjoint(&texts(&turns[450..])));
        assert!(texts(&turns[450..]).len() >= 148, "nor any of them twice, but for the odd one");
        assert!(texts(&turns[..150]).len() >= 148, "as in the first quarter");
    }

    #[test]
    fn a_third_streams_and_the_seed_decides() {
        let prompts = prompts();
        let streams = schedule(&prompts, 3_000, 1).iter().filter(|turn| turn.stream).count();
        assert!((900..1_100).contains(&streams), "{streams} of 3000");
        assert_eq!(schedule(&prompts, 99, 1), schedule(&prompts, 99, 1));
        assert_ne!(schedule(&prompts, 99, 1), schedule(&prompts, 99, 2));
    }

    #[test]
    fn a_handful_of_prompts_is_repeated_and_none_gives_no_turns() {
        let one = Prompts::parse("{\"category\":\"a\",\"prompt\":\"x\"}").unwrap();
        assert_eq!(schedule(&one, 10, 1).len(), 10);
        assert_eq!(schedule(&Prompts::default(), 10, 1), []);
    }
}
