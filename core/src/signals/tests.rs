//! What prompts show.

use proptest::prelude::*;

use super::*;

mod embedding;
mod modes;

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

fn rule(name: &str, any: &[&str], case_sensitive: bool) -> KeywordRule {
    KeywordRule { name: name.to_owned(), any: texts(any), case_sensitive, ..Default::default() }
}

fn compiled(rules: &[KeywordRule]) -> Result<SignalRules, String> {
    SignalRules::new(rules, &[], Arc::default())
}

fn with_rules(rules: &[KeywordRule], prompt: &str) -> Signals {
    let facts = RequestFacts { prompt_chars: saturate(prompt.chars().count()), ..Default::default() };
    compiled(rules).unwrap().extract(prompt, &facts, None)
}

fn signals(prompt: &str) -> Signals {
    with_rules(&[], prompt)
}

fn fires(keyword: &str, case_sensitive: bool, prompt: &str) -> bool {
    !with_rules(&[rule("r", &[keyword], case_sensitive)], prompt).keywords.is_empty()
}

const CODE: [&str; 4] = [
    "Write a Python function that reverses a linked list.",
    "```js\nconst a = () => { return 1; };\n```",
    "Why do I get `TypeError: x is not a function`?\n  foo();\n  bar(x);\n",
    "fn main() {\n    let mut x = 3;\n    println!(\"{}\", x);\n}",
];
const MATH: [&str; 4] = [
    "Solve the equation 3x + 4 = 10.",
    "Compute \\int_0^1 \\frac{x^2}{\\sqrt{1-x}} dx",
    "Prove that the sum of two even integers is even.",
    "What is 12 * 7 + 30 / 5?",
];
const PLAIN: [&str; 4] = [
    "Write a poem about the sea in autumn.",
    "Hi there, good morning!",
    "Translate to French: the cat sleeps on the sofa.",
    "Recommend three restaurants near the station.",
];

#[test]
fn keywords_match_whole_words_only() {
    assert!(fires("java", false, "I like Java."));
    assert!(!fires("java", false, "I like JavaScript and xjava and java_8"));
    assert!(fires("c++", false, "modern C++, please"));
    assert!(fires("naïve", false, "A NAÏVE idea"));
    assert!(!fires("na", false, "naïve"));
}

#[test]
fn phrases_match_across_any_white_space() {
    assert!(fires("unit  test", false, "a Unit\n\tTest here"));
    assert!(fires("don't", false, "I DON’T know"));
}

#[test]
fn case_matters_only_where_the_rule_says_so() {
    assert!(fires("US", true, "the US market") && !fires("US", true, "tell us"));
    assert!(fires("US", false, "tell us"));
    assert!(
        fires("ПРИВЕТ", false, "ну привет!")
            && fires("σίσυφος", false, "ΣΊΣΥΦΟΣ") == fires("ΣΊΣΥΦΟΣ", false, "σίσυφος")
    );
}

#[test]
fn chinese_words_need_no_spaces_around_them() {
    assert!(fires("代码", false, "请写代码吧"));
    assert!(fires("python", false, "用Python写一个程序"));
}

#[test]
fn hits_come_in_rule_order_with_saturating_scores() {
    let rules = [
        rule("b", &["two", "one", "Two", "three", "four", "five"], false),
        rule("silent", &["zero"], false),
        rule("a", &["One"], true),
    ];
    let found = with_rules(&rules, "One two five; four three! two").keywords;
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].rule.as_str(), found[1].rule.as_str()), ("b", "a"));
    assert_eq!(found[0].matched, ["two", "one", "three", "four"]);
    assert_eq!((found[0].score, found[1].score), (1.0 - 1.0 / 64.0, 0.5));
}

