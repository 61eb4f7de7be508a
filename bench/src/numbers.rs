//! Quantiles and units.

use std::time::Duration;

/// The nearest-rank quantile `q` in 0..=1 of values in any order; 0 if there are none.
pub fn quantile(values: &[u64], q: f64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// A quantile of microseconds, in milliseconds.
pub fn quantile_ms(micros: &[u64], q: f64) -> f64 {
    quantile(micros, q) as f64 / 1e3
}

/// The mean; 0 if there are none.
pub fn mean(values: &[u64]) -> f64 {
    values.iter().sum::<u64>() as f64 / values.len().max(1) as f64
}

/// Whole microseconds.
pub fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

/// Resident memory of a process in MB (10⁶ bytes); `None` where there is no `/proc`.
pub fn rss_mb(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// Processes that wanted a core over the last minute; `None` where there is no `/proc`.
pub fn load_average() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let values: Vec<u64> = (1..=100).rev().collect();
        assert_eq!((quantile(&values, 0.5), quantile(&values, 0.99), quantile(&values, 1.0)), (50, 99, 100));
        assert_eq!((quantile(&[7], 0.5), quantile(&[], 0.5)), (7, 0));
    }
}
