//! Reading one message off a connection.

use std::io::{BufRead, Error, Result};

/// One request or response; reused so that reading allocates nothing after the first.
#[derive(Default)]
pub(super) struct Message {
    /// The first line.
    pub(super) start: String,
    /// The body.
    pub(super) body: Vec<u8>,
    line: String,
}

impl Message {
    /// Reads the next message; false if the other side closed the connection before it.
    pub(super) fn read(&mut self, from: &mut impl BufRead) -> Result<bool> {
        self.start.clear();
        if from.read_line(&mut self.start)? == 0 {
            return Ok(false);
        }
        let mut length = 0;
        loop {
            self.line.clear();
            from.read_line(&mut self.line)?;
            let Some((name, value)) = self.line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(Error::other)?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(Error::other("a chunked body, which this benchmark does not read"));
            }
        }
        self.body.resize(length, 0);
        from.read_exact(&mut self.body)?;
        Ok(true)
    }
}