#[test]
fn faulty_rules_are_all_reported_in_sentences() {
    let long = "x".repeat(201);
    let rules = [
        rule("", &["a"], false),
        rule("none", &[], false),
        rule("blank", &[" "], false),
        rule("none", &["b"], false),
        rule("long", &[&long], false),
    ];
    let error = compiled(&rules).unwrap_err();
    for part in
        ["rule 1 has no name", "`none` has no keywords", "`blank` has an empty", "two keyword", "200 bytes"]
    {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_rule_fires_when_any_all_and_none_of_its_keywords_agree() {
    let rule = KeywordRule {
        name: "r".into(),
        any: texts(&["cat", "dog"]),
        all: texts(&["house", "Garden", "house"]),
        none: texts(&["fish"]),
        ..Default::default()
    };
    let fires = |prompt: &str| !with_rules(std::slice::from_ref(&rule), prompt).keywords.is_empty();
    assert!(fires("a dog in the house, a garden"));
    for prompt in ["house and garden", "cat and dog in the house", "dog, house, garden, fish", ""] {
        assert!(!fires(prompt), "{prompt}");
    }
    let only_all = KeywordRule { any: vec![], none: vec![], ..rule.clone() };
    let hit = &with_rules(&[only_all], "the garden of the house").keywords[0];
    assert_eq!((hit.matched.as_slice(), hit.score), (&texts(&["house", "Garden"])[..], 0.75));
}

#[test]
fn a_keyword_convinces_by_its_weight() {
    let weights = [("urgent".to_owned(), 0.75)].into();
    let rule = KeywordRule { weight: 0.25, weights, ..rule("r", &["urgent", "soon"], false) };
    let score = |prompt: &str| with_rules(std::slice::from_ref(&rule), prompt).keywords[0].score;
    assert_eq!((score("urgent"), score("soon"), score("soon, urgent")), (0.75, 0.25, 1.0 - 0.25 * 0.75));
    for (bad, told) in [
        (KeywordRule { weight: 1.5, ..rule.clone() }, "a weight outside 0..1"),
        (KeywordRule { weights: [("late".to_owned(), 0.5)].into(), ..rule.clone() }, "weighs `late`"),
        (KeywordRule { none: texts(&["Soon"]), ..rule.clone() }, "`Soon` in two of its lists"),
    ] {
        let error = compiled(&[bad]).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn code_and_mathematics_are_told_from_plain_prompts() {
    for prompt in CODE {
        assert!(signals(prompt).code >= 0.5, "{prompt}: {:?}", signals(prompt));
    }
    for prompt in MATH {
        assert!(signals(prompt).math >= 0.5, "{prompt}: {:?}", signals(prompt));
        assert!(signals(prompt).code < 0.5, "{prompt}: {:?}", signals(prompt));
    }
    for prompt in PLAIN {
        assert!(signals(prompt).code < 0.4 && signals(prompt).math < 0.4, "{prompt}: {:?}", signals(prompt));
    }
}

#[test]
fn questions_are_told_from_orders_in_several_languages() {
    for prompt in [
        "What is Rust",
        "is it late?",
        "Warum ist der Himmel blau",
        "你叫什么名字",
        "Почему небо синее?",
        "これは何ですか",
    ] {
        assert!(signals(prompt).question >= 0.6, "{prompt}: {:?}", signals(prompt));
    }
    for prompt in ["Write a poem.", "Schreibe ein Gedicht", "写一首诗", ""] {
        assert!(signals(prompt).question < 0.3, "{prompt}");
    }
}

#[test]
fn a_demanding_task_is_more_complex_than_a_greeting() {
    let hard = "Design a distributed rate limiter. Requirements:\n- must handle 1M requests\n- at most 5 ms\n\
                - explain trade-offs step by step\n- include unit tests in Rust\nWhat fails first? And how do you recover?";
    assert!(signals(hard).complexity > 0.6, "{:?}", signals(hard));
    assert!(signals("hi").complexity < 0.1);
    assert!(signals("What is the capital of France?").complexity < 0.2);
    let levels =
        [hard, "hi", "Write a detailed essay about the sea."].map(|prompt| signals(prompt).complexity_level);
    assert_eq!(levels, [Complexity::Complex, Complexity::Trivial, Complexity::Moderate]);
}

#[test]
fn scripts_and_common_words_tell_the_language() {
    let table = [
        ("Write code", Language::En),
        ("Explain how the moon moves", Language::En),
        ("Schreibe ein Gedicht und nicht mehr", Language::OtherLatin),
        ("¿Dónde está la biblioteca?", Language::OtherLatin),
        ("用 python 写一个 quicksort 程序", Language::Cjk),
        ("안녕하세요", Language::Cjk),
        ("Напиши стих", Language::Cyrillic),
        ("اكتب قصيدة", Language::Other),
        ("12 + 3 = ?", Language::Unknown),
        ("", Language::Unknown),
    ];
    for (prompt, language) in table {
        assert_eq!(signals(prompt).language, language, "{prompt}");
    }
}

#[test]
fn a_language_is_the_surer_the_more_of_its_own_is_there() {
    let sure = |prompt: &str| signals(prompt).language_score;
    assert!(sure("Explain how the moon moves and what it is made of") > 0.9);
    assert_eq!(sure("Paris"), 0.5, "Latin letters, and no word that tells");
    assert_eq!(sure("안녕하세요"), 1.0);
    let mixed = sure("用 python 写一个 quicksort 程序");
    assert!(mixed > 0.5 && mixed < 0.7, "{mixed}");
    assert_eq!(sure("12 + 3 = ?"), 0.0);
}

#[test]
fn shares_and_sizes_are_counted() {
    let found = signals("AB cd\n12\n");
    assert_eq!((found.lines, found.chars), (2, 9));
    assert_eq!((found.digit_share, found.upper_share), (1.0 / 3.0, 0.5));
}

#[test]
fn only_head_and_tail_of_a_long_prompt_are_read() {
    let long = |middle: &str| format!("alpha {}{middle}{} omega", "x ".repeat(20_000), "x ".repeat(20_000));
    let rules = [rule("r", &["alpha", "omega", "middle"], false)];
    let found = with_rules(&rules, &long("middle"));
    assert_eq!(found.keywords[0].matched, ["alpha", "omega"]);
    assert_eq!(found.chars, 80_018);
    // The cut through a word makes no word of its half.
    let cut = format!("{}unitary{}", " ".repeat(KEYWORD_BYTES - 4), " ".repeat(2 * KEYWORD_BYTES));
    assert!(!fires("unit", false, &cut));
}

#[test]
fn an_explanation_names_what_fired() {
    let found = with_rules(&[rule("lang", &["Python"], false)], CODE[0]);
    let told = found.explain().join("\n");
    assert!(told.contains("keyword rule `lang` matched `Python` (score 0.50)"), "{told}");
    assert!(told.contains("code"), "{told}");
    assert!(signals("hi").explain().is_empty());
}

#[test]
fn signals_survive_json() {
    let found = with_rules(&[rule("lang", &["Python"], false)], CODE[0]);
    let back: Signals = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
    assert_eq!(back, found);
}

#[test]
#[ignore = "a measurement, not a test: cargo test --release -- --ignored --nocapture"]
fn two_thousand_characters_in_a_tenth_of_a_millisecond() {
    let rules: Vec<_> = (0..20)
        .map(|i| rule(&format!("r{i}"), &["python", "legal advice", "urgent", &format!("w{i}")], false))
        .collect();
    let rules = compiled(&rules).unwrap();
    for text in [CODE[0], PLAIN[0], "请写一个程序来计算积分。"] {
        let prompt: String = text.chars().cycle().take(2000).collect();
        let start = std::time::Instant::now();
        for _ in 0..2000 {
            std::hint::black_box(rules.extract(
                std::hint::black_box(&prompt),
                &RequestFacts::default(),
                None,
            ));
        }
        println!("{:?} for {text:?}", start.elapsed() / 2000);
    }
}

proptest! {
    #[test]
    fn any_text_gives_scores_between_zero_and_one(prompt in "(\\PC|\n|```|\\\\[a-z]|[0-9+=?;{}]){0,400}") {
        let found = with_rules(&[rule("r", &["a", "b c", "é"], false), rule("s", &["a", "A b"], true)], &prompt);
        let scores = [found.code, found.math, found.question, found.complexity, found.digit_share, found.upper_share];
        prop_assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)), "{found:?}");
        prop_assert_eq!(found.chars as usize, prompt.chars().count());
    }

    #[test]
    fn windows_keep_their_ends_and_never_cut_a_character(text in "\\PC{0,60}", size in 1_usize..40) {
        for window in [window_of_bytes(&text, size), window_of_chars(&text, size)] {
            let is_cut = window.contains('\0');
            prop_assert!(is_cut || window == text.as_str());
        }
        prop_assert!(window_of_chars(&text, size).chars().count() <= 2 * size + 3);
    }
}
