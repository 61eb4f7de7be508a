//! The simulator's configuration: what each model costs, how well it answers and how it misbehaves.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::SimError;

/// The whole of `sim.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimConfig {
    /// Seeds every outcome: the same seed, model, prompt and repetition give the same answer.
    #[serde(default)]
    pub seed: u64,
    /// The prompt file that tells categories, relative to the configuration file.
    #[serde(default)]
    pub prompts: Option<PathBuf>,
    /// The models, each on its own port.
    pub models: Vec<ModelConfig>,
}

/// One simulated model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// What `model` in the body must be; `*` accepts any name.
    pub name: String,
    /// Where it listens; port 0, the default, picks a free one.
    #[serde(default = "any_port")]
    pub listen: SocketAddr,
    /// Dollars per million tokens.
    #[serde(default)]
    pub price: Price,
    /// How long it takes.
    #[serde(default)]
    pub latency_ms: Latency,
    /// The probability of a good answer by category; `default` (0.5 if absent) for the rest.
    #[serde(default)]
    pub skill: BTreeMap<String, f64>,
    /// How long its answers are.
    #[serde(default)]
    pub output_tokens: OutputTokens,
    /// The share of requests answered 503.
    #[serde(default)]
    pub error_rate: f64,
    /// The share of requests answered 429.
    #[serde(default)]
    pub rate_limit_rate: f64,
    /// The share of answers that stop half-way with finish reason `length`.
    #[serde(default)]
    pub truncation_rate: f64,
    /// The share of streams cut half-way, without their closing events.
    #[serde(default)]
    pub break_stream_rate: f64,
    /// How a cut stream ends.
    #[serde(default)]
    pub break_stream: BreakStream,
    /// A header every request must carry, `name: value`; else 401.
    #[serde(default)]
    pub api_key_header: Option<String>,
}

/// Dollars per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// For tokens read.
    pub input: f64,
    /// For tokens written.
    pub output: f64,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// Until the first token.
    pub first: f64,
    /// Between one token and the next.
    pub per_token: f64,
}

/// The distribution of an answer's length.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputTokens {
    /// The mean, in tokens.
    pub mean: f64,
    /// The standard deviation as a share of the mean.
    #[serde(default)]
    pub spread: f64,
}

/// How a cut stream ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BreakStream {
    /// The body ends properly, only too early.
    #[default]
    End,
    /// The connection breaks in the middle of the body.
    Reset,
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

// === impl Price ===

impl Price {
    /// The dollars that a request of so many tokens costs.
    pub fn dollars(&self, input_tokens: u64, output_tokens: u64) -> f64 {
        (self.input * input_tokens as f64 + self.output * output_tokens as f64) / 1e6
    }
}

// === impl OutputTokens ===

impl Default for OutputTokens {
    fn default() -> Self {
        Self { mean: 40.0, spread: 0.3 }
    }
}

// === impl SimConfig ===

impl SimConfig {
    /// Reads YAML and checks it. Relative paths stay relative to the working directory.
    ///
    /// # Errors
    /// [`SimError::Config`], with every mistake found.
    pub fn from_yaml(yaml: &str) -> Result<Self, SimError> {
        let config: Self =
            serde_yaml_ng::from_str(yaml).map_err(|error| SimError::Config(vec![error.to_string()]))?;
        config.check()?;
        Ok(config)
    }

    /// Reads a file and checks it; `prompts` becomes relative to the file's folder.
    ///
    /// # Errors
    /// [`SimError::Unreadable`] or [`SimError::Config`].
    pub fn load(path: &Path) -> Result<Self, SimError> {
        let yaml =
            std::fs::read_to_string(path).map_err(|error| SimError::Unreadable(path.to_owned(), error))?;
        let mut config = Self::from_yaml(&yaml)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        config.prompts = config.prompts.map(|prompts| folder.join(prompts));
        Ok(config)
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`SimError::Config`], with every mistake found.
    pub fn check(&self) -> Result<(), SimError> {
        let mut mistakes = Vec::new();
        if self.models.is_empty() {
            mistakes.push("models: is empty; list at least one model".to_owned());
        }
        for (index, model) in self.models.iter().enumerate() {
            mistakes.extend(model.mistakes().into_iter().map(|mistake| format!("models[{index}].{mistake}")));
            if self.models[..index].iter().any(|earlier| earlier.name == model.name) {
                mistakes.push(format!("models[{index}].name: `{}` is taken; names must differ", model.name));
            }
        }
        if mistakes.is_empty() { Ok(()) } else { Err(SimError::Config(mistakes)) }
    }
}

