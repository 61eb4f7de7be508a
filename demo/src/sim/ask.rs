//! Reads the four request shapes into the one thing the simulator answers.

use serde_json::Value;

/// Which API a request speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Chat,
    Completions,
    Responses,
    Messages,
}

/// A request, whatever its dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) model: String,
    /// The last user turn.
    pub(super) prompt: String,
    pub(super) stream: bool,
    /// Chat and completions: whether the stream ends with a usage chunk.
    pub(super) include_usage: bool,
    pub(super) max_tokens: Option<usize>,
    /// All the text of the request, at four characters a token.
    pub(super) input_tokens: u64,
}

// === impl Dialect ===

impl Dialect {
    pub(super) const ALL: [Self; 4] = [Self::Chat, Self::Completions, Self::Responses, Self::Messages];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
        }
    }

    /// Reads a body; the error is a sentence for the client.
    pub(super) fn read(self, body: &Value) -> Result<Ask, String> {
        let model = body["model"].as_str().ok_or("you must provide a `model`, a string")?;
        let (prompt, characters) = match self {
            Self::Chat => turns(&body["messages"], "messages")?,
            Self::Completions => {
                let prompt = text(&body["prompt"]).ok_or("`prompt` must be text")?;
                let characters = prompt.chars().count();
                (prompt, characters)
            }
            Self::Responses => match &body["input"] {
                Value::String(prompt) => (prompt.clone(), prompt.chars().count()),
                input => turns(input, "input")?,
            },
            Self::Messages => turns(&body["messages"], "messages")?,
        };
        let aside: usize = [&body["system"], &body["instructions"]]
            .into_iter()
            .filter_map(text)
            .map(|aside| aside.chars().count())
            .sum();
        let limit = ["max_tokens", "max_completion_tokens", "max_output_tokens"]
            .into_iter()
            .find_map(|name| body[name].as_u64());
        Ok(Ask {
            model: model.to_owned(),
            prompt,
            stream: body["stream"].as_bool().unwrap_or(false),
            include_usage: body["stream_options"]["include_usage"].as_bool().unwrap_or(false),
            max_tokens: limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            input_tokens: (characters + aside).div_ceil(4).max(1) as u64,
        })
    }
}

/// The text of a string, or of a list of strings or of parts with a `text`.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part.as_str().or_else(|| part["text"].as_str()));
            Some(texts.collect::<Vec<_>>().join("\n"))
        }
        _ => None,
    }
}

/// The last user turn of a conversation, and the characters of all its turns.
fn turns(list: &Value, name: &str) -> Result<(String, usize), String> {
    let turns = list.as_array().ok_or_else(|| format!("`{name}` must be a list of turns"))?;
    let mut characters = 0;
    let mut prompt = None;
    for turn in turns {
        let Some(text) = text(&turn["content"]) else { continue };
        characters += text.chars().count();
        if turn["role"] == "user" {
            prompt = Some(text);
        }
    }
    let prompt = prompt.ok_or_else(|| format!("`{name}` holds no turn of the role `user` with text"))?;
    Ok((prompt, characters))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_dialect_yields_the_last_user_turn() {
        let talk = json!([
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "answer"},
            {"role": "user", "content": [{"type": "text", "text": "last"}]},
        ]);
        let bodies = [
            json!({"model": "m", "messages": talk}),
            json!({"model": "m", "prompt": "last"}),
            json!({"model": "m", "input": talk}),
            json!({"model": "m", "system": "be kind", "messages": talk, "max_tokens": 9}),
        ];
        for (dialect, body) in Dialect::ALL.into_iter().zip(bodies) {
            assert_eq!(dialect.read(&body).unwrap().prompt, "last", "{dialect:?}");
        }
    }

    #[test]
    fn tokens_count_every_turn_and_the_instructions() {
        let body = json!({"model": "m", "input": "12345678", "instructions": "1234"});
        assert_eq!(Dialect::Responses.read(&body).unwrap().input_tokens, 3);
    }

    #[test]
    fn a_body_without_model_or_prompt_is_refused_in_a_sentence() {
        let cases = [
            (json!({"messages": []}), "model"),
            (json!({"model": "m", "messages": "x"}), "list"),
            (json!({"model": "m", "messages": [{"role": "system", "content": "x"}]}), "user"),
        ];
        for (body, says) in cases {
            let error = Dialect::Chat.read(&body).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
