//! In a model's cluster: the second attempt of an escalated request reaches another upstream than the one whose model
//! name stands in its body. Only that attempt is read and renamed; all others pass untouched.
//!
//! A few lines of Lua and not the filter: Envoy reads and hashes a `.wasm` anew for each cluster, 20 ms each when it starts.

use serde_json::{Value, json};

use super::typed;

/// The filter before the request knows where in the body the name lies, and puts it into `x-vsr-model-at`.
const RENAME: &str = r#"
function envoy_on_request(request)
  local headers = request:headers()
  local attempts = tonumber(headers:get("x-envoy-attempt-count"))
  if attempts == nil or attempts < 2 or headers:get("x-vsr-fallback") == nil then
    return
  end
  local from, to = string.match(headers:get("x-vsr-model-at") or "", "^(%d+)-(%d+)$")
  if from == nil then
    return
  end
  headers:remove("x-vsr-fallback")
  headers:remove("x-vsr-model-at")
  local body = request:body()
  if body == nil then
    return
  end
  local text = body:getBytes(0, body:length())
  local length = body:setBytes(string.sub(text, 1, from) .. MODEL .. string.sub(text, to + 1))
  headers:replace("content-length", length)
end
"#;

/// For a cluster whose upstream calls its model so.
pub(super) fn filter(upstream_model: &str) -> Value {
    let script = format!("MODEL = {}{RENAME}", quoted(&Value::from(upstream_model).to_string()));
    json!({
        "name": "dragoman.rename",
        "typed_config": typed(
            "envoy.extensions.filters.http.lua.v3.Lua",
            json!({"default_source_code": {"inline_string": script}}),
        ),
    })
}

/// A string of Lua, whatever is in the text.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./: ".contains(&byte);
    let written = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("\\{byte:03}") };
    format!("\"{}\"", text.bytes().map(written).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_ends_the_string_of_the_script() {
        assert_eq!(quoted("gpt-4o mini"), r#""gpt-4o mini""#);
        assert_eq!(quoted("a\"]]\n\\ü"), r#""a\034\093\093\010\092\195\188""#);
    }
}
