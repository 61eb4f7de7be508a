//! What the workers of one Envoy share: shared data, statistics, the clock.

use std::collections::BTreeMap;

use super::clock::Clock;

/// Kinds of metrics, numbered as in the ABI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A metric with everything that was recorded of it.
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Value of a counter or gauge; of a histogram the last one recorded.
    pub(super) value: u64,
    /// Number of recordings.
    pub(super) count: u64,
}

/// One Envoy process.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) metrics: Vec<Metric>,
    data: BTreeMap<String, (Vec<u8>, u32)>,
    next_cas: u32,
    /// What another worker writes in the very moment before this one's next write.
    pub(super) racing: Option<(String, Vec<u8>)>,
}

impl Shared {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, metrics: Vec::new(), data: BTreeMap::new(), next_cas: 1, racing: None }
    }

    pub(super) fn get(&self, key: &str) -> Option<(&[u8], u32)> {
        self.data.get(key).map(|(value, cas)| (value.as_slice(), *cas))
    }

    /// As Envoy: 0 sets in any case, and a key that is not there is set in any case too.
    #[must_use]
    pub(super) fn set(&mut self, key: &str, value: Vec<u8>, cas: u32) -> bool {
        if let Some((key, value)) = self.racing.take() {
            self.put(&key, value);
        }
        let fits = cas == 0 || self.data.get(key).is_none_or(|(_, current)| *current == cas);
        if fits {
            self.put(key, value);
        }
        fits
    }

    fn put(&mut self, key: &str, value: Vec<u8>) {
        self.data.insert(key.to_owned(), (value, self.next_cas));
        self.next_cas += 1;
    }

    /// The id of the metric of this name, which is made if there is none.
    pub(super) fn define(&mut self, kind: Kind, name: &str) -> Result<usize, String> {
        match self.metrics.iter().position(|m| m.name == name) {
            Some(id) if self.metrics[id].kind == kind => Ok(id),
            Some(id) => Err(format!("{name} is a {:?} already, now a {kind:?}", self.metrics[id].kind)),
            None => {
                self.metrics.push(Metric { name: name.to_owned(), kind, value: 0, count: 0 });
                Ok(self.metrics.len() - 1)
            }
        }
    }
}
