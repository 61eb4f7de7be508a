//! What follows the layers, once per prompt: means, standardised, a hidden layer, the projection, unit length.

use super::file::{self, File};
use super::lines::{LINE, Line, grow, lines};
use super::matrix::{Matrix, in_order};
use super::pointwise::gelu;
use super::rows::Rows;
use super::shape::Shape;
use super::simd::{Simd, vectors, vectors_mut};
use super::sink::Put;

/// The weights after the last norm.
#[derive(Debug)]
pub(super) struct Readout<S> {
    /// What is taken from each pooled number.
    centre: Vec<Line>,
    /// What it is multiplied by then.
    by: Vec<Line>,
    head: Option<Dense<S>>,
    projection: Dense<S>,
}

/// `[outputs, inputs]` and a bias.
#[derive(Debug)]
struct Dense<S> {
    matrix: Matrix<S>,
    bias: Vec<Line>,
}

/// Sums over a prompt's tokens, one after the other as they come up; then the numbers that are projected.
#[derive(Debug, Default)]
pub(super) struct Pooled {
    numbers: Vec<Line>,
    filled: usize,
}

impl Pooled {
    /// Empty, with room for `numbers`.
    pub(super) fn start(&mut self, numbers: usize) {
        grow(&mut self.numbers, lines(numbers), Line::ZERO);
        self.numbers.fill(Line::ZERO);
        self.filled = 0;
    }

    /// Adds up rows of `width` floats, behind the sums there are.
    #[inline(always)]
    pub(super) fn add<S: Simd>(&mut self, rows: &[Line], width: usize, tokens: usize) {
        let width = lines(width);
        let sums = self.numbers.get_mut(self.filled..self.filled + width).unwrap_or_default();
        for row in rows.chunks_exact(width).take(tokens) {
            for (sum, x) in vectors_mut::<S>(sums).iter_mut().zip(vectors::<S>(row)) {
                let next = S::add(S::load(sum), S::load(x));
                S::store(sum, next);
            }
        }
        self.filled += width;
    }

    /// Puts numbers behind those there are.
    fn push(&mut self, more: &[Line]) {
        let slots = self.numbers.get_mut(self.filled..).unwrap_or_default();
        slots.iter_mut().zip(more).for_each(|(slot, x)| *slot = *x);
        self.filled += more.len();
    }

    /// `(sum · share - centre) · by`.
    #[inline(always)]
    fn standardise<S: Simd>(&mut self, share: f32, centre: &[Line], by: &[Line]) {
        let terms = vectors::<S>(centre).iter().zip(vectors::<S>(by));
        for (x, (centre, by)) in vectors_mut::<S>(&mut self.numbers).iter_mut().zip(terms) {
            let mean = S::mul(S::load(x), S::splat(share));
            S::store(x, S::mul(S::sub(mean, S::load(centre)), S::load(by)));
        }
    }

    fn lines(&self) -> &[Line] {
        self.numbers.get(..self.filled).unwrap_or_default()
    }
}

impl<S: Simd> Readout<S> {
    /// # Errors
    ///
    /// A sentence: which weight is missing or of another shape.
    pub(super) fn load(file: &File, shape: &Shape) -> Result<Self, String> {
        let pooled = shape.pooled();
        let vector = |part: &str| file.vector(&format!("{}.{part}", file::POOLED), pooled);
        let dense = |name: &str, outputs: usize, inputs: usize| {
            let weights = file.matrix(name, outputs, inputs)?;
            let bias = file.vector(&format!("{name}.bias"), outputs)?;
            Ok::<_, String>(Dense { matrix: Matrix::pack(&weights, inputs, &in_order(outputs)), bias })
        };
        let mut by = vector("spread")?;
        bytemuck::must_cast_slice_mut::<Line, f32>(&mut by).iter_mut().for_each(|x| *x = 1.0 / *x);
        Ok(Self {
            centre: vector("centre")?,
            by,
            head: (shape.head > 0).then(|| dense(file::HEAD, shape.head, pooled)).transpose()?,
            projection: dense(file::PROJECTION, shape.output, pooled + shape.head)?,
        })
    }

    /// The embedding: `output` numbers of unit length.
    #[inline(always)]
    pub(super) fn embed(
        &self,
        tokens: usize,
        output: usize,
        pooled: &mut Pooled,
        rows: &mut [Rows; 2],
    ) -> Vec<f32> {
        pooled.standardise::<S>(1.0 / tokens as f32, &self.centre, &self.by);
        if let Some(head) = &self.head {
            let made = head.apply(pooled.lines(), rows);
            for x in vectors_mut::<S>(made) {
                let [made] = gelu::<S, 1>([S::load(x)]);
                S::store(x, made);
            }
            pooled.push(made);
        }
        let made = self.projection.apply(pooled.lines(), rows);
        let made = bytemuck::must_cast_slice::<Line, f32>(made).get(..output).unwrap_or_default();
        let scale = 1.0 / (made.iter().map(|x| x * x).sum::<f32>() + 1e-12).sqrt();
        made.iter().map(|x| x * scale).collect()
    }
}

impl<S: Simd> Dense<S> {
    /// `x` times the matrix, and the bias. int8 takes x in twice seven bits: an error made here is not averaged any more.
    #[inline(always)]
    fn apply<'a>(&self, x: &[Line], [rows, made]: &'a mut [Rows; 2]) -> &'a mut [Line] {
        let laid = rows.lay(S::ROWS, self.matrix.inputs());
        laid.fill(Line::ZERO);
        laid.iter_mut().zip(x).for_each(|(to, x)| *to = *x);
        rows.settle::<S>(self.matrix.int8());
        rows.settle_rest::<S>(self.matrix.int8());
        let stride = self.bias.len();
        let grid = made.lay(S::ROWS, stride * LINE);
        self.matrix.multiply_two(rows, Put { grid: &mut *grid, stride });
        let (product, rest) = grid.split_at_mut(stride);
        let terms = vectors::<S>(rest).iter().zip(vectors::<S>(&self.bias));
        for (x, (rest, bias)) in vectors_mut::<S>(product).iter_mut().zip(terms) {
            let sum = S::add(S::add(S::load(x), S::load(rest)), S::load(bias));
            S::store(x, sum);
        }
        product
    }
}
