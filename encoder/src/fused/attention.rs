//! Attention with rotary positions, over everything or a window.
//!
//! Head by head, and a block of rows at a time: scores of those rows, softmax, their mix of the values. So the scores
//! never leave the nearest cache. Keys and values are panels as weights are, in f32 or int8 as those (`panels.rs`).

use std::ops::Range;

use super::dots::FITS;
use super::lines::{ByteLine, LINE, Line, grow, lines};
use super::panels::{Panels, Window, multiply, width};
use super::pointwise::softmax;
use super::rows::{BLOCK, Rows};
use super::shape::Shape;
use super::simd::{ROUND, Simd, vectors, vectors_mut};
use super::sink::{Mix, Scores};

/// Lines of the widest head.
pub(super) const MOST_HEAD_LINES: usize = 32;
/// The greatest of keys and values in int8: half of a byte, so that two quads of them always fit together (`dots.rs`).
const MOST: f32 = FITS as f32;

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

    /// `to = (x cos + rotate_half(x) sin) · scale` (RoFormer, in GPT-NeoX's order), of one head at one position.
    #[inline(always)]
    fn turn<S: Simd>(&self, position: usize, x: &[Line], scale: f32, to: &mut [Line]) {
        let half = self.frequencies.len();
        let at = position * half..(position + 1) * half;
        let (Some(cos), Some(sin)) = (self.cos.get(at.clone()), self.sin.get(at)) else { return };
        let middle = half / LINE;
        let (Some((a, b)), Some((to_a, to_b))) =
            (x.split_at_checked(middle), to.split_at_mut_checked(middle))
        else {
            return;
        };
        let angles = bytemuck::cast_slice::<f32, S::Floats>(cos)
            .iter()
            .zip(bytemuck::cast_slice::<f32, S::Floats>(sin));
        let from = vectors::<S>(a).iter().zip(vectors::<S>(b));
        let to = vectors_mut::<S>(to_a).iter_mut().zip(vectors_mut::<S>(to_b));
        let scale = S::splat(scale);
        for (((a, b), (cos, sin)), (to_a, to_b)) in from.zip(angles).zip(to) {
            let (x, y) = (S::load(a), S::load(b));
            let (cos, sin) = (S::mul(S::load(cos), scale), S::mul(S::load(sin), scale));
            S::store(to_a, S::sub(S::mul(x, cos), S::mul(y, sin)));
            S::store(to_b, S::fma(x, sin, S::mul(y, cos)));
        }
    }
}

/// What one head at one time needs.
#[derive(Debug)]
pub(super) struct Scratch {
    queries: Rows,
    /// `[token, number of the head]`.
    keys: Panels,
    /// `[number of the head, token]`.
    values: Panels,
    /// The greatest value of every number of the head, where values are int8.
    most: Vec<Line>,
    /// A block's scores, then its softmax.
    scores: Rows,
}

impl Scratch {
    pub(super) fn new<S: Simd>(int8: bool) -> Self {
        Self {
            queries: Rows::default(),
            keys: Panels::new::<S>(int8),
            values: Panels::new::<S>(int8),
            most: Vec::new(),
            scores: Rows::default(),
        }
    }
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
    pub(super) fn run<S: Simd>(&self, qkv: &[Line], out: &mut [Line], scratch: &mut Scratch) {
        for head in 0..self.shape.heads {
            self.turn::<S>(head, qkv, scratch);
            pack_values::<S>(&self.part(qkv, 2, head), self.padded::<S>(), scratch);
            for first in (0..self.tokens).step_by(BLOCK) {
                self.block::<S>(head, first, out, scratch);
            }
        }
    }

    /// Tokens that keys and values have room for: whole panels and whole lines.
    fn padded<S: Simd>(&self) -> usize {
        self.tokens.next_multiple_of(width::<S>().max(LINE))
    }