// === impl ModelConfig ===

impl ModelConfig {
    /// A free, instant model on any free port that gives good answers half the time.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            listen: any_port(),
            price: Price::default(),
            latency_ms: Latency::default(),
            skill: BTreeMap::new(),
            output_tokens: OutputTokens::default(),
            error_rate: 0.0,
            rate_limit_rate: 0.0,
            truncation_rate: 0.0,
            break_stream_rate: 0.0,
            break_stream: BreakStream::default(),
            api_key_header: None,
        }
    }

    /// The probability of a good answer in a category.
    pub fn skill_in(&self, category: &str) -> f64 {
        self.skill.get(category).or_else(|| self.skill.get("default")).copied().unwrap_or(0.5)
    }

    /// Every mistake in the values, each as `path: sentence`.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let shares = [
            ("error_rate", self.error_rate),
            ("rate_limit_rate", self.rate_limit_rate),
            ("error_rate + rate_limit_rate", self.error_rate + self.rate_limit_rate),
            ("truncation_rate", self.truncation_rate),
            ("break_stream_rate", self.break_stream_rate),
        ];
        let shares = shares.map(|(path, share)| (path.to_owned(), share));
        let skills = self.skill.iter().map(|(category, skill)| (format!("skill.{category}"), *skill));
        for (path, share) in shares.into_iter().chain(skills) {
            if !(0.0..=1.0).contains(&share) {
                mistakes.push(format!("{path}: must be a share between 0 and 1, is {share}"));
            }
        }
        for (path, value, most) in [
            ("price.input", self.price.input, 1e9),
            ("price.output", self.price.output, 1e9),
            ("latency_ms.first", self.latency_ms.first, 3.6e6),
            ("latency_ms.per_token", self.latency_ms.per_token, 3.6e6),
            ("output_tokens.mean", self.output_tokens.mean, 1e6),
            ("output_tokens.spread", self.output_tokens.spread, 10.0),
        ] {
            if !(0.0..=most).contains(&value) {
                mistakes.push(format!("{path}: must be between 0 and {most}, is {value}"));
            }
        }
        if self.name.is_empty() || self.name.contains(']') {
            mistakes
                .push("name: must not be empty nor contain `]`, which ends an answer's marker".to_owned());
        }
        if self.api_key_header.is_some() && self.api_key().is_none() {
            mistakes
                .push("api_key_header: must be `name: value`, such as `authorization: Bearer x`".to_owned());
        }
        mistakes
    }

    /// The header and value that a request must carry.
    pub(super) fn api_key(&self) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = self.api_key_header.as_deref()?.split_once(':')?;
        Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_configuration_is_valid() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sim.yaml");
        let config = SimConfig::load(&path).unwrap();
        let names: Vec<_> = config.models.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["small", "coder", "large"]);
        assert!(config.prompts.unwrap().exists(), "prompts are found beside the configuration");
    }

    #[test]
    fn all_mistakes_are_reported_together_with_their_paths() {
        let yaml = "models:\n- {name: a, error_rate: 2, api_key_header: x}\n- {name: a, skill: {code: -1}}";
        let error = SimConfig::from_yaml(yaml).unwrap_err().to_string();
        for path in
            ["models[0].error_rate:", "models[0].api_key_header:", "models[1].skill.code:", "models[1].name:"]
        {
            assert!(error.contains(path), "{path} is missing in: {error}");
        }
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let error = SimConfig::from_yaml("models: [{name: a, eror_rate: 0.1}]").unwrap_err().to_string();
        assert!(error.contains("eror_rate"), "{error}");
    }

    #[test]
    fn an_unlisted_category_has_the_default_skill() {
        let mut model = ModelConfig::named("a");
        assert_eq!(model.skill_in("code"), 0.5);
        model.skill = [("default".to_owned(), 0.1), ("math".to_owned(), 0.9)].into();
        assert_eq!((model.skill_in("code"), model.skill_in("math")), (0.1, 0.9));
    }
}
