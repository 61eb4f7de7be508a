//! `dragoman signals`: the signals of texts, for people and for machines.

use std::fmt::Write as _;
use std::io::BufRead as _;
use std::path::Path;
use std::sync::Arc;

use dragoman_core::config::{Config, EncoderMode};
use dragoman_core::request::{Api, RequestFacts, parse};
use dragoman_core::signals::{FeedbackScores, Heads, SignalModel, SignalRules, Signals};
use serde_json::{Value, json};

use super::args::Args;
use super::embedder::Embedder;
use super::heads;
use super::models::{self, Models};
use crate::client::Client;
use crate::document;
use crate::learn::projection;
use crate::simulate::EncoderFiles;

/// What texts are read with.
struct Reader {
    rules: SignalRules,
    embedder: Embedder,
}

/// What is known of one text.
struct Seen {
    signals: Signals,
    feedback: Option<FeedbackScores>,
}

/// Prints the signals of the texts of `args`.
///
/// # Errors
///
/// A sentence: the configuration, the encoder or the input cannot be used.
pub fn run(args: &Args) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("cannot start: {e}"))?;
    runtime.block_on(async {
        let reader = Reader::open(args).await?;
        for text in &args.texts {
            match text.as_str() {
                "-" => {
                    for line in std::io::stdin().lock().lines() {
                        let line = line.map_err(|e| format!("cannot read the input: {e}"))?;
                        reader.show(&line, args).await?;
                    }
                }
                text => reader.show(text, args).await?,
            }
        }
        Ok(())
    })
}

// === impl Reader ===

impl Reader {
    async fn open(args: &Args) -> Result<Self, String> {
        let mut config = match &args.config {
            Some(path) => document::load(path)?,
            None => defaults()?,
        };
        if let Some(folder) = &args.encoder {
            config.encoder.path = folder.display().to_string();
            config.encoder.mode = EncoderMode::Local;
        }
        let folder = Path::new(&config.encoder.path);
        if args.config.is_none() && args.encoder.is_none() && !folder.join(projection::FILE).exists() {
            return Self::shipped(config.encoder.max_tokens as usize);
        }
        let client = Client::new(&config.tls)?;
        let model = Models::new(client.clone()).of(&config).await?;
        if model.heads == Heads::default() {
            eprintln!(
                "note: {} has no {}: domain, fact_check and feedback stay 0",
                folder.display(),
                heads::FILE
            );
        }
        let dimensions = projection::load(folder)?.embedding_size();
        let rules = SignalRules::new(&config.routing.keywords, &config.routing.embeddings, model)?;
        Ok(Self { rules, embedder: models::embedder(&client, &config.encoder, dimensions)? })
    }

    /// By the encoder within this binary.
    fn shipped(max_tokens: usize) -> Result<Self, String> {
        let files = EncoderFiles::shipped();
        let model = SignalModel { heads: files.heads()?, candidates: vec![] };
        let rules = SignalRules::new(&[], &[], Arc::new(model))?;
        Ok(Self { rules, embedder: Embedder::Local(Arc::new(files.load(max_tokens)?), max_tokens) })
    }

    async fn read(&self, text: &str) -> Result<Seen, String> {
        let (prompt, facts) = request(text);
        let embedded = self.embedder.embed(vec![prompt.clone()]).await?;
        let embedding = embedded.first().map(Vec::as_slice);
        let signals = self.rules.extract(&prompt, &facts, embedding);
        Ok(Seen { signals, feedback: embedding.and_then(|e| self.rules.feedback(&prompt, e)) })
    }

    async fn show(&self, text: &str, args: &Args) -> Result<(), String> {
        let seen = self.read(text).await?;
        let text = args.echo.then_some(text);
        match args.json {
            true => println!("{}", seen.json(text)),
            false => println!("{}", seen.table(text)),
        }
        Ok(())
    }
}

/// What is in force where nobody says anything.
fn defaults() -> Result<Config, String> {
    let model = json!({"endpoint": "http://127.0.0.1:1", "price": {}});
    let document = json!({"models": {"any": model}, "default_model": "any"});
    Config::from_value(&document).map_err(|e| e.to_string())
}

