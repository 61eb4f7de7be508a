//! `GET /`: one plain page for people.

use std::fmt::Write;

use axum::extract::State;
use axum::response::Html;

use super::{ApiError, App};
use crate::log::RouteShare;

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Dragoman</title>\
<meta name=viewport content='width=device-width'>\
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:50em;margin:2em auto;padding:0 1em}\
table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ccc}\
td.n{text-align:right;font-variant-numeric:tabular-nums}</style><h1>Dragoman</h1>";

pub(super) async fn page(State(app): State<App>) -> Result<Html<String>, ApiError> {
    let shares = app.read(|log| log.shares()).await?;
    let version = app.published.borrow().as_ref().map(|p| p.version);
    Ok(Html(render(&shares, version)))
}

fn render(shares: &[RouteShare], version: Option<u64>) -> String {
    let mut html = HEAD.to_owned();
    let snapshot = version.map_or("No snapshot yet.".into(), |v| format!("Snapshot {v}."));
    html += &format!("<p>{snapshot} How the last 1000 requests were answered:</p>");
    html += "<table><tr><th>decision<th>model<th>requests<th>share<th>mean reward";
    for share in shares {
        let all: i64 = shares.iter().filter(|s| s.decision == share.decision).map(|s| s.count).sum();
        // Writing to a String cannot fail.
        let _ = write!(
            html,
            "<tr><td>{}<td>{}<td class=n>{}<td class=n>{:.0} %<td class=n>{:.3}",
            escape(share.decision.as_deref().unwrap_or("(default route)")),
            escape(&share.model),
            share.count,
            100.0 * share.count as f64 / all.max(1) as f64,
            share.reward
        );
    }
    html += "</table><p><a href=/v1/router_replay>Replays</a> · <a href=/v1/snapshots>Snapshots</a> · \
             <a href=/metrics>Metrics</a> · <a href=/openapi.json>API</a></p>";
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_shares_are_within_a_decision() {
        let row = |decision: &str, count| RouteShare {
            decision: Some(decision.into()),
            model: "<m>".into(),
            count,
            reward: 0.5,
        };
        let html = render(&[row("a", 3), row("a", 1), row("b", 9)], Some(7));
        assert!(html.contains("&lt;m&gt;") && !html.contains("<m>"));
        assert!(html.contains("75 %") && html.contains("100 %") && html.contains("Snapshot 7"));
    }
}
