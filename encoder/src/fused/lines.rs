//! Memory in cache lines, so that a vector of any width is loaded whole and aligned.

use bytemuck::{Pod, Zeroable};

/// Floats of a line. Every width of a model is a whole number of lines.
pub(super) const LINE: usize = 16;

/// One cache line of floats.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [f32; LINE]);

impl Line {
    pub(super) const ZERO: Self = Self([0.0; LINE]);
}

/// One cache line of signed bytes.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct ByteLine(pub(super) [i8; 4 * LINE]);

impl ByteLine {
    pub(super) const ZERO: Self = Self([0; 4 * LINE]);
}

/// The lines that `floats` floats take.
pub(super) const fn lines(floats: usize) -> usize {
    floats.div_ceil(LINE)
}

/// Lines that hold `values`, the rest of the last one zero.
pub(super) fn to_lines(values: &[f32]) -> Vec<Line> {
    let mut made = vec![Line::ZERO; lines(values.len())];
    bytemuck::must_cast_slice_mut::<Line, f32>(&mut made)
        .iter_mut()
        .zip(values)
        .for_each(|(slot, value)| *slot = *value);
    made
}

/// Makes `buffer` at least `size` long; a buffer never shrinks, so that only the longest prompt so far allocates.
pub(super) fn grow<T: Copy>(buffer: &mut Vec<T>, size: usize, zero: T) {
    if buffer.len() < size {
        buffer.resize(size, zero);
    }
}
