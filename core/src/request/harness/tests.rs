//! What harnesses write into user messages, as they write it.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::request::{Api, PromptRequest, parse};

fn read(messages: Value) -> PromptRequest {
    parse(Api::Messages, json!({"max_tokens": 9, "messages": messages}).to_string().as_bytes()).unwrap()
}

fn user(content: impl Into<Value>) -> Value {
    json!({"role": "user", "content": content.into()})
}

/// The prompt of one user message.
fn said(content: impl Into<Value>) -> String {
    read(json!([user(content)])).prompt
}

fn parts(texts: &[&str]) -> Value {
    texts.iter().map(|text| json!({"type": "text", "text": text})).collect()
}

#[test]
fn claude_code_reminds_and_reports_beside_the_user() {
    let reminder = "<system-reminder>\nAs you answer, you can use the following context:\n# claudeMd\nUse tabs.\n</system-reminder>";
    let opened = "<ide_opened_file>The user opened the file /a.rs in the IDE.</ide_opened_file>";
    assert_eq!(said(parts(&[reminder, opened, "Why is the sky blue?"])), "Why is the sky blue?");
    assert_eq!(said(format!("Fix the build\n\n{reminder}\n")), "Fix the build");
    let command = "<command-message>review is running…</command-message>\n<command-name>/review</command-name>\n\
                   <command-args>pull request 12</command-args>";
    assert_eq!(said(command), "pull request 12");
}

#[test]
fn a_message_of_a_harness_alone_leaves_the_users_last_words_the_prompt() {
    for words in [
        "<system-reminder>Your todo list is empty.</system-reminder>",
        "<local-command-stdout>Compacted</local-command-stdout>",
        "[Request interrupted by user for tool use]",
        "[Tool result]\n/a.rs\n/b.rs",
        "<tool_result>42</tool_result>",
        "[read_file for 'src/a.rs'] Result:\nfn main() {}",
        "[ERROR] You did not use a tool in your previous response! Please retry with a tool use.",
        "This session is being continued from a previous conversation that ran out of context. Why?",
        "OBSERVATION:\n3 files changed",
        "<environment_context>\n  <cwd>/home</cwd>\n</environment_context>",
    ] {
        let request = read(json!([user("Rename it."), {"role": "assistant", "content": "ok"}, user(words)]));
        assert_eq!(request.prompt, "Rename it.", "{words}");
        assert_eq!((request.facts.user_turns, request.facts.replies), (1, false), "{words}");
        assert_eq!(said(words), words, "it is the prompt where nobody else speaks");
    }
}

#[test]
fn a_turn_replies_when_an_answer_stands_before_the_users_words() {
    let answer = json!({"role": "assistant", "content": "ok"});
    let reminder = user("<system-reminder>x</system-reminder>");
    assert!(read(json!([user("a"), answer, user("b"), reminder])).facts.replies);
    assert!(!read(json!([reminder, user("a"), answer])).facts.replies);
    let followed = br#"{"input":"thanks","previous_response_id":"r1"}"#;
    assert!(parse(Api::Responses, followed).unwrap().facts.replies);
}

#[test]
fn cline_wraps_the_task_and_appends_its_environment() {
    let environment =
        "<environment_details>\n# VSCode Visible Files\na.rs\n\n# Current Mode\nACT\n</environment_details>";
    assert_eq!(said(parts(&["<task>\nAdd a test\n</task>", environment])), "Add a test");
    let denied =
        ["[execute_command for 'ls'] Result:", "The user denied this. <feedback>\nUse rg\n</feedback>"];
    assert_eq!(said(parts(&[&denied[..], &[environment]].concat())), "Use rg");
    let result = ["[list_files for '.'] Result:", "a.rs\nb.rs"];
    let request =
        read(json!([user("<task>Go</task>"), user(parts(&[&result[..], &[environment]].concat()))]));
    assert_eq!(request.prompt, "Go");
}

#[test]
fn what_cursor_and_codex_mark_as_the_request_is_all_of_it() {
    let cursor = "<user_info>\nOS: linux\n</user_info>\n<additional_data>\nfile a\n</additional_data>\n<user_query>\nWhat is a monad?\n</user_query>";
    assert_eq!(said(cursor), "What is a monad?");
    let codex = "# Context from my IDE setup:\n\n## Active file: src/a.rs\n\n## Open tabs:\n- a.rs\n\n## My request for Codex:\nExplain this file\n";
    assert_eq!(said(codex), "Explain this file");
    let agents = "# AGENTS.md instructions for /repo\n\n<INSTRUCTIONS>\nRun the tests.\n</INSTRUCTIONS>";
    assert_eq!(read(json!([user(agents), user("Fix it")])).prompt, "Fix it");
}

