//! Attention with rotary positions, over everything or a window, in f32.
//!
//! Head by head, and for a few rows at a time: scores of those rows, softmax, their mix of the values. So the scores
//! never leave the nearest cache. Keys and values lie in panels as weights do (see `matrix.rs`).

use super::lines::{LINE, Line, grow, lines};
use super::pointwise::softmax;
use super::shape::Shape;
use super::simd::{Simd, vectors, vectors_mut};
use super::tile;

/// Cosines and sines of every position so far, for one base.
#[derive(Debug)]
pub(super) struct Rope {
    frequencies: Vec<f32>,
    positions: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rope {
    /// Frequencies `theta^(-2i / head_size)`, in float32 as torch has them.
    pub(super) fn new(theta: f32, head_size: usize) -> Self {
        let exponent = |i: usize| (2 * i) as f32 / head_size as f32;
        let frequencies = (0..head_size / 2).map(|i| 1.0 / theta.powf(exponent(i))).collect();
        Self { frequencies, positions: 0, cos: Vec::new(), sin: Vec::new() }
    }

    /// Knows at least `positions` positions from now on.
    pub(super) fn reach(&mut self, positions: usize) {
        for position in self.positions..positions {
            let angles = self.frequencies.iter().map(|f| position as f32 * f);
            for angle in angles {
                self.cos.push(angle.cos());
                self.sin.push(angle.sin());
            }
        }
        self.positions = self.positions.max(positions);
    }

    /// Turns a head's numbers at each position: `x cos + rotate_half(x) sin` (RoFormer, in GPT-NeoX's order).
    #[inline(always)]
    fn turn<S: Simd>(&self, position: usize, x: &mut [f32], scale: f32) {
        let half = self.frequencies.len();
        let at = position * half..(position + 1) * half;
        let (Some(cos), Some(sin)) = (self.cos.get(at.clone()), self.sin.get(at)) else { return };
        let Some((a, b)) = x.split_at_mut_checked(half) else { return };
        let cos = bytemuck::cast_slice::<f32, S::Floats>(cos).iter().map(S::load);
        let sin = bytemuck::cast_slice::<f32, S::Floats>(sin).iter().map(S::load);
        let pairs = bytemuck::cast_slice_mut::<f32, S::Floats>(a)
            .iter_mut()
            .zip(bytemuck::cast_slice_mut::<f32, S::Floats>(b));
        let scale = S::splat(scale);
        for (((a, b), cos), sin) in pairs.zip(cos).zip(sin) {
            let (x, y, cos, sin) = (S::load(a), S::load(b), S::mul(cos, scale), S::mul(sin, scale));
            S::store(a, S::sub(S::mul(x, cos), S::mul(y, sin)));
            S::store(b, S::fma(x, sin, S::mul(y, cos)));
        }
    }
}

/// What one head at one time needs.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// `[panel of keys][number of the head][keys of the panel]`.
    keys: Vec<Line>,
    /// `[panel of the head's numbers][key][numbers of the panel]`.
    values: Vec<Line>,
    /// `[row of the block][key]`.
    scores: Vec<Line>,
}

/// One layer's attention.
pub(super) struct Attention<'a> {
    pub(super) shape: &'a Shape,
    pub(super) rope: &'a Rope,
    /// How far a token sees to each side.
    pub(super) window: Option<usize>,
    /// Tokens; rows beyond are there to fill a block.
    pub(super) tokens: usize,
}

