//! The features `z` the learner works in: the whole context, made few and non-linear.
//!
//! A linear model of the context learns slowly and misses what is not linear. So z approximates a Gaussian kernel
//! `κ(u, v) = exp(−‖u − v‖²)` over the standardised context `u = Px` (Nyström's method: Williams & Seeger 2001,
//! "Using the Nyström method to speed up kernel machines"):
//!
//! ```text
//! z = [ L⁻¹ κ(u, landmarks) | BIAS ],   κ(landmarks, landmarks) = LLᵀ
//! ```
//!
//! Then `zᵀz′ ≈ κ(u, u′) + BIAS²`, and ridge regression in z is kernel regression. It costs one exponential a landmark.

use super::lanes::dot;
use super::projection::Projection;

/// Value of the constant feature: a route's mean costs the ridge 1/100 of what another feature costs it, so it is
/// known after a few observations.
pub const BIAS: f32 = 10.0;

/// From a context to features.
#[derive(Debug, Clone, PartialEq)]
pub enum Features {
    /// `z = x`, all of the context: for a learner that is to leave nothing out, at its price. Holds d.
    Whole(usize),
    /// Kernel features around landmarks.
    Landmarks(Landmarks),
}

/// P, the landmarks and L⁻¹.
#[derive(Debug, Clone, PartialEq)]
pub struct Landmarks {
    projection: Projection,
    /// `[m × p]`, row-major.
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
            Self::Landmarks(landmarks) => landmarks.count() + 1,
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
        Self { projection, points: vec![], norms: vec![], whitening: vec![] }
    }

    /// From parts; `None` unless the shapes fit and all is finite. `points` is `[m × p]`, `whitening` `[m × m]`.
    pub fn new(projection: Projection, points: Vec<f32>, whitening: Vec<f32>) -> Option<Self> {
        let p = projection.rows();
        let norms: Vec<f32> = points.chunks_exact(p).map(|c| dot(c, c)).collect();
        let fits = points.len() == norms.len() * p && whitening.len() == norms.len().checked_pow(2)?;
        let finite = points.iter().chain(&whitening).chain(&norms).all(|v| v.is_finite());
        (fits && finite).then_some(Self { projection, points, norms, whitening })
    }

    /// P `[p × d]`: from a context to the standardised coordinates the kernel compares.
    pub fn projection(&self) -> &Projection {
        &self.projection
    }

    /// `[m × p]`.
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
        let near = kernel(&self.points, &self.norms, &self.projection.apply(x));
        let rows = self.whitening.chunks_exact(near.len().max(1)).enumerate();
        let within = |row: &[f32], i: usize| dot(row.get(..=i).unwrap_or_default(), &near);
        rows.map(|(i, row)| within(row, i)).chain([BIAS]).collect()
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
        let features = Features::Landmarks(Landmarks::new(identity(2), vec![1.0, 0.0], vec![1.0]).unwrap());
        assert_eq!(features.apply(&[1.0, 0.0]), [1.0, BIAS]);
        assert!((features.apply(&[0.0, 1.0])[0] - libm::expf(-2.0)).abs() < 1e-6);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        assert_eq!(Landmarks::new(identity(2), vec![1.0; 3], vec![1.0]), None);
        assert_eq!(Landmarks::new(identity(2), vec![1.0; 2], vec![1.0; 2]), None);
        assert_eq!(Landmarks::new(identity(2), vec![f32::NAN, 0.0], vec![1.0]), None);
    }

    proptest! {
        #[test]
        fn any_context_has_finite_features(x in prop::collection::vec(-6e4f32..6e4, 0..5)) {
            let landmarks = Landmarks::new(identity(3), vec![0.5; 6], vec![1.0, 0.0, -1.0, 1.0]).unwrap();
            prop_assert!(Features::Landmarks(landmarks).apply(&x).iter().all(|v| v.is_finite()));
        }
    }
}