/// The prompt and the facts that a chat with this text would have, as the reply to an answer.
fn request(text: &str) -> (String, RequestFacts) {
    let body = json!({"messages": [{"role": "user", "content": text}]}).to_string();
    match parse(Api::ChatCompletions, body.as_bytes()) {
        Ok(request) => (request.prompt, RequestFacts { replies: true, ..request.facts }),
        // Only white space.
        Err(_) => (String::new(), RequestFacts { replies: true, ..RequestFacts::default() }),
    }
}

// === impl Seen ===

impl Seen {
    fn json(&self, text: Option<&str>) -> Value {
        let s = &self.signals;
        let scores = |feedback: &FeedbackScores| -> Value {
            feedback.iter().map(|(kind, score)| (word(&kind), rounded(score))).collect()
        };
        let mut view = json!({
            "domain": s.domain.iter().map(|(name, score)| (name.to_owned(), rounded(score))).collect::<Value>(),
            "fact_check": rounded(s.fact_check),
            "feedback": {
                "type": s.feedback.kind,
                "score": rounded(s.feedback.score),
                "scores": self.feedback.as_ref().map(scores),
            },
            "language": s.language,
            "language_score": rounded(s.language_score),
            "has_code": s.has_code(),
            "has_math": s.has_math(),
            "is_question": s.is_question(),
            "code": rounded(s.code),
            "math": rounded(s.math),
            "question": rounded(s.question),
            "complexity": {"level": s.complexity_level, "score": rounded(s.complexity)},
            "mode": {"type": s.mode.kind, "score": rounded(s.mode.score)},
            "keywords": s.keywords.iter().map(|hit| {
                json!({"rule": hit.rule, "score": rounded(hit.score), "matched": hit.matched})
            }).collect::<Value>(),
            "embeddings": s.embeddings.iter().map(|hit| {
                json!({"rule": hit.rule, "score": rounded(hit.score), "candidate": hit.candidate,
                       "max": rounded(hit.max), "mean": rounded(hit.mean)})
            }).collect::<Value>(),
            "explanation": s.explain(),
        });
        if let Some(text) = text {
            view["text"] = text.into();
        }
        view
    }

    fn table(&self, text: Option<&str>) -> String {
        let s = &self.signals;
        let yes = |on: bool| if on { "yes" } else { "no" };
        let mut domains: Vec<_> = s.domain.iter().filter(|(_, score)| *score >= 0.05).collect();
        domains.sort_by(|a, b| b.1.total_cmp(&a.1));
        let domains: Vec<String> = domains.iter().map(|(name, score)| format!("{name} {score:.2}")).collect();
        let rows = [
            ("domain", if domains.is_empty() { "-".to_owned() } else { domains.join(", ") }),
            ("fact_check", format!("{:.2}", s.fact_check)),
            ("feedback", format!("{} {:.2}", word(&s.feedback.kind), s.feedback.score)),
            ("mode", format!("{} {:.2}", word(&s.mode.kind), s.mode.score)),
            ("complexity", format!("{} {:.2}", word(&s.complexity_level), s.complexity)),
            ("language", format!("{} {:.2}", word(&s.language), s.language_score)),
            ("code", format!("{} {:.2}", yes(s.has_code()), s.code)),
            ("math", format!("{} {:.2}", yes(s.has_math()), s.math)),
            ("question", format!("{} {:.2}", yes(s.is_question()), s.question)),
        ];
        let mut table = text.map_or_else(String::new, |text| format!("{text}\n"));
        for (name, value) in rows {
            // Writing into a text cannot fail.
            let _ = writeln!(table, "  {name:<11} {value}");
        }
        for sentence in s.explain() {
            let _ = writeln!(table, "  · {sentence}");
        }
        table
    }
}

/// To four digits: more say nothing.
fn rounded(score: f32) -> Value {
    ((f64::from(score) * 1e4).round() / 1e4).into()
}

/// A name as records have it.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
