//! The projection `u = Px`: from the whole context to the few coordinates in which prompts are compared.

use std::ops::Range;

use dragoman_lanes::dot;

use crate::context::{BIAS, FORM, HAS_EMBEDDING, META, META_NAMES, OF_EMBEDDING, SIGNAL_NAMES, SIGNALS};

/// P, row-major `[p × d]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
    /// Of each row, the columns from its first to its last number that is not 0: a feature that passes through
    /// costs one multiplication, not d.
    spans: Vec<Range<usize>>,
}

impl Projection {
    /// P from its parts; `None` unless `values` has `rows × columns` finite numbers.
    pub fn new(rows: usize, columns: usize, values: Vec<f32>) -> Option<Self> {
        let fits = rows > 0 && values.len() == rows.checked_mul(columns)?;
        let spans = values.chunks_exact(columns.max(1)).map(span).collect();
        (fits && values.iter().all(|v| v.is_finite())).then_some(Self { rows, columns, values, spans })
    }

    /// P from the encoder's principal components, the leading `count`, followed by the signal and meta features that
    /// exist and say more than the embedding, which pass through, and by those of [`FORM`] once more.
    ///
    /// `mean` is `[D]`, `components` `[C × D]` row-major with orthonormal rows. The mean goes into the column of
    /// the constant feature `has_embedding`, so that a missing embedding counts as an average one.
    pub fn from_components(count: usize, mean: &[f32], components: &[f32]) -> Option<Self> {
        let d = mean.len();
        let columns = d + SIGNALS + META;
        let mut values = Vec::new();
        for component in components.chunks_exact(d.max(1)).take(count) {
            let mut row = component.to_vec();
            row.resize(columns, 0.0);
            *row.get_mut(d + SIGNALS + HAS_EMBEDDING)? = -dot(component, mean);
            values.extend(row);
        }
        let names = || SIGNAL_NAMES.iter().chain(&META_NAMES).enumerate();
        let exists = |(i, name): &(usize, &&str)| !name.starts_with("reserved_") && !OF_EMBEDDING.contains(i);
        let form = FORM.iter().filter_map(|form| names().find(|(_, name)| *name == form));
        for (i, _) in names().filter(exists).chain(form) {
            let mut row = vec![0.0; columns];
            *row.get_mut(d + i)? = 1.0;
            values.extend(row);
        }
        Self::new(values.len() / columns, columns, values)
    }

    /// P with row i shifted and scaled to `(row·x − center[i]) · scale[i]`; x's last block must be the meta features
    /// (the centre goes into the column of the constant 1).
    pub fn rescaled(&self, center: &[f32], scale: &[f32]) -> Option<Self> {
        let mut values = self.values.clone();
        let bias = self.columns.checked_sub(META)? + BIAS;
        for ((row, center), scale) in values.chunks_exact_mut(self.columns.max(1)).zip(center).zip(scale) {
            *row.get_mut(bias)? -= center;
            row.iter_mut().for_each(|v| *v *= scale);
        }
        Self::new(self.rows, self.columns, values)
    }

    /// P and one row more, which must have [`Projection::columns`] numbers.
    pub fn with_row(&self, row: &[f32]) -> Option<Self> {
        Self::new(self.rows + 1, self.columns, [&self.values, row].concat())
    }

    /// p, the number of coordinates.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// d, the length of the context it takes.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Row-major `[p × d]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// `u = Px`, `[p]`. `x` must have [`Projection::columns`] numbers; missing ones count as 0.
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
        let p = Projection::from_components(2, &mean, &[1.0, 0.0, 0.0, 0.0, 0.0, 1.0]).unwrap();
        let mut signals = Signals { code: 1.0, ..Default::default() };
        signals.domain.0[0] = 1.0;
        let x = Context::new(Some(&mean), 3, &signals, &RequestFacts::default());
        let z = p.apply(x.values());
        assert_eq!(z.len(), p.rows());
        assert!(z[..2].iter().all(|v| v.abs() < 1e-3), "centred: {z:?}");
        assert_eq!(z[2], 1.0, "code is the first that is not of the embedding");
    }

    #[test]
    fn a_rescaled_row_is_centred_and_scaled() {
        let p = Projection::from_components(0, &[], &[]).unwrap();
        let (mut center, mut scale) = (vec![0.0; p.rows()], vec![1.0; p.rows()]);
        (center[0], scale[0]) = (0.25, 4.0);
        let mut signals = Signals { code: 1.0, ..Default::default() };
        signals.domain.0[0] = 1.0;
        let x = Context::new(None, 0, &signals, &RequestFacts::default());
        assert_eq!(p.rescaled(&center, &scale).unwrap().apply(x.values())[0], 3.0);
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
