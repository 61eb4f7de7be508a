//! Who may ask the sidecar what, and how much the word of one rater counts.

use std::net::SocketAddr;

use super::section::Section;

/// Access to the sidecar's API. Tokens are named here and read from the environment at the edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Environment variable of the sidecar that holds the admin's token; `None` asks nobody for one.
    pub token: Option<String>,
    /// Environment variable of the sidecar that holds the token of applications that send feedback.
    pub feedback_token: Option<String>,
    /// Whether feedback needs a token, and not only the replay id that its client was given.
    pub feedback_needs_token: bool,
    /// Whether `/metrics` needs the admin's token.
    pub metrics_need_token: bool,
    /// Feedback that one rater may send a minute, and at once after a rest.
    pub feedback_per_minute: u32,
    /// Feedback of one rater that counts in full on one day.
    pub rater_per_day: u32,
}

impl Access {
    /// `sidecar` is where the API listens: beyond loopback it must not be open.
    pub(super) fn read(section: &Section, sidecar: SocketAddr) -> Self {
        const FEEDBACK: [(&str, bool); 2] = [("id", false), ("token", true)];
        const METRICS: [(&str, bool); 2] = [("open", false), ("token", true)];
        let access = Self {
            token: variable(&section.section("token")),
            feedback_token: variable(&section.section("feedback_token")),
            feedback_needs_token: section.choice("feedback", &FEEDBACK, false),
            metrics_need_token: section.choice("metrics", &METRICS, false),
            feedback_per_minute: section.whole("feedback_per_minute", 1..=1_000_000, 60),
            rater_per_day: section.whole("rater_per_day", 1..=1_000_000, 50),
        };
        if access.token.is_none() && !sidecar.ip().is_loopback() {
            section.error(
                "token",
                format!(
                    "is missing: listen.sidecar is {sidecar}, which others can reach; set access.token.env to the \
                     environment variable that holds a token, or listen on 127.0.0.1"
                ),
            );
        }
        if access.feedback_needs_token && access.token.is_none() && access.feedback_token.is_none() {
            section.error("feedback", "asks for a token, so access.feedback_token.env must name one");
        }
        if access.metrics_need_token && access.token.is_none() {
            section.error("metrics", "asks for a token, so access.token.env must name one");
        }
        section.finish();
        access
    }
}

/// The name of an environment variable.
fn variable(section: &Section) -> Option<String> {
    let name = section.text("env");
    if let Some(name) = name.as_ref().filter(|n| !n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')) {
        section.error("env", format!("must be the name of an environment variable, not \"{name}\""));
    }
    section.finish();
    name
}