impl Attention<'_> {
    /// `qkv [rows, 3 · hidden]`, as the matrix left it, to `out [rows, hidden]`.
    #[inline(always)]
    pub(super) fn run<S: Simd>(&self, qkv: &mut [Line], out: &mut [Line], scratch: &mut Scratch) {
        for head in 0..self.shape.heads {
            self.pack::<S>(head, qkv, scratch);
            match S::ROWS {
                8 => self.head::<S, 8>(head, qkv, out, scratch),
                _ => self.head::<S, 4>(head, qkv, out, scratch),
            }
        }
    }

    /// Keys held in panels, padded.
    fn padded<S: Simd>(&self) -> usize {
        // A line at least, so that scores are whole lines.
        self.tokens.next_multiple_of((2 * S::LANES).max(LINE))
    }

    /// Turns queries and keys by their positions, and lays keys and values into panels.
    #[inline(always)]
    fn pack<S: Simd>(&self, head: usize, qkv: &mut [Line], scratch: &mut Scratch) {
        let (hidden, size, width) = (self.shape.hidden, self.shape.head_size(), 2 * S::LANES);
        let padded = self.padded::<S>();
        grow(&mut scratch.keys, lines(padded * size), Line::ZERO);
        grow(&mut scratch.values, lines(padded * size.next_multiple_of(width)), Line::ZERO);
        let keys: &mut [f32] = bytemuck::must_cast_slice_mut(&mut scratch.keys);
        let values = vectors_mut::<S>(&mut scratch.values);
        let scale = 1.0 / (size as f32).sqrt();
        let rows = bytemuck::must_cast_slice_mut::<Line, f32>(qkv).chunks_exact_mut(3 * hidden);
        for (position, row) in rows.enumerate().take(self.tokens) {
            let start = head * size;
            self.rope.turn::<S>(position, row.get_mut(start..start + size).unwrap_or_default(), scale);
            let start = hidden + head * size;
            let key = row.get_mut(start..start + size).unwrap_or_default();
            self.rope.turn::<S>(position, key, 1.0);
            let panel = position / width * size * width + position % width;
            for (slot, x) in keys.get_mut(panel..).unwrap_or_default().iter_mut().step_by(width).zip(key) {
                *slot = *x;
            }
            let start = 2 * hidden + head * size;
            let value = row.get(start..start + size).unwrap_or_default();
            for (i, x) in bytemuck::cast_slice::<f32, S::Floats>(value).iter().enumerate() {
                if let Some(slot) = values.get_mut((i / 2 * padded + position) * 2 + i % 2) {
                    *slot = *x;
                }
            }
        }
    }

    /// One head, R rows at a time.
    #[inline(always)]
    fn head<S: Simd, const R: usize>(
        &self,
        head: usize,
        qkv: &[Line],
        out: &mut [Line],
        scratch: &mut Scratch,
    ) {
        let (hidden, size) = (self.shape.hidden, self.shape.head_size());
        let padded = self.padded::<S>();
        grow(&mut scratch.scores, R * lines(padded), Line::ZERO);
        let keys = vectors::<S>(&scratch.keys).as_chunks::<2>().0;
        let values = vectors::<S>(&scratch.values).as_chunks::<2>().0;
        let queries: &[f32] = bytemuck::must_cast_slice(qkv);
        let out = vectors_mut::<S>(out);
        let stride = hidden / S::LANES;
        for first in (0..self.tokens).step_by(R) {
            let range = self.panels::<S>(first, R);
            let width = 2 * S::LANES;
            for (p, panel) in keys.chunks_exact(size).enumerate().take(range.end).skip(range.start) {
                let a = queries.get(first * 3 * hidden + head * size..).unwrap_or_default();
                let tile = tile::floats::<S, R>(a, 3 * hidden, panel);
                let scores = vectors_mut::<S>(&mut scratch.scores).chunks_exact_mut(padded / S::LANES);
                for (row, [x, y]) in scores.zip(tile) {
                    if let Some([a, b]) = row.get_mut(2 * p..2 * p + 2) {
                        S::store(a, x);
                        S::store(b, y);
                    }
                }
            }
            let (start, end) = (range.start * width, range.end * width);
            let mut scale = [0.0; R];
            let rows = scratch.scores.chunks_exact_mut(lines(padded));
            for ((r, row), scale) in rows.enumerate().zip(&mut scale) {
                self.mask(first + r, start..end, bytemuck::must_cast_slice_mut(row));
                let row = vectors_mut::<S>(row).get_mut(2 * range.start..2 * range.end);
                *scale = softmax::<S>(row.unwrap_or_default());
            }
            for (p, panel) in values.chunks_exact(padded).enumerate().take(size.div_ceil(width)) {
                let panel = panel.get(start..end).unwrap_or_default();
                let a =
                    bytemuck::must_cast_slice::<Line, f32>(&scratch.scores).get(start..).unwrap_or_default();
                let tile = tile::floats::<S, R>(a, padded, panel);
                for (r, (sums, scale)) in tile.into_iter().zip(scale).enumerate() {
                    let begin = (first + r) * stride + head * size / S::LANES;
                    let row = out.get_mut(begin..begin + size / S::LANES).unwrap_or_default();
                    for (slot, x) in row.iter_mut().skip(2 * p).zip(sums) {
                        S::store(slot, S::mul(x, S::splat(scale)));
                    }
                }
            }
        }
    }

    /// Panels of keys that any of these rows sees.
    fn panels<S: Simd>(&self, first: usize, rows: usize) -> std::ops::Range<usize> {
        let width = 2 * S::LANES;
        let (low, high) = match self.window {
            None => (0, self.tokens),
            Some(window) => (first.saturating_sub(window), (first + rows + window).min(self.tokens)),
        };
        low / width..high.div_ceil(width)
    }

    /// Leaves out the keys among `scored` that row i does not see.
    fn mask(&self, i: usize, scored: std::ops::Range<usize>, scores: &mut [f32]) {
        let (low, high) = match self.window {
            None => (0, self.tokens),
            Some(window) => (i.saturating_sub(window), (i + window + 1).min(self.tokens)),
        };
        let mut hide = |range: std::ops::Range<usize>| {
            scores.get_mut(range).unwrap_or_default().fill(f32::MIN);
        };
        hide(scored.start..low.max(scored.start));
        hide(high.min(scored.end)..scored.end);
    }
}
