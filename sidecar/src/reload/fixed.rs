//! What a running system cannot take over, and what to do about it.

use dragoman_core::config::{Config, Endpoint, Model, Routing};

/// A setting that only a restart changes.
struct Fixed {
    path: &'static str,
    same: fn(&Config, &Config) -> bool,
    keep: fn(&mut Config, &Config),
    restart: &'static str,
}

const SIDECAR: &str = "restart the sidecar";
const BOTH: &str = "restart the sidecar, render Envoy's configuration again and restart Envoy";

macro_rules! fixed {
    ($first:ident $(. $more:ident)* : $restart:expr) => {
        Fixed {
            path: concat!(stringify!($first) $(, ".", stringify!($more))*),
            same: |a, b| a.$first$(.$more)* == b.$first$(.$more)*,
            keep: |new, running| new.$first$(.$more)*.clone_from(&running.$first$(.$more)*),
            restart: $restart,
        }
    };
}

const FIXED: [Fixed; 19] = [
    fixed!(listen.gateway: BOTH),
    fixed!(listen.push: BOTH),
    fixed!(listen.admin: BOTH),
    fixed!(listen.sidecar: BOTH),
    fixed!(data_dir: SIDECAR),
    fixed!(encoder.path: SIDECAR),
    fixed!(encoder.mode: BOTH),
    fixed!(encoder.max_tokens: BOTH),
    fixed!(encoder.cache: BOTH),
    fixed!(encoder.deadline_ms: BOTH),
    fixed!(encoder.threads: SIDECAR),
    fixed!(requests.max_body_bytes: BOTH),
    fixed!(requests.session_headers: BOTH),
    fixed!(replay: BOTH),
    fixed!(escalation.enabled: BOTH),
    fixed!(envoy: BOTH),
    fixed!(tls: SIDECAR),
    fixed!(access.token: BOTH),
    fixed!(access.feedback_token: SIDECAR),
];

/// Puts the running values of fixed settings into `new`, each with a sentence that says what it waits for.
///
/// # Errors
///
/// Sentences, where `new` cannot work with the running Envoy.
pub(super) fn keep(new: &mut Config, running: &Config) -> Result<Vec<String>, Vec<String>> {
    let mut waiting: Vec<String> = Vec::new();
    for Fixed { path, same, keep, restart } in FIXED {
        if !same(new, running) {
            keep(new, running);
            waiting.push(format!("{path} changed: {restart}"));
        }
    }
    let mut errors = Vec::new();
    match keep_default(&mut new.routing, &running.routing) {
        Ok(told) => waiting.extend(told),
        Err(why) => errors.push(why),
    }
    if running.envoy.live.is_none() {
        errors.extend(unreachable(new, running));
    }
    waiting.extend(new_keys(new, running));
    if errors.is_empty() { Ok(waiting) } else { Err(errors) }
}

/// Envoy's listener sends undecided requests to the default model by its name.
fn keep_default(new: &mut Routing, running: &Routing) -> Result<Option<String>, String> {
    let name = |routing: &Routing| routing.models.get(routing.default_model).map(|m| m.name.clone());
    let (was, wanted) = (name(running).unwrap_or_default(), name(new).unwrap_or_default());
    if was == wanted {
        return Ok(None);
    }
    new.default_model = new.models.iter().position(|m| m.name == was).ok_or_else(|| {
        format!(
            "default_model: \"{was}\" must stay among the models while Envoy runs, because its listener sends \
             undecided requests there; keep it, or {BOTH}"
        )
    })?;
    Ok(Some(format!("default_model changed: {BOTH}")))
}

/// Models that an Envoy with a fixed list of clusters cannot reach.
fn unreachable(new: &Config, running: &Config) -> Vec<String> {
    let homes = |config: &Config| -> Vec<(String, String, Endpoint)> {
        let home = |(m, e): (&Model, &Endpoint)| (m.name.clone(), m.upstream_model.clone(), e.clone());
        config.routing.models.iter().zip(&config.upstreams).map(home).collect()
    };
    let known = homes(running);
    let unknown = homes(new).into_iter().filter(|home| !known.contains(home));
    unknown
        .map(|(name, ..)| {
            format!(
                "models.{name}: is new or has moved, and Envoy has a fixed list of clusters: set envoy.live so that \
                 models may come and go, or {BOTH}"
            )
        })
        .collect()
}

/// Envoy reads its environment once, when it starts.
fn new_keys(new: &Config, running: &Config) -> Vec<String> {
    let keys = |config: &Config| -> Vec<String> {
        config.upstreams.iter().filter_map(|e| e.api_key.as_ref()).map(|key| key.env.clone()).collect()
    };
    let known = keys(running);
    let mut unknown: Vec<String> = keys(new).into_iter().filter(|env| !known.contains(env)).collect();
    unknown.sort();
    unknown.dedup();
    let told =
        |env| format!("api_key.env {env} is new: restart Envoy if it was not started with that variable");
    unknown.into_iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(change: impl FnOnce(&mut serde_json::Value)) -> Config {
        let mut document = json!({
            "models": {"a": {"endpoint": "http://h", "price": {}}, "b": {"endpoint": "http://i", "price": {}}},
            "default_model": "a", "envoy": {"live": "/live"},
        });
        change(&mut document);
        Config::from_value(&document).unwrap()
    }

    #[test]
    fn each_fixed_setting_keeps_its_running_value_and_is_named() {
        let running = config(|_| ());
        let mut new = config(|d| {
            d["listen"] = json!({"push": "127.0.0.1:1"});
            d["requests"] = json!({"max_body_bytes": 4096});
            d["envoy"]["wasm"] = json!("other.wasm");
            d["policy"] = json!({"alpha": 0.5});
        });
        let waiting = keep(&mut new, &running).unwrap();
        let paths: Vec<&str> = waiting.iter().map(|s| s.split(' ').next().unwrap()).collect();
        assert_eq!(paths, ["listen.push", "requests.max_body_bytes", "envoy"]);
        assert_eq!(new, config(|d| d["policy"] = json!({"alpha": 0.5})));
    }

    #[test]
    fn the_default_model_stays_where_it_is_wherever_it_stands() {
        let running = config(|_| ());
        let models = |d: &mut serde_json::Value| {
            d["models"] = json!({"c": {"endpoint": "http://j", "price": {}}, "a": {"endpoint": "http://h", "price": {}}});
            d["default_model"] = json!("c");
        };
        let mut new = config(models);
        assert!(keep(&mut new, &running).unwrap()[0].starts_with("default_model changed"));
        assert_eq!(new.routing.default_model, 1);
    }

    #[test]
    fn a_key_that_envoy_may_not_have_is_named() {
        let running = config(|_| ());
        let mut new = config(|d| d["models"]["b"]["api_key"] = json!({"env": "NEW"}));
        assert!(keep(&mut new, &running).unwrap()[0].starts_with("api_key.env NEW is new"));
    }
}
