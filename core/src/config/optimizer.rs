//! The signal optimizer's limits.

use super::section::Section;

/// When signals are tuned, on how much evidence, and how far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimizerConfig {
    /// Whether they are tuned at all.
    pub enabled: bool,
    /// Records between two steps.
    pub every: u64,
    /// Least milliseconds between two steps, by the records' own times.
    pub pause_ms: u64,
    /// Samples that the evidence for one change must have, at least; where two sides are compared, each.
    pub samples: usize,
    /// The newest records that are looked at.
    pub window: usize,
    /// Records after which a sample counts half, at most: less where newer samples contradict older ones.
    pub half_life: f64,
    /// Weight of the evidence's word against the value so far (an exponential moving average).
    pub rate: f64,
    /// Steps that a knob rests after its change was rejected.
    pub rest: u64,
    /// Of conditions' and embedding rules' thresholds.
    pub threshold: Bounds,
    /// Of models' scores.
    pub score: Bounds,
    /// Of keywords' weights.
    pub keyword: Bounds,
    /// Of decisions' priorities.
    pub priority: Bounds,
}

/// Where a value may lie, and how far one step may take it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Least value.
    pub low: f64,
    /// Greatest value.
    pub high: f64,
    /// Greatest |Δ| of one step.
    pub step: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            every: 500,
            pause_ms: 300_000,
            samples: 200,
            window: 30_000,
            half_life: 40_000.0,
            rate: 0.5,
            rest: 10,
            threshold: Bounds { low: 0.5, high: 0.95, step: 0.05 },
            score: Bounds { low: 0.3, high: 1.0, step: 0.05 },
            keyword: Bounds { low: 0.05, high: 0.95, step: 0.05 },
            priority: Bounds { low: 0.0, high: 100.0, step: 5.0 },
        }
    }
}

impl OptimizerConfig {
    pub(super) fn read(section: &Section) -> Self {
        let d = Self::default();
        let optimizer = Self {
            enabled: section.switch("enabled", d.enabled),
            every: section.whole("every", 10..=1_000_000, 500).into(),
            pause_ms: u64::from(section.whole("pause_seconds", 0..=604_800, 300)) * 1000,
            samples: section.whole("samples", 10..=1_000_000, 200) as usize,
            window: section.whole("window", 100..=1_000_000, 30_000) as usize,
            half_life: section.number("half_life", 10.0..=1e7, d.half_life),
            rate: section.number("rate", 0.01..=1.0, d.rate),
            rest: section.whole("rest", 0..=10_000, 10).into(),
            threshold: Bounds::read(&section.section("threshold"), 1.0, d.threshold),
            score: Bounds::read(&section.section("score"), 1.0, d.score),
            keyword: Bounds::read(&section.section("keyword"), 1.0, d.keyword),
            priority: Bounds::read(&section.section("priority"), 100.0, d.priority),
        };
        section.finish();
        optimizer
    }
}

// === impl Bounds ===

impl Bounds {
    fn read(section: &Section, top: f64, default: Self) -> Self {
        let bounds = Self {
            low: section.number("low", 0.0..=top, default.low),
            high: section.number("high", 0.0..=top, default.high),
            step: section.number("step", 0.0..=top, default.step),
        };
        if bounds.low > bounds.high {
            section.error("low", format!("must not be above high, which is {}", bounds.high));
        }
        section.finish();
        bounds
    }

    /// From `before` as far towards `target` as a step may go, within the bounds. A value that the configuration set
    /// outside of them is brought back at the same pace.
    pub fn towards(&self, before: f64, target: f64) -> f64 {
        let target = target.max(self.low).min(self.high);
        before + (target - before).clamp(-self.step, self.step)
    }
}
