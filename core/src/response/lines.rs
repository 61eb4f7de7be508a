//! Cuts a byte stream into lines as server-sent events define them: ended by `\n`, `\r\n` or `\r`.

/// The longest line that is read, in bytes; of a longer one only its length class is known.
pub(super) const MAX_LINE: usize = 256 * 1024;
/// A buffer that grew beyond this is given back: thousands of streams may be open at once.
const KEEP_CAPACITY: usize = 16 * 1024;

/// One line, without its ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A line of at most [`MAX_LINE`] bytes.
    Whole(&'a [u8]),
    /// A longer line; its bytes are gone.
    TooLong,
}

/// The unfinished line between chunks.
#[derive(Debug, Default)]
pub(super) struct LineCutter {
    carry: Vec<u8>,
    too_long: bool,
    /// The last chunk ended in `\r`; a `\n` at the start of the next belongs to it.
    after_return: bool,
}

// === impl LineCutter ===

impl LineCutter {
    /// Hands each line that ends in `chunk` to `each`; a line within one chunk is not copied.
    pub(super) fn push(&mut self, chunk: &[u8], mut each: impl FnMut(Line<'_>)) {
        let mut rest = chunk;
        if self.after_return && !rest.is_empty() {
            self.after_return = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = rest.iter().position(|&b| b == b'\n' || b == b'\r') {
            let Some((line, ending)) = rest.split_at_checked(end) else { return };
            self.end_line(line, &mut each);
            rest = match ending {
                [b'\r'] => {
                    self.after_return = true;
                    &[]
                }
                [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
                [] => &[],
            };
        }
        self.keep(rest);
    }

    /// Hands over the last line if the stream ended without a line ending.
    pub(super) fn finish(mut self, mut each: impl FnMut(Line<'_>)) {
        if self.too_long || !self.carry.is_empty() {
            self.end_line(&[], &mut each);
        }
    }

    fn end_line(&mut self, line: &[u8], each: &mut impl FnMut(Line<'_>)) {
        if self.carry.is_empty() && !self.too_long && line.len() <= MAX_LINE {
            return each(Line::Whole(line));
        }
        self.keep(line);
        each(if self.too_long { Line::TooLong } else { Line::Whole(&self.carry) });
        self.too_long = false;
        clear(&mut self.carry);
    }

    fn keep(&mut self, part: &[u8]) {
        if self.too_long {
            return;
        }
        if self.carry.len() + part.len() > MAX_LINE {
            self.too_long = true;
            clear(&mut self.carry);
        } else {
            self.carry.extend_from_slice(part);
        }
    }
}

/// Empties a buffer, and gives its memory back if it is large.
pub(super) fn clear(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > KEEP_CAPACITY {
        *buffer = Vec::new();
    }
}
