//! The outbox of replay records: bounded, in batches, never in a request's way.

use std::collections::VecDeque;

use dragoman_core::config::ReplayConfig;

/// Largest body of one call, bytes; well below what the sidecar takes.
const MAX_CALL: usize = 4 << 20;

/// Largest outbox, bytes: records that carry prompts (`privacy.store_prompts`) can be long, and the VM's heap is
/// every stream's.
const MAX_WAITING: usize = 32 << 20;

/// Records waiting for the sidecar, each a line of JSON. One call is under way at a time; what it carries stays
/// here until the sidecar acknowledges it.
pub(crate) struct Outbox {
    config: ReplayConfig,
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    under_way: Option<(u32, usize)>,
}

impl Outbox {
    pub(crate) fn new(config: ReplayConfig) -> Self {
        Self { config, waiting: VecDeque::new(), bytes: 0, under_way: None }
    }

    /// Takes a record; false if the outbox is full and the record is dropped.
    pub(crate) fn push(&mut self, line: Vec<u8>) -> bool {
        let room = self.waiting.len() < self.config.queue as usize && self.bytes + line.len() <= MAX_WAITING;
        if room {
            self.bytes += line.len();
            self.waiting.push_back(line);
        }
        room
    }

    /// The next batch as newline-delimited JSON with its number of records; `None` if there is nothing to send
    /// or a call is under way.
    pub(crate) fn batch(&self) -> Option<(usize, Vec<u8>)> {
        if self.under_way.is_some() || self.waiting.is_empty() {
            return None;
        }
        let (mut count, mut body) = (0, Vec::new());
        for line in self.waiting.iter().take(self.config.batch as usize) {
            if count > 0 && body.len() + line.len() > MAX_CALL {
                break;
            }
            body.extend_from_slice(line);
            body.push(b'\n');
            count += 1;
        }
        Some((count, body))
    }

    /// A batch of `count` records is under way as call `token`.
    pub(crate) fn sent(&mut self, token: u32, count: usize) {
        self.under_way = Some((token, count));
    }

    /// The call ended. Acknowledged records are gone, those refused for good too; others are sent again. Returns
    /// how many left the outbox.
    pub(crate) fn reply(&mut self, token: u32, settled: bool) -> usize {
        match self.under_way {
            Some((current, count)) if current == token => {
                self.under_way = None;
                let gone = if settled { count.min(self.waiting.len()) } else { 0 };
                let sizes = self.waiting.drain(..gone).map(|line| line.len());
                self.bytes = self.bytes.saturating_sub(sizes.sum());
                gone
            }
            _ => 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}
