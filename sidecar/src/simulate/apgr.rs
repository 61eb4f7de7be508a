//! RouteLLM's measures of a router between a weak and a strong model (Ong et al. 2024, arXiv 2406.18665, §3): how
//! much of the gap it recovers for how many calls to the strong one, over every share of calls.

/// One scored row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pair {
    /// The router's predicted gain of the strong model over the weak one.
    pub(crate) gain: f64,
    pub(crate) weak: f64,
    pub(crate) strong: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Apgr {
    /// Area under PGR(c), c from no call to all calls: about .5 for a router that knows nothing; above 1 can be
    /// had where the weak model is better on some rows.
    pub(crate) apgr: f64,
    /// The smallest percentage of calls to the strong model that recovers half of the gap.
    pub(crate) cpt50: f64,
    /// The same for 80 % of the gap.
    pub(crate) cpt80: f64,
}

/// Sends the rows to the strong model in the order of their predicted gain. `PGR(c) = (r(c) − r_weak) / (r_strong −
/// r_weak)` is piecewise linear in the share c; the area is that of its trapezia. `None` if the strong model is not
/// better, for then there is no gap to recover.
pub(crate) fn apgr(mut rows: Vec<Pair>) -> Option<Apgr> {
    rows.sort_by(|a, b| b.gain.total_cmp(&a.gain));
    let n = rows.len() as f64;
    let gap: f64 = rows.iter().map(|r| r.strong - r.weak).sum();
    if gap <= 0.0 {
        return None;
    }
    let mut pgr = vec![0.0];
    let mut gained = 0.0;
    for row in &rows {
        gained += row.strong - row.weak;
        pgr.push(gained / gap);
    }
    let area: f64 = pgr.windows(2).map(|w| (w[0] + w[1]) / 2.0).sum::<f64>() / n;
    let reaching = |share: f64| {
        // The last point is 1 up to rounding, so that every share below is reached there at the latest.
        let calls = pgr.iter().position(|p| *p >= share).unwrap_or(rows.len());
        100.0 * calls as f64 / n
    };
    Some(Apgr { apgr: area, cpt50: reaching(0.5), cpt80: reaching(0.8) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(gain: f64, weak: f64, strong: f64) -> Pair {
        Pair { gain, weak, strong }
    }

    #[test]
    fn four_rows_by_hand() {
        // By gain: +1, +1, 0, −1 … of a gap of 1: PGR = 0, 1, 2, 2, 1; area = (.5 + 1.5 + 2 + 1.5) / 4.
        let rows = vec![pair(0.1, 0.5, 0.5), pair(0.9, 0.0, 1.0), pair(-1.0, 1.0, 0.0), pair(0.5, 0.0, 1.0)];
        assert_eq!(apgr(rows), Some(Apgr { apgr: 1.375, cpt50: 25.0, cpt80: 25.0 }));
    }

    #[test]
    fn a_router_that_errs_needs_nearly_all_calls() {
        // Gaps in the order of the gain: 0, 0, .5, .5; PGR = 0, 0, 0, .5, 1.
        let rows = vec![pair(4.0, 1.0, 1.0), pair(3.0, 0.0, 0.0), pair(2.0, 0.5, 1.0), pair(1.0, 0.0, 0.5)];
        assert_eq!(apgr(rows), Some(Apgr { apgr: 0.25, cpt50: 75.0, cpt80: 100.0 }));
    }

    #[test]
    fn without_a_gap_there_is_nothing_to_measure() {
        assert_eq!(apgr(vec![pair(1.0, 0.5, 0.5)]), None);
        assert_eq!(apgr(vec![]), None);
    }
}
