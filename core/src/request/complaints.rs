//! Whether a user turn complains about the answer before it.

/// Phrases of dissatisfaction, in lower case with straight apostrophes. They are few and blunt on
/// purpose: a complaint counts against a model, so a doubtful one must not.
const COMPLAINTS: [&str; 34] = [
    "that's wrong",
    "thats wrong",
    "that is wrong",
    "this is wrong",
    "you're wrong",
    "you are wrong",
    "wrong answer",
    "that's not right",
    "that is not right",
    "that's incorrect",
    "that is incorrect",
    "this is incorrect",
    "not correct",
    "not what i asked",
    "not what i meant",
    "not what i wanted",
    "didn't answer my question",
    "did not answer my question",
    "doesn't answer my question",
    "you misunderstood",
    "doesn't work",
    "does not work",
    "still doesn't",
    "still not working",
    "still fails",
    "still wrong",
    "you made a mistake",
    "try again",
    "das ist falsch",
    "c'est faux",
    "eso está mal",
    "это неправильно",
    "不对",
    "違います",
];

/// A complaint opens the turn; later text is quotation, code or a new task.
const LOOK_AT_CHARS: usize = 300;

/// Whether the beginning of a user turn holds one of the phrases, in any case.
pub(super) fn complains(turn: &str) -> bool {
    let start: String = turn
        .trim_start()
        .chars()
        .take(LOOK_AT_CHARS)
        .map(|c| if c == '’' { '\'' } else { c })
        .flat_map(char::to_lowercase)
        .collect();
    COMPLAINTS.iter().any(|phrase| start.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::complains;

    #[test]
    fn blunt_words_of_dissatisfaction_complain_in_any_case_and_with_any_apostrophe() {
        for turn in
            ["No, THAT'S WRONG.", "that’s wrong", "  not what I asked for", "不对,再来", "Это неправильно"]
        {
            assert!(complains(turn), "{turn}");
        }
    }

    #[test]
    fn a_plain_task_or_a_late_quotation_does_not_complain() {
        assert!(!complains("Prove that the sum is even."));
        assert!(!complains(&format!("{} that's wrong", "x ".repeat(400))));
    }
}
