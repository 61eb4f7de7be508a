//! The forward pass: tokens → table → layers → readout.
//!
//! ModernBERT (Warner et al. 2024, arXiv:2412.13663): layer norm before each half of a layer (the first layer's
//! attention takes the embedding's norm as it is), rotary positions, global and local attention in turn, GeGLU, no biases.

use super::attention::{Attention, Rope, Scratch};
use super::file::{self, File, Table};
use super::known::Known;
use super::lines::{Line, grow, lines};
use super::matrix::{Matrix, gated, in_order};
use super::pointwise::layer_norm;
use super::readout::{Pooled, Readout};
use super::rows::{BLOCK, Rows};
use super::shape::Shape;
use super::simd::Simd;
use super::sink::{Add, Gate, Put, Scatter};

/// The weights, packed for one kind of processor.
#[derive(Debug)]
pub(super) struct Model<S> {
    shape: Shape,
    table: Table,
    up: Option<Matrix<S>>,
    embedding_norm: Vec<Line>,
    layers: Vec<Layer<S>>,
    final_norm: Vec<Line>,
    readout: Readout<S>,
}

#[derive(Debug)]
struct Layer<S> {
    /// The first layer has none.
    attention_norm: Option<Vec<Line>>,
    qkv: Matrix<S>,
    attention_out: Matrix<S>,
    mlp_norm: Vec<Line>,
    feed: Vec<Band<S>>,
}

/// Some of the feed-forward layer's inner channels.
#[derive(Debug)]
struct Band<S> {
    wi: Matrix<S>,
    wo: Matrix<S>,
}

/// All memory of a run; it grows with the longest prompt so far and is used again.
#[derive(Debug)]
pub(super) struct Arena {
    global: Rope,
    local: Rope,
    /// The residual stream, `[tokens, hidden]`.
    stream: Vec<Line>,
    qkv: Vec<Line>,
    known: Known,
    /// Places of the tokens that are not known.
    unknown: Vec<usize>,
    attention: Scratch,
    pooled: Pooled,
    /// What is multiplied, and in the gated layer what comes of it.
    rows: [Rows; 2],
}

impl Arena {
    fn new<S: Simd>(shape: &Shape, int8: bool) -> Self {
        Self {
            global: Rope::new(shape.global_rope_theta, shape.head_size()),
            local: Rope::new(shape.local_rope_theta, shape.head_size()),
            stream: Vec::new(),
            qkv: Vec::new(),
            known: Known::new(4 * shape.hidden, int8),
            unknown: Vec::new(),
            pooled: Pooled::default(),
            attention: Scratch::new::<S>(int8),
            rows: Default::default(),
        }
    }
}

