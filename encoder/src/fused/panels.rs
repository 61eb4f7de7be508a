//! The right side of a product: weights, or keys or values, in the order the inner loop reads them.
//!
//! A panel is two vectors of outputs; panel after panel, input after input. int8: an output is
//! `w ≈ scale · q`, q within ±127; an activation is `x ≈ step · u + low`, u within 0..=127, found for each row (dynamic
//! quantisation; seven bits, because relaxed SIMD promises no more). So `Σ xw ≈ scale · (step · Σ uq + low · Σ q)`,
//! and Σ uq is exact on every processor.

use std::ops::Range;

use super::dots::{Halves, Pairs, Way, Whole};
use super::lines::{ByteLine, LINE, Line, grow};
use super::rows::{Part, Step};
use super::simd::{Simd, vectors};
use super::tile;

/// Outputs of a panel.
pub(super) const fn width<S: Simd>() -> usize {
    2 * S::LANES
}

/// Numbers in panels, and room for more.
#[derive(Debug)]
pub(super) enum Panels {
    /// `[panel][input][output of the panel]`.
    Float(Vec<Line>),
    /// `[panel][four inputs][output of the panel]`.
    Int8 {
        quads: Vec<ByteLine>,
        /// For each output.
        scale: Vec<Line>,
        /// `scale · Σ q` over the inputs, for each output.
        sums: Vec<Line>,
        /// How products are summed.
        way: Way,
    },
}

impl Panels {
    /// Of floats, or of int8 within ±[`FITS`](super::dots::FITS).
    pub(super) fn new<S: Simd>(int8: bool) -> Self {
        match int8 {
            false => Self::Float(Vec::new()),
            true => {
                Self::Int8 { quads: Vec::new(), scale: Vec::new(), sums: Vec::new(), way: Way::of::<S>(true) }
            }
        }
    }

    pub(super) fn int8(&self) -> bool {
        matches!(self, Self::Int8 { .. })
    }

    /// Makes room for `[outputs, inputs]`; outputs are rounded up to whole panels.
    pub(super) fn lay<S: Simd>(&mut self, outputs: usize, inputs: usize) {
        let outputs = outputs.next_multiple_of(width::<S>());
        match self {
            Self::Float(panels) => grow(panels, (outputs * inputs).div_ceil(LINE), Line::ZERO),
            Self::Int8 { quads, scale, sums, .. } => {
                grow(quads, (outputs * inputs).div_ceil(4 * LINE), ByteLine::ZERO);
                // Whole panels of vectors, whatever a line holds.
                grow(scale, outputs.div_ceil(LINE), Line::ZERO);
                grow(sums, outputs.div_ceil(LINE), Line::ZERO);
            }
        }
    }
}

/// Where products go, tile by tile.
///
/// A trait and not a closure: its methods must be inlined into code compiled for the processor.
pub(super) trait Sink<S: Simd> {
    /// Takes outputs `panel` of R rows from row `first` on.
    fn take<const R: usize>(&mut self, first: usize, panel: usize, tile: &[[S::F; 2]; R]);
}

/// Which of the panels, and which of their inputs.
#[derive(Debug, Clone)]
pub(super) struct Window {
    pub(super) panels: Range<usize>,
    /// Both ends are multiples of four; as many as a row of the left side is wide.
    pub(super) inputs: Range<usize>,
}

/// Hands `rows · panels` to `sink`, for panels of `inputs` inputs.
#[inline(always)]
pub(super) fn multiply<S: Simd>(
    rows: &Part<'_>,
    panels: &Panels,
    inputs: usize,
    window: Window,
    mut sink: impl Sink<S>,
) {
    match S::ROWS {
        8 => multiply_by::<S, 8>(rows, panels, inputs, window, &mut sink),
        _ => multiply_by::<S, 4>(rows, panels, inputs, window, &mut sink),
    }
}

