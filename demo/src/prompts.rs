//! The demo's prompts and the one place that knows their categories. The router sees only the text.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// One line of `prompts.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// `code`, `math`, `chat` or `facts` in the shipped file; any word in another.
    pub category: String,
    /// The text a user sends.
    pub prompt: String,
}

/// The prompts of a file, in file order, with the category of each.
#[derive(Debug, Clone, Default)]
pub struct Prompts {
    list: Vec<Prompt>,
    category_of: HashMap<String, String>,
}

/// Why a prompt file was refused.
#[derive(Debug)]
pub enum PromptsError {
    /// The file could not be read.
    Unreadable(PathBuf, std::io::Error),
    /// A line (counted from 1) is not `{"category": …, "prompt": …}`.
    Line(usize, String),
}

// === impl Prompts ===

impl Prompts {
    /// Reads a file of JSON lines.
    ///
    /// # Errors
    /// [`PromptsError`], if the file cannot be read or a line is malformed, empty or a repetition.
    pub fn load(path: &Path) -> Result<Self, PromptsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| PromptsError::Unreadable(path.to_owned(), error))?;
        Self::parse(&text)
    }

    /// Reads JSON lines; blank lines are skipped.
    ///
    /// # Errors
    /// [`PromptsError::Line`], if a line is malformed, empty or a repetition.
    pub fn parse(text: &str) -> Result<Self, PromptsError> {
        let mut prompts = Self::default();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let refuse = |why: String| PromptsError::Line(index + 1, why);
            let prompt: Prompt = serde_json::from_str(line).map_err(|error| refuse(error.to_string()))?;
            let key = prompt.prompt.trim().to_owned();
            if key.is_empty() || prompt.category.trim().is_empty() {
                return Err(refuse("category and prompt must not be empty".into()));
            }
            if prompts.category_of.insert(key, prompt.category.clone()).is_some() {
                return Err(refuse("this prompt occurs twice; a text can have one category only".into()));
            }
            prompts.list.push(prompt);
        }
        Ok(prompts)
    }

    /// The category of a prompt whose text is in the file, surrounding white space aside.
    pub fn categorise(&self, prompt: &str) -> Option<&str> {
        self.category_of.get(prompt.trim()).map(String::as_str)
    }

    /// Every prompt, in file order.
    pub fn all(&self) -> &[Prompt] {
        &self.list
    }
}

// === impl PromptsError ===

impl fmt::Display for PromptsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => {
                write!(f, "cannot read the prompt file {}: {error}; check the path", path.display())
            }
            Self::Line(line, why) => write!(f, "the prompt file's line {line} was refused: {why}"),
        }
    }
}

impl std::error::Error for PromptsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_text_has_its_category_and_any_other_none() {
        let prompts = Prompts::parse("{\"category\":\"math\",\"prompt\":\"2+2?\"}\n\n").unwrap();
        assert_eq!(prompts.categorise(" 2+2?\n"), Some("math"));
        assert_eq!(prompts.categorise("2+3?"), None);
    }

    #[test]
    fn a_bad_line_is_named_by_its_number() {
        let twice = "{\"category\":\"math\",\"prompt\":\"a\"}\n{\"category\":\"code\",\"prompt\":\"a \"}";
        for (text, says) in
            [("{}", "line 1"), (twice, "line 2"), ("\n{\"category\":\"\",\"prompt\":\"x\"}", "line 2")]
        {
            let error = Prompts::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