impl<S: Simd> Model<S> {
    /// # Errors
    ///
    /// A sentence: which weight is missing or of another shape.
    pub(super) fn load(file: File) -> Result<Self, String> {
        let shape = file.shape.clone();
        let d = shape.hidden;
        let matrix = |name: &str, outputs: usize, inputs: usize| {
            Ok::<_, String>(Matrix::pack(&file.matrix(name, outputs, inputs)?, inputs, &in_order(outputs)))
        };
        let norm = |name: String| file.vector(&format!("{name}.weight"), d);
        let band = |i: usize, b: usize, size: usize| {
            let name = |part: &str| file::layer(i, &file::band(b, part));
            let wi = file.matrix(&name("Wi"), 2 * size, d)?;
            Ok::<_, String>(Band {
                wi: Matrix::pack(&wi, d, &gated::<S>(size)),
                wo: matrix(&name("Wo"), d, size)?,
            })
        };
        let layer = |i: usize| {
            let name = |part: &str| file::layer(i, part);
            Ok::<_, String>(Layer {
                attention_norm: (i > 0).then(|| norm(name("attn_norm"))).transpose()?,
                qkv: matrix(&name("attn.Wqkv"), 3 * d, d)?,
                attention_out: matrix(&name("attn.Wo"), d, d)?,
                mlp_norm: norm(name("mlp_norm"))?,
                feed: shape
                    .bands()
                    .iter()
                    .enumerate()
                    .map(|(b, band_of)| band(i, b, band_of.len()))
                    .collect::<Result<_, _>>()?,
            })
        };
        Ok(Self {
            up: (shape.embedding_rank != d).then(|| matrix(file::UP, d, shape.embedding_rank)).transpose()?,
            embedding_norm: norm(file::EMBEDDING_NORM.into())?,
            layers: (0..shape.layers).map(layer).collect::<Result<_, _>>()?,
            final_norm: norm(file::FINAL_NORM.into())?,
            readout: Readout::load(&file, &shape)?,
            shape,
            table: file.table()?,
        })
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(super) fn arena(&self) -> Arena {
        Arena::new::<S>(&self.shape, self.layers.iter().all(|layer| layer.qkv.int8()))
    }

    /// The embedding of `ids`: `shape.output` numbers of unit length. `None` if an id is not in the table.
    #[inline(always)]
    pub(super) fn run(&self, ids: &[u32], arena: &mut Arena) -> Option<Vec<f32>> {
        let count = ids.len().next_multiple_of(BLOCK);
        arena.global.reach(count);
        arena.local.reach(count);
        grow(&mut arena.stream, count * lines(self.shape.hidden), Line::ZERO);
        grow(&mut arena.qkv, count * lines(3 * self.shape.hidden), Line::ZERO);
        arena.pooled.start(self.shape.pooled() + self.shape.head);
        self.begin(ids, count, arena)?;
        for (i, layer) in self.layers.iter().enumerate() {
            self.attend(i, layer, (ids.len(), count), arena);
            self.feed(layer, (ids.len(), count), arena);
        }
        let [rows, _] = &mut arena.rows;
        self.norm(&arena.stream, &self.final_norm, rows.lay(count, self.shape.hidden));
        arena.pooled.add::<S>(rows.lines(), self.shape.hidden, ids.len());
        Some(self.readout.embed(ids.len(), self.shape.output, &mut arena.pooled, &mut arena.rows))
    }

    /// Tokens to the residual stream and the first layer's queries, keys and values.
    #[inline(always)]
    fn begin(&self, ids: &[u32], count: usize, arena: &mut Arena) -> Option<()> {
        let d = lines(self.shape.hidden);
        let Arena { stream, qkv, known, unknown, rows, .. } = arena;
        unknown.clear();
        let each = stream.chunks_exact_mut(d).zip(qkv.chunks_exact_mut(3 * d)).take(count).enumerate();
        for (place, (x, qkv)) in each {
            match ids.get(place) {
                Some(id) if !known.recall::<S>(*id, [x, qkv]) => unknown.push(place),
                Some(_) => {}
                None => {
                    x.fill(Line::ZERO);
                    qkv.fill(Line::ZERO);
                }
            }
        }
        let embedded = self.embed(ids, unknown, rows)?;
        for (row, place) in embedded.lines().chunks_exact(d).zip(&*unknown) {
            let to = stream.get_mut(place * d..(place + 1) * d).unwrap_or_default();
            to.iter_mut().zip(row).for_each(|(to, x)| *to = *x);
        }
        if let Some(first) = self.layers.first() {
            embedded.settle::<S>(first.qkv.int8());
            first.qkv.multiply(embedded, Scatter { grid: qkv, stride: 3 * d, places: unknown });
        }
        for place in &*unknown {
            let x = stream.get_mut(place * d..(place + 1) * d).unwrap_or_default();
            let qkv = qkv.get_mut(place * 3 * d..(place + 1) * 3 * d).unwrap_or_default();
            known.keep::<S>(*ids.get(*place)?, [x, qkv]);
        }
        Some(())
    }

    /// The embedded tokens of these places, after the norm.
    #[inline(always)]
    fn embed<'a>(
        &self,
        ids: &[u32],
        places: &[usize],
        [one, two]: &'a mut [Rows; 2],
    ) -> Option<&'a mut Rows> {
        let (d, rank) = (self.shape.hidden, self.shape.embedding_rank);
        let count = places.len().next_multiple_of(BLOCK);
        let found = one.lay(count, rank);
        found.fill(Line::ZERO);
        for (row, place) in found.chunks_exact_mut(lines(rank)).zip(places) {
            self.table.row(*ids.get(*place)? as usize, bytemuck::must_cast_slice_mut(row))?;
        }
        let (from, to) = match &self.up {
            Some(up) => {
                one.settle::<S>(up.int8());
                let grid = two.lay(count, d);
                up.multiply(one, Put { grid, stride: lines(d) });
                (two, one)
            }
            None => (one, two),
        };
        self.norm(from.lines(), &self.embedding_norm, to.lay(count, d));
        Some(to)
    }

    /// Row by row.
    #[inline(always)]
    fn norm(&self, x: &[Line], weight: &[Line], to: &mut [Line]) {
        let d = lines(self.shape.hidden);
        for (x, to) in x.chunks_exact(d).zip(to.chunks_exact_mut(d)) {
            layer_norm::<S>(x, weight, self.shape.norm_eps, to);
        }
    }

    /// The first half of a layer; what the first one's begins with, [`Self::begin`] has made.
    #[inline(always)]
    fn attend(&self, i: usize, layer: &Layer<S>, (tokens, count): (usize, usize), arena: &mut Arena) {
        let d = self.shape.hidden;
        let [rows, _] = &mut arena.rows;
        if let Some(weight) = &layer.attention_norm {
            self.norm(&arena.stream, weight, rows.lay(count, d));
            rows.settle::<S>(layer.qkv.int8());
            layer.qkv.multiply(rows, Put { grid: &mut arena.qkv, stride: lines(3 * d) });
        }
        let window = self.shape.window(i);
        let rope = if window.is_some() { &arena.local } else { &arena.global };
        let attention = Attention { shape: &self.shape, rope, window, tokens };
        attention.run::<S>(&arena.qkv, rows.lay(count, d), &mut arena.attention);
        if self.shape.readout {
            arena.pooled.add::<S>(rows.lines(), d, tokens);
        }
        rows.settle::<S>(layer.attention_out.int8());
        layer.attention_out.multiply(rows, Add { grid: &mut arena.stream, stride: lines(d) });
    }

    /// The second half: `Wo (gelu(a) · b)` for `[a, b] = Wi x`, band by band of the inner channels.
    #[inline(always)]
    fn feed(&self, layer: &Layer<S>, (tokens, count): (usize, usize), arena: &mut Arena) {
        let d = self.shape.hidden;
        let [rows, gated] = &mut arena.rows;
        self.norm(&arena.stream, &layer.mlp_norm, rows.lay(count, d));
        rows.settle::<S>(layer.feed.iter().any(|band| band.wi.int8()));
        for Band { wi, wo } in &layer.feed {
            let grid = gated.lay(count, wo.inputs());
            wi.multiply(rows, Gate { grid, stride: lines(wo.inputs()) });
            if self.shape.readout {
                arena.pooled.add::<S>(gated.lines(), wo.inputs(), tokens);
            }
            gated.settle::<S>(wo.int8());
            wo.multiply(gated, Add { grid: &mut arena.stream, stride: lines(d) });
        }
    }
}
