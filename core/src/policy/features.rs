//! The features `z` the learner works in: the whole context, made few and non-linear.
//!
//! A linear model of the context learns slowly and misses what is not linear. So z approximates a Gaussian kernel
//! `κ(u, v) = exp(−‖u − v‖²)` over the standardised context `u = Px` (Nyström's method: Williams & Seeger 2001,
//! "Using the Nyström method to speed up kernel machines"):
//!
//! ```text
//! z = [ L⁻¹ κ(u, landmarks) | v | BIAS ],   κ(landmarks, landmarks) = LLᵀ
//! ```
//!
//! Then `zᵀz′ ≈ κ(u, u′) + vᵀv′ + BIAS²`, and ridge regression in z is kernel regression. It costs one exponential a
//! landmark. v is the form of the text ([`crate::context::FORM`]), standardised: that longer prompts are harder is true of
//! all of them, and a kernel would have to find it out anew around each landmark (Duvenaud et al. 2011, "Additive
//! Gaussian processes").

use dragoman_lanes::dot;

use super::projection::Projection;

/// Value of the constant feature: a route's mean costs the ridge 1/100 of what another feature costs it, so it is
/// known after a few observations.
pub const BIAS: f32 = 10.0;

/// v stays within this: about four standard deviations, so that no odd prompt outweighs all others.
pub(crate) const LINEAR_LIMIT: f32 = 2.0;

/// From a context to features.
#[derive(Debug, Clone, PartialEq)]
pub enum Features {
    /// `z = x`, all of the context: for a learner that is to leave nothing out, at its price. Holds d.
    Whole(usize),
    /// Kernel features around landmarks.
    Landmarks(Landmarks),
}

/// P, the landmarks and L⁻¹. The last rows of P give v, the others u.
#[derive(Debug, Clone, PartialEq)]
pub struct Landmarks {
    projection: Projection,
    /// How many rows of P give v.
    linear: usize,
    /// `[m × (p − linear)]`, row-major.
    points: Vec<f32>,
    /// ‖point‖², `[m]`.
    norms: Vec<f32>,
    /// L⁻¹ `[m × m]`, lower triangle, row-major; the rest is 0.
    whitening: Vec<f32>,
}

// === impl Features ===

impl Features {
    /// k, the number of features.
    pub fn size(&self) -> usize {
        match self {
            Self::Whole(d) => *d,
            Self::Landmarks(landmarks) => landmarks.count() + landmarks.linear + 1,
        }
    }

    /// d, the length of the context it takes.
    pub fn columns(&self) -> usize {
        match self {
            Self::Whole(d) => *d,
            Self::Landmarks(landmarks) => landmarks.projection.columns(),
        }
    }

    /// z `[k]` of a context `x` `[d]`; missing numbers count as 0.
    pub fn apply(&self, x: &[f32]) -> Vec<f32> {
        match self {
            Self::Whole(d) => (0..*d).map(|i| x.get(i).copied().unwrap_or_default()).collect(),
            Self::Landmarks(landmarks) => landmarks.apply(x),
        }
    }
}

// === impl Landmarks ===

impl Landmarks {
    /// No landmark yet: z is the bias alone, so every prompt looks alike until some have been seen.
    pub fn none(projection: Projection) -> Self {
        Self { projection, linear: 0, points: vec![], norms: vec![], whitening: vec![] }
    }

    /// From parts; `None` unless the shapes fit and all is finite. `points` is `[m × (p − linear)]`, `whitening` `[m × m]`.
    pub fn new(projection: Projection, linear: usize, points: Vec<f32>, whitening: Vec<f32>) -> Option<Self> {
        let compared = projection.rows().checked_sub(linear).filter(|rows| *rows > 0)?;
        let norms: Vec<f32> = points.chunks_exact(compared).map(|c| dot(c, c)).collect();
        let fits = points.len() == norms.len() * compared && whitening.len() == norms.len().checked_pow(2)?;
        let finite = points.iter().chain(&whitening).chain(&norms).all(|v| v.is_finite());
        (fits && finite).then_some(Self { projection, linear, points, norms, whitening })
    }

    /// The same with v times `weight`.
    pub(crate) fn weighted(&self, weight: f32) -> Option<Self> {
        let compared = self.projection.rows().checked_sub(self.linear)?;
        let scale: Vec<f32> =
            (0..self.projection.rows()).map(|row| if row < compared { 1.0 } else { weight }).collect();
        let projection = self.projection.rescaled(&vec![0.0; scale.len()], &scale)?;
        Some(Self { projection, ..self.clone() })
    }

