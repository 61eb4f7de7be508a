//! Models: what may answer, where it lives and what it costs.

use serde::{Deserialize, Serialize};

use super::section::Section;
use crate::request::Api;

/// A model as the filter sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Its name in `dragoman.yaml`, also the name of its Envoy cluster.
    pub name: String,
    /// What the body's `model` becomes.
    pub upstream_model: String,
    /// The request formats it speaks.
    pub apis: Vec<Api>,
    /// What it costs.
    pub price: Price,
}

/// Dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// Dollars per million prompt tokens.
    pub input: f64,
    /// Dollars per million completion tokens.
    pub output: f64,
}

impl Price {
    /// Dollars of a request with these token counts.
    pub fn dollars(&self, prompt_tokens: f64, completion_tokens: f64) -> f64 {
        (self.input * prompt_tokens + self.output * completion_tokens) / 1e6
    }
}

/// Where a model lives: only the rendered Envoy configuration needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The header that carries the key, if one is needed.
    pub api_key: Option<ApiKey>,
}

/// Plain HTTP or TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http://`
    Http,
    /// `https://`
    Https,
}

/// An API key: read by Envoy from its environment, so that no file holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Header name, lower case.
    pub header: String,
    /// What stands before the key, such as `Bearer `.
    pub prefix: String,
    /// Name of the environment variable of the Envoy process.
    pub env: String,
}

// === impl Endpoint ===

impl Endpoint {
    /// What a request's `:authority` names it by: the host, and the port where the scheme does not say it.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.scheme, self.port) {
            (Scheme::Http, 80) | (Scheme::Https, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// Its address without a path, such as `https://api.openai.com`.
    pub fn url(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        format!("{scheme}://{}", self.authority())
    }
}

const APIS: [(&str, Api); 4] = [
    ("chat_completions", Api::ChatCompletions),
    ("completions", Api::Completions),
    ("responses", Api::Responses),
    ("messages", Api::Messages),
];

/// Highest price anybody may configure, dollars per million tokens: a guard against a price per token.
const MAX_PRICE: f64 = 100_000.0;

pub(super) fn read_models(root: &Section) -> (Vec<Model>, Vec<Endpoint>) {
    let entries = root.named("models");
    if entries.is_empty() {
        root.error("models", "at least one model must be named");
    }
    entries.iter().map(|(name, section)| read_model(root, name, section)).unzip()
}

fn read_model(root: &Section, name: &str, section: &Section) -> (Model, Endpoint) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        root.error("models", format!("the name \"{name}\" may only have letters, digits, '-', '_' and '.'"));
    }
    let price = section.section("price");
    let model = Model {
        name: name.to_owned(),
        upstream_model: section.text_or("model", name),
        apis: read_apis(section),
        price: Price {
            input: price.number("input", 0.0..=MAX_PRICE, 0.0),
            output: price.number("output", 0.0..=MAX_PRICE, 0.0),
        },
    };
    if section.get("price").is_none() {
        section.error("price", "is missing: dollars per million tokens, as {input: 0.15, output: 0.60}");
    }
    price.finish();
    let endpoint = read_endpoint(section, "endpoint", "the model's address, such as https://api.openai.com");
    section.finish();
    (model, endpoint)
}

fn read_apis(section: &Section) -> Vec<Api> {
    let names = section.texts("apis");
    if names.is_empty() {
        // What an OpenAI-compatible server speaks; Anthropic's format must be asked for.
        return vec![Api::ChatCompletions, Api::Completions, Api::Responses];
    }
    let mut apis = Vec::new();
    for name in names {
        match APIS.iter().find(|(n, _)| *n == name) {
            Some((_, api)) => apis.push(*api),
            None => {
                let known: Vec<&str> = APIS.iter().map(|(n, _)| *n).collect();
                section.error("apis", format!("must be among {}, not \"{name}\"", known.join(", ")));
            }
        }
    }
    apis
}

/// The address at `key`, which must be there because it is `what`, and the `api_key` beside it.
pub(super) fn read_endpoint(section: &Section, key: &'static str, what: &str) -> Endpoint {
    let url = section.required(key, what);
    let (scheme, host, port) = parse_endpoint(&url).unwrap_or_else(|why| {
        if !url.is_empty() {
            section.error(key, why);
        }
        (Scheme::Http, String::new(), 0)
    });
    Endpoint { scheme, host, port, api_key: read_api_key(section) }
}

fn read_api_key(section: &Section) -> Option<ApiKey> {
    section.get("api_key")?;
    let key = section.section("api_key");
    let env = key.required("env", "the environment variable of Envoy that holds the key");
    if !env.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        key.error("env", format!("must be the name of an environment variable, not \"{env}\""));
    }
    let header = key.text_or("header", "authorization").to_ascii_lowercase();
    let default_prefix = if header == "authorization" { "Bearer " } else { "" };
    // The one text that may be empty: a key that stands alone.
    let prefix = match key.get("prefix") {
        Some(value) if value.as_str() == Some("") => String::new(),
        _ => key.text_or("prefix", default_prefix),
    };
    let api_key = ApiKey { prefix, header, env };
    key.finish();
    Some(api_key)
}

/// `http[s]://host[:port]`; an IPv6 host stands in brackets.
fn parse_endpoint(url: &str) -> Result<(Scheme, String, u16), String> {
    let (scheme, default_port, rest) = match url.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, 80, rest),
        Some(("https", rest)) => (Scheme::Https, 443, rest),
        _ => return Err(format!("must start with http:// or https://, not \"{url}\"")),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '@']) {
        return Err(format!(
            "must be scheme, host and port only (the request keeps its path), not \"{url}\""
        ));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => match port.parse() {
            Ok(port) if port > 0 => (host, port),
            _ => return Err(format!("has the port \"{port}\", which is not between 1 and 65535")),
        },
        _ => (authority, default_port),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(format!("has no host: \"{url}\""));
    }
    Ok((scheme, host.to_owned(), port))
}
