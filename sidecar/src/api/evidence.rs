//! Evidence about an answer, in sentences.

use dragoman_core::reward::Evidence;
use dragoman_core::signals::FeedbackKind;

use crate::log::Heard;

/// A sentence on each piece that is no feedback.
pub(super) fn sentences(heard: &[Heard]) -> Vec<String> {
    heard.iter().filter_map(sentence).collect()
}

fn sentence(heard: &Heard) -> Option<String> {
    let by = heard.by.as_ref().map_or_else(String::new, |id| format!(" (replay {id})"));
    Some(match &heard.evidence {
        Evidence::Feedback { .. } => return None,
        Evidence::FollowUp { kind: FeedbackKind::None, .. } => {
            format!("The conversation went on{by} and said nothing of the answer.")
        }
        Evidence::FollowUp { kind, score } => {
            let says = match kind {
                FeedbackKind::Satisfied => "approves of the answer",
                FeedbackKind::NeedClarification => "asks what the answer means",
                FeedbackKind::WantDifferent => "wants another version of the answer",
                _ => "says that the answer is wrong",
            };
            format!("The next turn{by} {says} (score {score:.2}).")
        }
        Evidence::Complaint => format!("The next turn{by} complains."),
        Evidence::Regenerated => format!("The same prompt was sent again{by}."),
        Evidence::Silence => "Nothing followed within the window, so the answer probably served.".to_owned(),
        Evidence::Judge { score } => format!("The judge gave it {score} of 5."),
    })
}