#[inline(always)]
fn multiply_by<S: Simd, const R: usize>(
    rows: &Part<'_>,
    panels: &Panels,
    inputs: usize,
    window: Window,
    sink: &mut impl Sink<S>,
) {
    let (from, to) = (window.inputs.start, window.inputs.end);
    if rows.width != to.saturating_sub(from) || rows.width == 0 {
        return;
    }
    match panels {
        Panels::Float(panels) => {
            let panels = vectors::<S>(panels).as_chunks::<2>().0.chunks_exact(inputs);
            for (p, panel) in panels.enumerate().take(window.panels.end).skip(window.panels.start) {
                let panel = panel.get(from..to).unwrap_or_default();
                for (block, a) in rows.floats.chunks_exact(R * rows.width).enumerate() {
                    sink.take(block * R, p, &tile::floats::<S, R>(a, panel));
                }
            }
        }
        Panels::Int8 { quads, scale, sums, way } => {
            let quads = bytemuck::must_cast_slice::<ByteLine, S::Quads>(quads).as_chunks::<2>().0;
            let terms =
                vectors::<S>(scale).as_chunks::<2>().0.iter().zip(vectors::<S>(sums).as_chunks::<2>().0);
            let panels = quads.chunks_exact(inputs / 4).zip(terms).enumerate();
            for (p, (panel, terms)) in panels.take(window.panels.end).skip(window.panels.start) {
                let panel = panel.get(from / 4..to / 4).unwrap_or_default();
                let terms = load_terms::<S>(terms);
                let blocks = rows.quads.as_chunks::<R>().0.chunks_exact(rows.width / 4);
                for ((block, a), steps) in blocks.enumerate().zip(rows.steps.as_chunks::<R>().0) {
                    let dots = match way {
                        Way::Whole => tile::quads::<S, Whole, R>(a, panel),
                        Way::Halves => tile::quads::<S, Halves, R>(a, panel),
                        Way::Pairs => tile::quads::<S, Pairs, R>(a, panel),
                    };
                    sink.take(block * R, p, &in_floats::<S, R>(&dots, steps, terms));
                }
            }
        }
    }
}

/// Hands the products of the first two rows and all panels to `sink`: [`multiply`] for what has only two.
#[inline(always)]
pub(super) fn multiply_two<S: Simd>(
    rows: &Part<'_>,
    panels: &Panels,
    window: Window,
    mut sink: impl Sink<S>,
) {
    match S::ROWS {
        8 => multiply_two_of::<S, 8>(rows, panels, window, &mut sink),
        _ => multiply_two_of::<S, 4>(rows, panels, window, &mut sink),
    }
}

#[inline(always)]
fn multiply_two_of<S: Simd, const R: usize>(
    rows: &Part<'_>,
    panels: &Panels,
    window: Window,
    sink: &mut impl Sink<S>,
) {
    let inputs = window.inputs.end;
    let Panels::Int8 { quads, scale, sums, way } = panels else {
        return multiply_by::<S, R>(rows, panels, inputs, window, sink);
    };
    let quads = bytemuck::must_cast_slice::<ByteLine, S::Quads>(quads).as_chunks::<2>().0;
    let terms: (&[[S::Floats; 2]], _) = (vectors::<S>(scale).as_chunks().0, vectors::<S>(sums).as_chunks().0);
    let panel = |p: usize| quads.get(p * inputs / 4..(p + 1) * inputs / 4);
    let Some(steps) = rows.steps.first_chunk::<2>() else { return };
    for first in window.panels.clone().step_by(2) {
        let Some(one) = panel(first) else { return };
        // The last panel may have none beside it.
        let second = if first + 1 < window.panels.end { first + 1 } else { first };
        let (quads, panels) = (rows.quads.as_chunks().0, [one, panel(second).unwrap_or(one)]);
        let products = match way {
            Way::Whole => tile::two_rows::<S, Whole, R>(quads, panels),
            // Not in pairs: the readout's weights, which are what has two rows, are kept exactly and seldom fit.
            Way::Halves | Way::Pairs => tile::two_rows::<S, Halves, R>(quads, panels),
        };
        for (p, dots) in [first, second].into_iter().zip(&products) {
            let Some(terms) = terms.0.get(p).zip(terms.1.get(p)) else { return };
            sink.take(0, p, &in_floats::<S, 2>(dots, steps, load_terms::<S>(terms)));
        }
    }
}

/// Scales and sums of one panel's outputs.
#[inline(always)]
fn load_terms<S: Simd>((scale, sums): (&[S::Floats; 2], &[S::Floats; 2])) -> [[S::F; 2]; 2] {
    [scale, sums].map(|pair| [S::load(&pair[0]), S::load(&pair[1])])
}

/// `scale · (step · Σ uq + low · Σ q)` of R rows.
#[inline(always)]
fn in_floats<S: Simd, const R: usize>(
    dots: &[[S::I; 2]; R],
    steps: &[Step; R],
    [scale, sums]: [[S::F; 2]; 2],
) -> [[S::F; 2]; R] {
    let mut products = [[S::splat(0.0); 2]; R];
    for ((product, [x, y]), step) in products.iter_mut().zip(dots).zip(steps) {
        let (by, low) = (S::splat(step.step), S::splat(step.low));
        *product = [
            S::fma(S::mul(S::to_float(*x), by), scale[0], S::mul(low, sums[0])),
            S::fma(S::mul(S::to_float(*y), by), scale[1], S::mul(low, sums[1])),
        ];
    }
    products
}