    /// One head's queries (0), keys (1) or values (2).
    fn part<'q>(&self, qkv: &'q [Line], which: usize, head: usize) -> HeadRows<'q> {
        let d = lines(self.shape.hidden);
        let size = lines(self.shape.head_size());
        let rows = self.tokens.next_multiple_of(BLOCK);
        HeadRows { qkv, stride: 3 * d, start: which * d + head * size, size, rows }
    }

    /// Turns queries and keys by their positions, and lays them where the product takes them from.
    #[inline(always)]
    fn turn<S: Simd>(&self, head: usize, qkv: &[Line], scratch: &mut Scratch) {
        let size = self.shape.head_size();
        let (queries, keys) = (self.part(qkv, 0, head), self.part(qkv, 1, head));
        scratch.keys.lay::<S>(self.padded::<S>(), size);
        let laid = scratch.queries.lay(queries.rows, size);
        let scale = 1.0 / (size as f32).sqrt();
        let mut turned = [Line::ZERO; MOST_HEAD_LINES];
        let Some(turned) = turned.get_mut(..lines(size)) else { return };
        for (position, to) in laid.chunks_exact_mut(lines(size)).enumerate() {
            // Rows that only fill a block have a position like any other.
            self.rope.turn::<S>(position, queries.row(position), scale, to);
            self.rope.turn::<S>(position, keys.row(position), 1.0, turned);
            pack_key::<S>(position, turned, &mut scratch.keys);
        }
        scratch.queries.settle::<S>(scratch.keys.int8());
    }

    /// A block of rows: scores, softmax, their mix of the values.
    #[inline(always)]
    fn block<S: Simd>(&self, head: usize, first: usize, out: &mut [Line], scratch: &mut Scratch) {
        let size = self.shape.head_size();
        let seen = self.seen::<S>(first);
        let panels = seen.start / width::<S>()..seen.end / width::<S>();
        let grid = scratch.scores.lay(BLOCK, seen.len());
        let keys = Window { panels: panels.clone(), inputs: 0..size };
        let queries = scratch.queries.part(first..first + BLOCK);
        let sink = Scores { grid, stride: lines(seen.len()), first_panel: panels.start };
        multiply::<S>(&queries, &scratch.keys, size, keys, sink);

        let int8 = scratch.values.int8();
        let mut totals = [0.0; BLOCK];
        let rows = scratch.scores.lay(BLOCK, seen.len()).chunks_exact_mut(lines(seen.len()));
        for ((r, row), total) in rows.enumerate().zip(&mut totals) {
            self.mask(first + r, &seen, bytemuck::must_cast_slice_mut(row));
            *total = softmax::<S>(vectors_mut::<S>(row), int8);
        }
        // Softmax leaves 1 at a row's greatest score, a ten-thousandth more at most.
        scratch.scores.settle_shares::<S>(int8);
        if int8 {
            // What the rounded shares add up to.
            for (total, step) in totals.iter_mut().zip(scratch.scores.steps()) {
                *total = step.step * step.total;
            }
        }
        let values = Window { panels: 0..size.div_ceil(width::<S>()), inputs: seen };
        let start = first * lines(self.shape.hidden);
        let grid = out.get_mut(start..).unwrap_or_default();
        let (stride, start) = (lines(self.shape.hidden), head * lines(size));
        let by = totals.map(|total| 1.0 / total);
        let sink = Mix { grid, stride, start, size: lines(size), by };
        multiply::<S>(&scratch.scores.all(), &scratch.values, self.padded::<S>(), values, sink);
    }

    /// Keys that any row of this block sees, in whole panels and lines.
    fn seen<S: Simd>(&self, first: usize) -> Range<usize> {
        let unit = width::<S>().max(LINE);
        let (low, high) = self.sees(first..first + BLOCK);
        low / unit * unit..high.next_multiple_of(unit)
    }

    /// First key, and the one after the last, that these rows see.
    fn sees(&self, rows: Range<usize>) -> (usize, usize) {
        match self.window {
            None => (0, self.tokens),
            Some(window) => (
                rows.start.saturating_sub(window).min(self.tokens.saturating_sub(1)),
                (rows.end + window).min(self.tokens),
            ),
        }
    }

    /// Leaves out the keys among `seen` that row i does not see.
    fn mask(&self, i: usize, seen: &Range<usize>, scores: &mut [f32]) {
        let (low, high) = self.sees(i..i + 1);
        let mut hide = |keys: Range<usize>| scores.get_mut(keys).unwrap_or_default().fill(f32::MIN);
        hide(0..low.saturating_sub(seen.start));
        hide(high.saturating_sub(seen.start)..seen.len());
    }
}

/// Rows of one head within `qkv`, in lines.
struct HeadRows<'a> {
    qkv: &'a [Line],
    stride: usize,
    start: usize,
    size: usize,
    rows: usize,
}

impl HeadRows<'_> {
    #[inline(always)]
    fn row(&self, i: usize) -> &[Line] {
        let start = i * self.stride + self.start;
        self.qkv.get(start..start + self.size).unwrap_or_default()
    }
}

