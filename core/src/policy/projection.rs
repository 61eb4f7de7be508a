//! The projection `z = Px`: from the whole context to the k numbers the learner works in.

use std::ops::Range;

use super::lanes::dot;
use crate::context::{HAS_EMBEDDING, META, META_NAMES, SIGNAL_NAMES, SIGNALS};

/// P, row-major `[k × d]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
    /// Of each row, the columns from its first to its last number that is not 0: a feature that passes through
    /// costs one multiplication, not d.
    spans: Vec<Range<usize>>,
}

/// Expected squared length of the embedding's share of z, so that it weighs as much against the ridge as a
/// handful of signal features do.
const EMBEDDING_ENERGY: f64 = 2.0;

impl Projection {
    /// P from its parts; `None` unless `values` has `rows × columns` finite numbers.
    pub fn new(rows: usize, columns: usize, values: Vec<f32>) -> Option<Self> {
        let fits = rows > 0 && values.len() == rows.checked_mul(columns)?;
        let spans = values.chunks_exact(columns.max(1)).map(span).collect();
        (fits && values.iter().all(|v| v.is_finite())).then_some(Self { rows, columns, values, spans })
    }

    /// P from the encoder's principal components: as many leading components as fit beside the signal and meta
    /// features that exist, which pass through.
    ///
    /// `mean` is `[D]`, `components` `[C × D]` row-major with orthonormal rows, `scale` `[C]` the standard
    /// deviation along each. All components get one common factor, not their own: leading ones keep their larger
    /// variance and so are learned first (ridge regression shrinks small directions more). The mean goes into
    /// the column of the constant feature `has_embedding`.
    pub fn from_components(k: usize, mean: &[f32], components: &[f32], scale: &[f32]) -> Option<Self> {
        let d = mean.len();
        let names: Vec<&str> = SIGNAL_NAMES.iter().chain(&META_NAMES).copied().collect();
        let live: Vec<usize> =
            (0..names.len()).filter(|&i| names.get(i).is_some_and(|n| !n.starts_with("reserved_"))).collect();
        let count = k.checked_sub(live.len())?.min(scale.len());
        let energy: f64 = scale.iter().take(count).map(|s| f64::from(*s).powi(2)).sum();
        let factor = if energy > 0.0 { (EMBEDDING_ENERGY / energy).sqrt() as f32 } else { 0.0 };
        let columns = d + SIGNALS + META;
        let mut values = Vec::with_capacity((count + live.len()) * columns);
        for component in components.chunks_exact(d.max(1)).take(count) {
            let shift: f32 = component.iter().zip(mean).map(|(c, m)| c * m).sum();
            let mut tail = [0.0; SIGNALS + META];
            *tail.get_mut(SIGNALS + HAS_EMBEDDING)? = -shift * factor;
            values.extend(component.iter().map(|c| c * factor));
            values.extend(tail);
        }
        for i in &live {
            let mut row = vec![0.0; columns];
            *row.get_mut(d + i)? = 1.0;
            values.extend(row);
        }
        Self::new(count + live.len(), columns, values)
    }

    /// k, the number of projected dimensions.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// d, the length of the context it takes.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Row-major `[k × d]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// `z = Px`, `[k]`. `x` must have [`Projection::columns`] numbers; missing ones count as 0.
    pub fn apply(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.values.chunks_exact(self.columns.max(1)).zip(&self.spans);
        let within = |span: &Range<usize>| span.start.min(x.len())..span.end.min(x.len());
        rows.map(|(row, span)| match (row.get(within(span)), x.get(within(span))) {
            (Some(row), Some(x)) => dot(row, x),
            _ => 0.0,
        })
        .collect()
    }
}

fn span(row: &[f32]) -> Range<usize> {
    let first = row.iter().position(|v| *v != 0.0);
    let last = row.iter().rposition(|v| *v != 0.0);
    first.zip(last).map_or(0..0, |(first, last)| first..last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;
    use crate::request::RequestFacts;
    use crate::signals::Signals;

    #[test]
    fn signals_pass_through_and_the_mean_embedding_projects_to_zero() {
        let mean = [0.5, 0.5, 0.0];
        let p = Projection::from_components(64, &mean, &[1.0, 0.0, 0.0, 0.0, 0.0, 1.0], &[0.2, 0.1]).unwrap();
        let signals = Signals { code: 1.0, ..Default::default() };
        let x = Context::new(Some(&mean), 3, &signals, &RequestFacts::default());
        let z = p.apply(x.values());
        assert_eq!(z.len(), p.rows());
        assert!(z[..2].iter().all(|v| v.abs() < 1e-3), "centred: {z:?}");
        assert_eq!(z[2], 1.0, "code is the first signal that exists");
    }

    #[test]
    fn missing_numbers_and_rows_of_zeros_count_as_zero() {
        let p = Projection::new(3, 3, vec![0.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0, 0.0, 5.0]).unwrap();
        assert_eq!(p.apply(&[1.0, 1.0, 1.0]), [5.0, 0.0, 6.0]);
        assert_eq!(p.apply(&[1.0, 1.0]), [2.0, 0.0, 1.0]);
        assert_eq!(p.apply(&[]), [0.0; 3]);
    }

    #[test]
    fn a_projection_of_the_wrong_shape_is_refused() {
        assert_eq!(Projection::new(2, 3, vec![0.0; 5]), None);
        assert_eq!(Projection::new(1, 1, vec![f32::NAN]), None);
    }
}
