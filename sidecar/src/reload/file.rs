//! The document's file: its content in use, and whether it has changed since.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use dragoman_core::config::Config;
use serde_json::Value;

use crate::document;

/// A document in use and the file it came from.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    in_use: Value,
    /// How the file looked when it was last read.
    read: Option<Stamp>,
    /// How it looked when it was last looked at.
    seen: Option<Stamp>,
}

/// Tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
}

// === impl Source ===

impl Source {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    ///
    /// See [`document::load`].
    pub fn open(path: &Path) -> Result<(Self, Config), String> {
        let mut source = Self { path: path.to_owned(), in_use: Value::Null, read: None, seen: None };
        let (document, config) = source.read().map_err(|errors| match errors.as_slice() {
            [one] if one.starts_with(&path.display().to_string()) => one.clone(),
            _ => document::load(path).err().unwrap_or_default(),
        })?;
        source.take(document);
        Ok((source, config))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The document as it is in use.
    pub(super) fn in_use(&self) -> &Value {
        &self.in_use
    }

    /// `document` is in use from now on.
    pub(super) fn take(&mut self, document: Value) {
        self.in_use = document;
    }

    /// Reads the file as it is now and checks it.
    ///
    /// # Errors
    ///
    /// A sentence for everything that is wrong with it.
    pub(super) fn read(&mut self) -> Result<(Value, Config), Vec<String>> {
        self.read = stamp(&self.path);
        let document = document::value(&self.path).map_err(|why| vec![why])?;
        let config = Config::from_value(&document).map_err(|errors| {
            errors.0.iter().map(|e| format!("{}: {}", e.path, e.message)).collect::<Vec<_>>()
        })?;
        Ok((document, config))
    }

    /// Whether the file is another than the one that was read last. True only from the second look on, so that
    /// nobody is still writing it.
    pub(super) fn has_changed(&mut self) -> bool {
        let now = stamp(&self.path);
        let settled = now == self.seen;
        self.seen = now;
        settled && now.is_some() && now != self.read
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok()?, length: metadata.len() })
}
