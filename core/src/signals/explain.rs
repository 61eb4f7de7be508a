//! What fired, in sentences. They hold words of the configuration, never of the prompt.

use super::complexity::Complexity;
use super::feedback::FeedbackKind;
use super::mode::{MODES, Mode};
use super::{CONVINCING, Signals};

/// What each kind of feedback means.
const FEEDBACK: [(FeedbackKind, &str); 4] = [
    (FeedbackKind::Satisfied, "the user is satisfied with the last answer"),
    (FeedbackKind::NeedClarification, "the user wants the last answer explained"),
    (FeedbackKind::WantDifferent, "the user wants something else than the last answer"),
    (FeedbackKind::WrongAnswer, "the user says that the last answer was wrong"),
];

// === impl Signals ===

impl Signals {
    /// Short sentences naming what fired.
    pub fn explain(&self) -> Vec<String> {
        let mut told = self.rules();
        told.extend(self.read_off_the_embedding());
        let scores = [
            ("the prompt holds or asks for code", self.code),
            ("the prompt is about mathematics", self.math),
            ("the prompt asks a question", self.question),
        ];
        let convincing = scores.into_iter().filter(|(_, score)| *score >= CONVINCING);
        told.extend(convincing.map(|(sentence, score)| format!("{sentence} (score {score:.2})")));
        if self.complexity_level != Complexity::Trivial {
            let level = if self.complexity_level == Complexity::Complex { "complex" } else { "moderate" };
            told.push(format!("the task is {level} (score {:.2})", self.complexity));
        }
        if self.mode.kind != Mode::Routine {
            let name = MODES.iter().find(|(_, mode)| *mode == self.mode.kind).map_or("", |(name, _)| name);
            told.push(format!("the mode is {name} (score {:.2})", self.mode.score));
        }
        told.extend(
            self.language.sentence().map(|said| format!("{said} (score {:.2})", self.language_score)),
        );
        told
    }

    fn rules(&self) -> Vec<String> {
        let keywords = self.keywords.iter().map(|hit| {
            let words = hit.matched.join("`, `");
            format!("keyword rule `{}` matched `{words}` (score {:.2})", hit.rule, hit.score)
        });
        let embeddings = self.embeddings.iter().map(|hit| {
            let (rule, nearest) = (&hit.rule, hit.candidate.saturating_add(1));
            format!(
                "embedding rule `{rule}` fired, nearest to its candidate {nearest} (score {:.2})",
                hit.score
            )
        });
        keywords.chain(embeddings).collect()
    }

    fn read_off_the_embedding(&self) -> Vec<String> {
        let domain = self.domain.top().filter(|(_, confidence)| *confidence >= CONVINCING);
        let domain = domain.map(|(name, score)| format!("the prompt's domain is {name} (score {score:.2})"));
        let fact_check = (self.fact_check >= CONVINCING)
            .then(|| format!("the answer's facts want checking (score {:.2})", self.fact_check));
        let feedback = FEEDBACK.iter().find(|(kind, _)| *kind == self.feedback.kind);
        let feedback = feedback.map(|(_, sentence)| format!("{sentence} (score {:.2})", self.feedback.score));
        [domain, fact_check, feedback].into_iter().flatten().collect()
    }
}