#[test]
fn what_only_looks_like_a_harness_is_the_users() {
    for text in [
        "What does <system-reminder> mean?",
        "Sum this: <sample_output>3</sample_output> and <output>4</output>",
        "<instructions>Translate</instructions> <text>guten Tag</text>",
        "if a < b and c > d then <div class=\"x\">hi</div>",
        "I saw [TODO] in the code",
        "Look: ## My request for Codex: nothing",
    ] {
        assert_eq!(said(text), text);
    }
}

#[test]
fn of_a_pasted_log_the_head_is_kept_and_the_question_around_it() {
    let log: String =
        (0..40).map(|i| format!("2026-01-02 10:00:{:02} INFO worker {i} is fine\n", i % 60)).collect();
    let prompt = said(format!("Why does it stop?\n{log}Thanks!"));
    assert!(prompt.starts_with("Why does it stop?\n2026-01-02") && prompt.ends_with("Thanks!"), "{prompt}");
    assert_eq!(prompt.lines().count(), 1 + 4 + 1);
    let trace: String = (0..30).map(|i| format!("    at com.example.Foo.bar{i}(Foo.java:{i})\n")).collect();
    assert_eq!(said(format!("java.lang.Error: x\n{trace}Help")).lines().count(), 1 + 4 + 1);
    let few: String = (0..11).map(|i| format!("10:00:{i:02} started\n")).collect();
    assert_eq!(said(format!("{few}when did it start?")).lines().count(), 12);
}

#[test]
fn of_a_long_code_block_the_head_is_kept() {
    let block = |lines: usize| format!("```rust\n{}```\n", "let x = 1;\n".repeat(lines));
    assert_eq!(said(format!("Explain\n{}please", block(100))).lines().count(), 1 + 1 + 20 + 1 + 1);
    assert_eq!(said(format!("Explain\n{}please", block(40))).lines().count(), 1 + 1 + 40 + 1 + 1);
    let open = format!("```\n{}what is this?", "x\n".repeat(100));
    assert!(said(open).ends_with("what is this?"), "a block that nothing closes is left alone");
}

#[test]
fn a_million_tags_take_no_longer_than_a_million_letters() {
    let start = std::time::Instant::now();
    for tags in [
        "<task>".repeat(100_000),
        "<tool_result>x</tool-result>".repeat(30_000),
        "<task></answer>".repeat(50_000),
    ] {
        said(format!("hi {tags}"));
    }
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

/// Pieces that user messages may be made of.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ a-z<>/\n\\[\\]`é]{0,12}",
        proptest::sample::select(vec![
            "<system-reminder>",
            "</system-reminder>",
            "<task>",
            "</task>",
            "<user_query>",
            "</user_query>",
            "<tool_result>",
            "</tool_result>",
            "<feedback>",
            "</feedback>",
            "[x for 'y'] Result:",
            "[Tool result]",
            "```\n",
            "\n",
            "2026-01-01 00:00:00 x\n",
            "## My request for Codex:",
            "<environment_details/>",
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn no_user_message_loses_all_of_its_text(pieces in prop::collection::vec(prop::collection::vec(piece(), 0..30), 1..4)) {
        let texts: Vec<String> = pieces.iter().map(|part| part.concat()).collect();
        let content = parts(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let body = json!({"messages": [{"role": "user", "content": content}]}).to_string();
        let blank = texts.iter().all(|text| text.trim().is_empty());
        match parse(Api::ChatCompletions, body.as_bytes()) {
            Ok(request) => prop_assert!(!request.prompt.trim().is_empty()),
            Err(_) => prop_assert!(blank, "{texts:?}"),
        }
    }

    #[test]
    fn words_outside_of_tags_are_all_kept(words in "[a-z ]{1,40}", inside in "[a-z ]{0,40}") {
        let text = format!("{words}<system-reminder>{inside}</system-reminder>{words}");
        let kept = format!("{words}{words}");
        let expected = if words.trim().is_empty() { text.trim().to_owned() } else { kept.trim().to_owned() };
        prop_assert_eq!(said(text), expected);
    }
}