    /// The same with one row of P more, the last, which is a feature as it is.
    pub(crate) fn with_linear(&self, row: &[f32]) -> Option<Self> {
        Some(Self { projection: self.projection.with_row(row)?, linear: self.linear + 1, ..self.clone() })
    }

    /// P `[p × d]`: from a context to the standardised coordinates the kernel compares.
    pub fn projection(&self) -> &Projection {
        &self.projection
    }

    /// How many of P's rows, the last ones, are features as they are.
    pub fn linear(&self) -> usize {
        self.linear
    }

    /// `[m × (p − linear)]`.
    pub fn points(&self) -> &[f32] {
        &self.points
    }

    /// L⁻¹ `[m × m]`.
    pub fn whitening(&self) -> &[f32] {
        &self.whitening
    }

    /// m.
    pub fn count(&self) -> usize {
        self.norms.len()
    }

    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let all = self.projection.apply(x);
        let (u, v) = all.split_at_checked(all.len().saturating_sub(self.linear)).unwrap_or_default();
        let near = kernel(&self.points, &self.norms, u);
        let rows = self.whitening.chunks_exact(near.len().max(1)).enumerate();
        let within = |row: &[f32], i: usize| dot(row.get(..=i).unwrap_or_default(), &near);
        let form = v.iter().map(|v| v.clamp(-LINEAR_LIMIT, LINEAR_LIMIT));
        rows.map(|(i, row)| within(row, i)).chain(form).chain([BIAS]).collect()
    }
}

/// `exp(−‖u − point‖²)` for every point; `norms` are the points' ‖·‖².
pub(crate) fn kernel(points: &[f32], norms: &[f32], u: &[f32]) -> Vec<f32> {
    let own = dot(u, u);
    let near = |(point, norm): (&[f32], &f32)| libm::expf((2.0 * dot(point, u) - own - norm).min(0.0));
    points.chunks_exact(u.len().max(1)).zip(norms).map(near).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn identity(n: usize) -> Projection {
        Projection::new(n, n, (0..n * n).map(|i| if i / n == i % n { 1.0 } else { 0.0 }).collect()).unwrap()
    }

    #[test]
    fn without_landmarks_every_context_looks_alike() {
        let features = Features::Landmarks(Landmarks::none(identity(2)));
        assert_eq!(features.apply(&[0.3, 0.7]), [BIAS]);
        assert_eq!((features.size(), features.columns()), (1, 2));
    }

    #[test]
    fn one_landmark_measures_nearness() {
        let features =
            Features::Landmarks(Landmarks::new(identity(2), 0, vec![1.0, 0.0], vec![1.0]).unwrap());
        assert_eq!(features.apply(&[1.0, 0.0]), [1.0, BIAS]);
        assert!((features.apply(&[0.0, 1.0])[0] - libm::expf(-2.0)).abs() < 1e-6);
    }

    #[test]
    fn the_last_rows_are_features_as_they_are_but_bounded_and_no_kernel_sees_them() {
        let landmarks = Landmarks::new(identity(3), 1, vec![1.0, 0.0], vec![1.0]).unwrap();
        let features = Features::Landmarks(landmarks);
        assert_eq!(features.size(), 3);
        assert_eq!(features.apply(&[1.0, 0.0, 0.3]), [1.0, 0.3, BIAS]);
        assert_eq!(features.apply(&[1.0, 0.0, -9.0]), [1.0, -LINEAR_LIMIT, BIAS]);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let new = |linear, points: &[f32], whitening: &[f32]| {
            Landmarks::new(identity(2), linear, points.to_vec(), whitening.to_vec())
        };
        assert_eq!(new(0, &[1.0; 3], &[1.0]), None);
        assert_eq!(new(0, &[1.0; 2], &[1.0; 2]), None);
        assert_eq!(new(0, &[f32::NAN, 0.0], &[1.0]), None);
        assert_eq!(new(2, &[], &[]), None, "nothing left to compare by");
        assert_eq!(new(3, &[], &[]), None);
    }

    proptest! {
        #[test]
        fn any_context_has_finite_features(x in prop::collection::vec(-6e4f32..6e4, 0..5)) {
            let landmarks = Landmarks::new(identity(3), 1, vec![0.5; 4], vec![1.0, 0.0, -1.0, 1.0]).unwrap();
            prop_assert!(Features::Landmarks(landmarks).apply(&x).iter().all(|v| v.is_finite()));
        }
    }
}
