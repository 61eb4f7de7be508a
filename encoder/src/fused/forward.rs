//! The forward pass: tokens → table → layers → mean → projection → unit vector.
//!
//! ModernBERT (Warner et al. 2024, arXiv:2412.13663): layer norm before each half of a layer (the first layer's
//! attention takes the embedding's norm as it is), rotary positions, global and local attention in turn, GeGLU, no biases.

use super::attention::{Attention, Rope, Scratch};
use super::file::{self, File, Table};
use super::lines::{Line, grow, lines, to_lines};
use super::matrix::{Matrix, gated, in_order};
use super::pointwise::{gelu, layer_norm};
use super::rows::{BLOCK, Rows};
use super::shape::Shape;
use super::simd::{Simd, vectors, vectors_mut};
use super::sink::{Add, Gate, Put};

/// The weights, packed for one kind of processor.
#[derive(Debug)]
pub(super) struct Model<S> {
    shape: Shape,
    table: Table,
    up: Option<Matrix<S>>,
    embedding_norm: Vec<Line>,
    layers: Vec<Layer<S>>,
    final_norm: Vec<Line>,
    head: Option<Dense>,
    projection: Dense,
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

/// A layer that runs once per prompt: `[outputs, inputs]` and a bias, in f32.
#[derive(Debug)]
struct Dense {
    weight: Vec<Line>,
    bias: Vec<f32>,
}

/// All memory of a run; it grows with the longest prompt so far and is used again.
#[derive(Debug)]
pub(super) struct Arena {
    global: Rope,
    local: Rope,
    /// The residual stream, `[tokens, hidden]`.
    stream: Vec<Line>,
    qkv: Vec<Line>,
    attention: Scratch,
    /// What is multiplied, and in the gated layer what comes of it.
    rows: [Rows; 2],
}

impl Arena {
    fn new(shape: &Shape, int8: bool) -> Self {
        Self {
            global: Rope::new(shape.global_rope_theta, shape.head_size()),
            local: Rope::new(shape.local_rope_theta, shape.head_size()),
            stream: Vec::new(),
            qkv: Vec::new(),
            attention: Scratch::new(int8),
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
        let dense = |name: &str, outputs: usize, inputs: usize| {
            file.dense(name, outputs, inputs).map(|(weight, bias)| Dense { weight, bias })
        };
        Ok(Self {
            up: (shape.embedding_rank != d).then(|| matrix(file::UP, d, shape.embedding_rank)).transpose()?,
            embedding_norm: norm(file::EMBEDDING_NORM.into())?,
            layers: (0..shape.layers).map(layer).collect::<Result<_, _>>()?,
            final_norm: norm(file::FINAL_NORM.into())?,
            head: (shape.head > 0).then(|| dense(file::HEAD, shape.head, d)).transpose()?,
            projection: dense(file::PROJECTION, shape.output, d + shape.head)?,
            shape,
            table: file.table()?,
        })
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(super) fn arena(&self) -> Arena {
        Arena::new(&self.shape, self.layers.iter().all(|layer| layer.qkv.int8()))
    }

    /// The embedding of `ids`: `shape.output` numbers of unit length. `None` if an id is not in the table.
    #[inline(always)]
    pub(super) fn run(&self, ids: &[u32], arena: &mut Arena) -> Option<Vec<f32>> {
        let count = ids.len().next_multiple_of(BLOCK);
        arena.global.reach(count);
        arena.local.reach(count);
        grow(&mut arena.stream, count * lines(self.shape.hidden), Line::ZERO);
        grow(&mut arena.qkv, count * lines(3 * self.shape.hidden), Line::ZERO);
        self.embed(ids, count, arena)?;
        for (i, layer) in self.layers.iter().enumerate() {
            self.attend(i, layer, (ids.len(), count), arena);
            self.feed(layer, count, arena);
        }
        Some(self.pool(ids.len(), arena))
    }

    /// Tokens to the residual stream.
    #[inline(always)]
    fn embed(&self, ids: &[u32], count: usize, arena: &mut Arena) -> Option<()> {
        let (d, rank) = (self.shape.hidden, self.shape.embedding_rank);
        let [rows, wide] = &mut arena.rows;
        let found = rows.lay(count, rank);
        found.fill(Line::ZERO);
        for (row, id) in found.chunks_exact_mut(lines(rank)).zip(ids) {
            self.table.row(*id as usize, bytemuck::must_cast_slice_mut(row))?;
        }
        let embedded = match &self.up {
            Some(up) => {
                rows.settle::<S>(up.int8(), None);
                let grid = wide.lay(count, d);
                up.multiply(rows, Put { grid, stride: lines(d) });
                wide
            }
            None => rows,
        };
        self.norm(embedded.lines(), &self.embedding_norm, &mut arena.stream);
        Some(())
    }

    /// Row by row.
    #[inline(always)]
    fn norm(&self, x: &[Line], weight: &[Line], to: &mut [Line]) {
        let d = lines(self.shape.hidden);
        for (x, to) in x.chunks_exact(d).zip(to.chunks_exact_mut(d)) {
            layer_norm::<S>(x, weight, self.shape.norm_eps, to);
        }
    }

    /// The first half of a layer.
    #[inline(always)]
    fn attend(&self, i: usize, layer: &Layer<S>, (tokens, count): (usize, usize), arena: &mut Arena) {
        let d = lines(self.shape.hidden);
        let [rows, _] = &mut arena.rows;
        let laid = rows.lay(count, self.shape.hidden);
        match &layer.attention_norm {
            Some(weight) => self.norm(&arena.stream, weight, laid),
            None => laid.iter_mut().zip(&arena.stream).for_each(|(to, x)| *to = *x),
        }
        rows.settle::<S>(layer.qkv.int8(), None);
        layer.qkv.multiply(rows, Put { grid: &mut arena.qkv, stride: 3 * d });
        let window = self.shape.window(i);
        let rope = if window.is_some() { &arena.local } else { &arena.global };
        let attention = Attention { shape: &self.shape, rope, window, tokens };
        attention.run::<S>(&arena.qkv, rows.lay(count, self.shape.hidden), &mut arena.attention);
        rows.settle::<S>(layer.attention_out.int8(), None);
        layer.attention_out.multiply(rows, Add { grid: &mut arena.stream, stride: d });
    }

    /// The second half: `Wo (gelu(a) · b)` for `[a, b] = Wi x`, band by band of the inner channels.
    #[inline(always)]
    fn feed(&self, layer: &Layer<S>, count: usize, arena: &mut Arena) {
        let d = lines(self.shape.hidden);
        let [rows, gated] = &mut arena.rows;
        self.norm(&arena.stream, &layer.mlp_norm, rows.lay(count, self.shape.hidden));
        rows.settle::<S>(layer.feed.iter().any(|band| band.wi.int8()), None);
        for Band { wi, wo } in &layer.feed {
            let grid = gated.lay(count, wo.inputs());
            wi.multiply(rows, Gate { grid, stride: lines(wo.inputs()) });
            gated.settle::<S>(wo.int8(), None);
            wo.multiply(gated, Add { grid: &mut arena.stream, stride: d });
        }
    }

    /// The mean of the tokens after the last norm, projected, of unit length.
    #[inline(always)]
    fn pool(&self, tokens: usize, arena: &mut Arena) -> Vec<f32> {
        let d = lines(self.shape.hidden);
        let [rows, _] = &mut arena.rows;
        let (mean, normed) = rows.lay(2, self.shape.hidden).split_at_mut(d);
        mean.fill(Line::ZERO);
        for row in arena.stream.chunks_exact(d).take(tokens) {
            layer_norm::<S>(row, &self.final_norm, self.shape.norm_eps, normed);
            for (mean, x) in vectors_mut::<S>(mean).iter_mut().zip(vectors::<S>(normed)) {
                let next = S::fma(S::load(x), S::splat(1.0 / tokens as f32), S::load(mean));
                S::store(mean, next);
            }
        }
        let mut pooled = mean.to_vec();
        if let Some(head) = &self.head {
            let mut made = to_lines(&head.apply::<S>(mean));
            for x in vectors_mut::<S>(&mut made) {
                S::store(x, gelu::<S>(S::load(x)));
            }
            pooled.extend(made);
        }
        let mut embedding = self.projection.apply::<S>(&pooled);
        let scale = 1.0 / (embedding.iter().map(|x| x * x).sum::<f32>() + 1e-12).sqrt();
        embedding.iter_mut().for_each(|x| *x *= scale);
        embedding
    }
}

impl Dense {
    #[inline(always)]
    fn apply<S: Simd>(&self, x: &[Line]) -> Vec<f32> {
        let mut out = self.bias.clone();
        let x = vectors::<S>(x);
        let (fours, rest) = x.as_chunks::<4>();
        for (out, row) in out.iter_mut().zip(vectors::<S>(&self.weight).chunks_exact(x.len().max(1))) {
            // A sum waits for the one before it, four of them wait together.
            let mut totals = [S::splat(0.0); 4];
            let mut add = |x: &[S::Floats], w: &[S::Floats]| {
                for ((total, w), x) in totals.iter_mut().zip(w).zip(x) {
                    *total = S::fma(S::load(w), S::load(x), *total);
                }
            };
            let (row_fours, row_rest) = row.as_chunks::<4>();
            for (x, w) in fours.iter().zip(row_fours) {
                add(x, w);
            }
            add(rest, row_rest);
            let [a, b, c, d] = totals;
            *out += S::sum(S::add(S::add(a, b), S::add(c, d)));
        }
        out
    }
}