/// Lays a key into its place.
#[inline(always)]
fn pack_key<S: Simd>(position: usize, key: &[Line], panels: &mut Panels) {
    let (size, width) = (key.len() * LINE, width::<S>());
    let (panel, column) = (position / width, position % width);
    match panels {
        Panels::Float(lines) => {
            let slots = bytemuck::must_cast_slice_mut::<Line, f32>(lines);
            let slots = slots.get_mut(panel * size * width + column..).unwrap_or_default();
            let key = bytemuck::must_cast_slice::<Line, f32>(key);
            slots.iter_mut().step_by(width).zip(key).for_each(|(slot, x)| *slot = *x);
        }
        Panels::Int8 { quads, scale, sums, .. } => {
            let mut most = S::splat(1e-30);
            for x in vectors::<S>(key) {
                most = S::max(most, S::absolute(S::load(x)));
            }
            let most = S::greatest(most);
            let slots = bytemuck::must_cast_slice_mut::<ByteLine, [u8; 4]>(quads);
            let slots = slots.get_mut(panel * size / 4 * width + column..).unwrap_or_default();
            let mut slots = slots.iter_mut().step_by(width);
            let mut total = S::splat(0.0);
            for line in key {
                let mut rounded = *line;
                for x in vectors_mut::<S>(std::slice::from_mut(&mut rounded)) {
                    let q = S::fma(S::load(x), S::splat(MOST / most), S::splat(ROUND));
                    total = S::add(total, S::sub(q, S::splat(ROUND)));
                    S::store(x, q);
                }
                for (quad, slot) in S::low_bytes(&rounded.0).as_chunks::<4>().0.iter().zip(slots.by_ref()) {
                    *slot = *quad;
                }
            }
            let set = |lines: &mut Vec<Line>, x: f32| {
                if let Some(slot) = bytemuck::must_cast_slice_mut::<Line, f32>(lines).get_mut(position) {
                    *slot = x;
                }
            };
            set(scale, most / MOST);
            set(sums, S::sum(total) * (most / MOST));
        }
    }
}

/// Lays all values of a head, `[number of the head, token]`; int8 with one scale per number.
#[inline(always)]
fn pack_values<S: Simd>(values: &HeadRows<'_>, padded: usize, scratch: &mut Scratch) {
    let size = values.size * LINE;
    let width = width::<S>();
    scratch.values.lay::<S>(size, padded);
    match &mut scratch.values {
        Panels::Float(lines) => {
            let slots = vectors_mut::<S>(lines);
            for token in 0..values.rows {
                for (i, x) in vectors::<S>(values.row(token)).iter().enumerate() {
                    if let Some(slot) = slots.get_mut((i / 2 * padded + token) * 2 + i % 2) {
                        *slot = *x;
                    }
                }
            }
        }
        Panels::Int8 { quads, scale, .. } => {
            grow(&mut scratch.most, values.size, Line::ZERO);
            let most = scratch.most.get_mut(..values.size).unwrap_or_default();
            most.fill(Line([1e-30; LINE]));
            for token in 0..values.rows {
                for (most, x) in vectors_mut::<S>(most).iter_mut().zip(vectors::<S>(values.row(token))) {
                    S::store(most, S::max(S::load(most), S::absolute(S::load(x))));
                }
            }
            for (scale, most) in vectors_mut::<S>(scale).iter_mut().zip(vectors_mut::<S>(most)) {
                S::store(scale, S::mul(S::load(most), S::splat(1.0 / MOST)));
                S::store(most, S::div(S::splat(MOST), S::load(most)));
            }
            let slots = bytemuck::must_cast_slice_mut::<ByteLine, [u8; 4]>(quads);
            for four in 0..values.rows / 4 {
                for (i, by) in most.iter().enumerate() {
                    let mut rounded = [Line::ZERO; 4];
                    for (t, rounded) in rounded.iter_mut().enumerate() {
                        let Some(line) = values.row(4 * four + t).get(i) else { continue };
                        let terms = vectors::<S>(std::slice::from_ref(line))
                            .iter()
                            .zip(vectors::<S>(std::slice::from_ref(by)));
                        for (to, (x, by)) in
                            vectors_mut::<S>(std::slice::from_mut(rounded)).iter_mut().zip(terms)
                        {
                            S::store(to, S::fma(S::load(x), S::load(by), S::splat(ROUND)));
                        }
                    }
                    // A panel is narrower than a line, or as wide, or twice.
                    let quads = S::by_number(&rounded);
                    for (n, quads) in quads.chunks(width.min(LINE)).enumerate() {
                        let number = i * LINE + n * width.min(LINE);
                        let place = (number / width * (padded / 4) + four) * width + number % width;
                        let slots = slots.get_mut(place..).unwrap_or_default();
                        slots.iter_mut().zip(quads).for_each(|(slot, quad)| *slot = *quad);
                    }
                }
            }
        }
    }
}
