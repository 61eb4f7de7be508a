//! What kind of work a prompt asks for, by keywords.

use serde::{Deserialize, Serialize};

/// Kinds of work, the most urgent first: where keywords of several occur, the first of them is the mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Finding out why something fails.
    Debug,
    /// Deciding what to do, and in which order.
    Plan,
    /// Deciding how the parts of a system fit together.
    Architecture,
    /// Judging what is there.
    Review,
    /// Writing programs.
    Coding,
    /// None of the above.
    #[default]
    Routine,
}

/// The mode of a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModeSignal {
    /// The first mode whose keywords occur; [`Mode::Routine`] if none do.
    pub kind: Mode,
    /// 1 - 2⁻ⁿ for n different keywords of that mode; 0 for routine, which has none.
    pub score: f32,
}

/// What one keyword convinces.
pub(super) const WEIGHT: f32 = 0.5;

/// Every mode's name, in order of priority.
pub const MODES: [(&str, Mode); 6] = [
    ("debug", Mode::Debug),
    ("plan", Mode::Plan),
    ("architecture", Mode::Architecture),
    ("review", Mode::Review),
    ("coding", Mode::Coding),
    ("routine", Mode::Routine),
];

/// The keywords of each mode but routine. `docs/concepts.md` lists them; a test compares.
#[rustfmt::skip]
pub(super) const KEYWORDS: [(Mode, &[&str]); 5] = [
    (Mode::Debug, &[
        "debug", "debugging", "debugger", "bug", "bugs", "buggy", "error", "errors", "exception", "exceptions", "traceback",
        "stack trace", "stacktrace", "crash", "crashes", "crashed", "crashing", "segfault", "segmentation fault", "panics",
        "panicked", "failing", "fails to", "broken", "not working", "doesn't work", "does not work", "won't compile",
        "doesn't compile", "does not compile", "troubleshoot", "root cause", "memory leak", "deadlock", "race condition", "hangs",
    ]),
    (Mode::Plan, &[
        "plan", "plans", "planning", "roadmap", "milestone", "milestones", "break down", "break it down", "break this down",
        "outline the steps", "next steps", "step by step plan", "to-do list", "todo list", "prioritize", "prioritise", "timeline",
        "work breakdown", "rollout", "migration strategy",
    ]),
    (Mode::Architecture, &[
        "architecture", "architectures", "architectural", "architect", "system design", "design a system", "high-level design",
        "design pattern", "design patterns", "microservice", "microservices", "monolith", "scalability", "scalable", "data model",
        "database schema", "schema design", "api design", "event-driven", "distributed system", "distributed systems",
        "fault tolerant", "fault-tolerant", "high availability", "load balancer", "service mesh",
    ]),
    (Mode::Review, &[
        "review", "reviews", "reviewing", "reviewed", "code review", "pull request", "audit", "critique", "proofread", "feedback on",
        "check my", "look over", "evaluate this", "assess this", "what do you think of", "code smell", "code smells",
        "improvements to", "suggest improvements", "vulnerabilities in",
    ]),
    (Mode::Coding, &[
        "code", "coding", "implement", "implements", "implementation", "function", "functions", "method that", "class that",
        "program", "programming", "script", "refactor", "refactoring", "unit test", "unit tests", "compile", "snippet", "algorithm",
        "regex", "sql query", "query that", "endpoint", "cli tool", "dockerfile", "python", "javascript", "typescript", "java",
        "rust", "golang", "c++", "c#", "kotlin", "bash", "html", "css", "```",
    ]),
];
