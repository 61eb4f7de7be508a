//! Prompt length alone: one arm for short prompts, one for long ones, the best such rule on the learn rows, whose
//! every answer it is told. Without learn rows it is told the score rows, and so knows too much.

use super::{Trace, blend};
use crate::simulate::apgr::{self, Apgr, Pair};
use crate::simulate::replay::Stage;
use crate::simulate::rows::Answer;

/// Prompts shorter than `from` go to `short`, the others to `long`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rule {
    from: u32,
    short: usize,
    long: usize,
}

type Rows<'a> = Vec<(u32, &'a [Option<Answer>])>;

pub(super) fn trace(stage: &Stage, budget: Option<f64>) -> Trace {
    let rule = best(&taught(stage), budget.unwrap_or(f64::INFINITY));
    let take = |(chars, row): &(u32, &[Option<Answer>])| {
        let arm = if *chars < rule.from { rule.short } else { rule.long };
        row[arm].or_else(|| blend(row, &vec![1.0; row.len()]))
    };
    score_rows(stage).iter().map(take).collect()
}

/// APGR of ranking by length, in the direction that is better on the rows it is told.
pub(super) fn apgr(stage: &Stage, (weak, strong): (usize, usize)) -> Option<Apgr> {
    let measure = |rows: &Rows, sign: f64| {
        let pair = |(chars, row): &(u32, &[Option<Answer>])| {
            Some(Pair {
                gain: sign * f64::from(*chars),
                weak: row[weak]?.reward,
                strong: row[strong]?.reward,
            })
        };
        apgr::apgr(rows.iter().filter_map(pair).collect())
    };
    let taught = taught(stage);
    let area = |sign| measure(&taught, sign).map_or(0.0, |a| a.apgr);
    let sign = if area(1.0) >= area(-1.0) { 1.0 } else { -1.0 };
    measure(&score_rows(stage), sign)
}

fn taught<'a>(stage: &'a Stage) -> Rows<'a> {
    if stage.order.learn.is_empty() {
        score_rows(stage)
    } else {
        rows(stage, &stage.order.learn, &stage.learn_truth)
    }
}

fn score_rows<'a>(stage: &'a Stage) -> Rows<'a> {
    rows(stage, &stage.order.score, &stage.truth)
}

fn rows<'a>(stage: &Stage, order: &[usize], truth: &'a [Vec<Option<Answer>>]) -> Rows<'a> {
    let chars = order.iter().map(|&row| stage.prompts[row].facts.prompt_chars);
    chars.zip(truth.iter().map(Vec::as_slice)).collect()
}

/// The rule of the highest mean reward within the budget; if none is within, the cheapest.
fn best(rows: &Rows, budget: f64) -> Rule {
    let mut sorted = rows.clone();
    sorted.sort_by_key(|(chars, _)| *chars);
    let n = sorted.len();
    let arms = sorted.first().map_or(0, |(_, row)| row.len());
    // An arm that is never there cannot be told apart from a bad one; it is not considered.
    let known: Vec<usize> = (0..arms).filter(|&a| sorted.iter().any(|(_, row)| row[a].is_some())).collect();
    let sums: Vec<Vec<(f64, f64)>> = (0..arms).map(|arm| running(&sorted, arm)).collect();
    // Cuts between prompts of different length, and the one after the last.
    let cut = |at: &usize| *at == 0 || *at == n || sorted[at - 1].0 < sorted[*at].0;
    let cuts: Vec<usize> = (0..=n).filter(cut).collect();
    let mut best = (f64::NEG_INFINITY, Rule { from: 0, short: 0, long: 0 });
    for &short in &known {
        for &long in &known {
            for &at in &cuts {
                let (head, tail, all) = (sums[short][at], sums[long][at], sums[long][n]);
                let reward = (head.0 + all.0 - tail.0) / n as f64;
                let cost = (head.1 + all.1 - tail.1) / n as f64;
                // Anything within the budget is better than anything above it.
                let value = if cost <= budget { reward } else { -1.0 - cost };
                if value > best.0 {
                    let from = match at {
                        0 => 0,
                        _ => sorted.get(at).map_or(u32::MAX, |(chars, _)| *chars),
                    };
                    best = (value, Rule { from, short, long });
                }
            }
        }
    }
    best.1
}

/// Sums of reward and cost over the first 0, 1, … n rows; a row without this arm counts as its other arms' mean.
fn running(sorted: &Rows, arm: usize) -> Vec<(f64, f64)> {
    let mut sums = vec![(0.0, 0.0)];
    let mut sum = (0.0, 0.0);
    for (_, row) in sorted {
        if let Some(answer) = row[arm].or_else(|| blend(row, &vec![1.0; row.len()])) {
            sum = (sum.0 + answer.reward, sum.1 + answer.cost.unwrap_or(0.0));
        }
        sums.push(sum);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::sample::{prompts, scored, table};

    #[test]
    fn the_best_rule_is_found_and_kept_within_the_budget() {
        // The dear arm is better on the two long prompts, the cheap one on the short ones.
        let answers = table(&[
            [(1.0, 1.0), (0.0, 9.0)],
            [(1.0, 1.0), (0.5, 9.0)],
            [(0.6, 1.0), (0.7, 9.0)],
            [(0.0, 1.0), (1.0, 9.0)],
        ]);
        let prompts = prompts(4);
        let stage = scored(&prompts, &answers);
        let rule = |budget| best(&taught(&stage), budget);
        assert_eq!(rule(f64::INFINITY), Rule { from: 3, short: 0, long: 1 });
        assert_eq!(rule(3.0), Rule { from: 4, short: 0, long: 1 });
        assert_eq!(rule(0.5), Rule { from: 0, short: 0, long: 0 });
        let rewards: Vec<f64> = trace(&stage, Some(3.0)).iter().flatten().map(|a| a.reward).collect();
        assert_eq!(rewards, [1.0, 1.0, 0.6, 1.0]);
    }

    #[test]
    fn length_ranks_in_its_better_direction() {
        let answers = table(&[[(0.0, 0.0), (1.0, 0.0)], [(1.0, 0.0), (1.0, 0.0)]]);
        let prompts = prompts(2);
        let found = apgr(&scored(&prompts, &answers), (0, 1)).unwrap();
        assert_eq!(found, Apgr { apgr: 0.75, cpt50: 50.0, cpt80: 50.0 }, "short prompts first");
    }
}
