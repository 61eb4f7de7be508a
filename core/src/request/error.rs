//! Why a request could not be read.

use std::fmt;

use serde_json::error::Category;

/// Why a body gave no prompt. The messages never repeat text of the body: they end up in logs, and
/// prompts must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The body is not JSON (or not UTF-8).
    NotJson {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault in bytes, from 1; 0 when the line itself could not be begun.
        column: usize,
        /// What is wrong there.
        what: String,
    },
    /// A known field holds something of a wrong type, or is there twice.
    WrongType {
        /// The field, such as `messages[].content`, or a place, such as `line 1 column 9`.
        path: String,
        /// What should be there.
        expected: String,
    },
    /// No user turn holds text.
    NoPrompt,
}

// === impl RequestError ===

impl RequestError {
    /// A short label for metrics: `not_json`, `bad_type` or `no_prompt`.
    pub fn reason(&self) -> &'static str {
        match self {
            RequestError::NotJson { .. } => "not_json",
            RequestError::WrongType { .. } => "bad_type",
            RequestError::NoPrompt => "no_prompt",
        }
    }

    pub(super) fn wrong_type(path: impl Into<String>, expected: impl Into<String>) -> Self {
        RequestError::WrongType { path: path.into(), expected: expected.into() }
    }

    /// serde's messages quote the offending value ("invalid type: string \"…\", expected a boolean"), so
    /// only what follows the last "expected " of a type error is kept.
    pub(super) fn from_serde(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
        match error.classify() {
            Category::Data => {
                let expected = match what.rsplit_once("expected ") {
                    Some((_, expected)) => expected,
                    None if what.starts_with("duplicate field") => "each field once",
                    None => "another type",
                };
                Self::wrong_type(format!("line {line} column {column}"), expected)
            }
            Category::Syntax | Category::Eof | Category::Io => {
                RequestError::NotJson { line, column, what: what.to_owned() }
            }
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::NotJson { line, column, what } => {
                write!(f, "the body is not JSON: {what} at line {line} column {column}")
            }
            RequestError::WrongType { path, expected } => {
                write!(f, "the body has a wrong type at {path}: expected {expected}")
            }
            RequestError::NoPrompt => f.write_str("the body holds no user turn with text"),
        }
    }
}

impl std::error::Error for RequestError {}
