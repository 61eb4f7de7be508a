use super::super::mode::KEYWORDS;
use super::*;

fn mode(prompt: &str) -> Mode {
    signals(prompt).mode.kind
}

#[test]
fn each_mode_has_its_keywords() {
    let table = [
        ("Debug this crash for me", Mode::Debug),
        ("Make a plan for the release", Mode::Plan),
        ("Which architecture suits a chat service?", Mode::Architecture),
        ("Please review the text below", Mode::Review),
        ("Write a function that sorts a list", Mode::Coding),
        ("What is the capital of France?", Mode::Routine),
        ("", Mode::Routine),
        ("a debugged plane, an architect's reviewer", Mode::Architecture),
    ];
    for (prompt, expected) in table {
        assert_eq!(mode(prompt), expected, "{prompt}");
    }
}

#[test]
fn of_several_modes_the_first_by_priority_wins_wherever_it_stands() {
    for (i, (first, words)) in KEYWORDS.iter().enumerate() {
        for (_, later) in &KEYWORDS[i + 1..] {
            let prompt = format!("{}, {} and {}", later[0], later[1], words[0]);
            assert_eq!(mode(&prompt), *first, "{prompt}");
        }
    }
}

#[test]
fn a_mode_is_the_surer_the_more_of_its_keywords_occur() {
    assert_eq!(signals("a bug").mode.score, 0.5);
    assert_eq!(signals("a bug and a bug in the plan").mode.score, 0.5);
    assert_eq!(signals("a bug, a crash").mode.score, 0.75);
    assert_eq!(signals("hello").mode.score, 0.0);
}

#[test]
fn every_keyword_is_documented() {
    let concepts =
        include_str!("../../../../docs/concepts.md").split_whitespace().collect::<Vec<_>>().join(" ");
    for (name, mode) in &MODES[..5] {
        let words = KEYWORDS.iter().find(|(m, _)| m == mode).unwrap().1.join(", ");
        assert!(concepts.contains(&format!("| `{name}` | {words} |")), "| `{name}` | {words} |");
    }
}
