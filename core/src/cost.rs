//! Dollars: from a predicted length of the answer to what a request will cost.
//!
//! This file owns how lengths are learned (as logarithms above a prior) and priced. Both those who decide and those who
//! learn use it, so it must know neither.

use crate::config::Price;
use crate::request::RequestFacts;

/// What a route is thought to answer with before anything is known, in completion tokens.
pub const PRIOR_COMPLETION_TOKENS: f64 = 256.0;

/// ln(1 + [`PRIOR_COMPLETION_TOKENS`]), which every candidate of every decision needs.
const PRIOR_LENGTH: f64 = 5.549_076_084_895_22;

/// Completion tokens assumed as the most a model writes when the request sets no limit.
const DEFAULT_MAX_OUTPUT: u32 = 4096;

/// ln(tokens + 1) above the prior's: what the length regressor learns.
pub(crate) fn excess_length(tokens: u32) -> f64 {
    libm::log1p(f64::from(tokens)) - PRIOR_LENGTH
}

/// The completion tokens that a predicted excess length means, at most `cap`.
pub fn completion_tokens(excess: f32, cap: u32) -> f64 {
    let log = f64::from(excess) + PRIOR_LENGTH;
    libm::expm1(log.clamp(0.0, 20.0)).min(f64::from(cap))
}

/// ĉ in dollars: known prices times the request's tokens and the predicted length of the answer.
pub(crate) fn predicted_cost(price: Price, length: f32, facts: &RequestFacts) -> f64 {
    let cap = facts.max_output_tokens.unwrap_or(DEFAULT_MAX_OUTPUT);
    price.dollars(f64::from(facts.token_estimate), completion_tokens(length, cap))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_excess_is_the_prior() {
        assert_eq!(PRIOR_LENGTH, libm::log1p(PRIOR_COMPLETION_TOKENS));
        assert!((completion_tokens(0.0, 10_000) - PRIOR_COMPLETION_TOKENS).abs() < 1e-9);
    }
}
