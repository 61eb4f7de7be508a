use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Refusal, WordPiece};

/// The shipped tokenizer after a change.
fn changed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    static SHIPPED: OnceLock<Value> = OnceLock::new();
    let shipped = SHIPPED.get_or_init(|| {
        serde_json::from_slice(include_bytes!("../../../models/dragoman-small/tokenizer.json")).unwrap()
    });
    let mut json = shipped.clone();
    change(&mut json);
    serde_json::to_vec(&json).unwrap()
}

/// Both tokenizers of one file.
struct Both {
    ours: WordPiece,
    theirs: tokenizers::Tokenizer,
}

impl Both {
    fn load(json: &[u8]) -> Self {
        let mut theirs = tokenizers::Tokenizer::from_bytes(json).unwrap();
        theirs.set_encode_special_tokens(true);
        Self { ours: WordPiece::load(json).unwrap().0, theirs }
    }

    /// Their ids and ours.
    fn ids(&self, text: &str) -> [Vec<u32>; 2] {
        [self.theirs.encode_fast(text, false).unwrap().get_ids().to_vec(), self.ours.ids(text)]
    }

    #[track_caller]
    fn agree(&self, text: &str) {
        let [theirs, ours] = self.ids(text);
        assert_eq!(theirs, ours, "{text:?}");
    }
}

fn shipped() -> &'static Both {
    static SHIPPED: OnceLock<Both> = OnceLock::new();
    SHIPPED.get_or_init(|| Both::load(&changed(|_| {})))
}

/// Characters in the blocks that this has are tokens, so that ids spell what became of a text.
fn spelling() -> Value {
    let blocks = [0..0x3400, 0xF900..0x10000, 0x1D100..0x1D200, 0x10400..0x10450];
    let chars = blocks.into_iter().flatten().filter_map(char::from_u32);
    let tokens = chars.flat_map(|c| [c.to_string(), format!("##{c}")]);
    std::iter::once("[UNK]".into()).chain(tokens).zip(0..).map(|(token, id)| (token, json!(id))).collect()
}

/// One that spells, for each way to set the normalizer.
fn every() -> &'static [Both] {
    static EVERY: OnceLock<Vec<Both>> = OnceLock::new();
    EVERY.get_or_init(|| {
        let accents = [json!(null), json!(true), json!(false)];
        let flags = [(true, true), (true, false), (false, true), (false, false)];
        let ways = accents.iter().flat_map(|a| flags.map(|f| (a, f))).flat_map(|w| [(w, true), (w, false)]);
        let normalizer = |((accents, (clean, chinese)), lower): ((&Value, (bool, bool)), bool)| {
            json!({
                "type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese,
                "strip_accents": accents, "lowercase": lower,
            })
        };
        let both = |way| {
            Both::load(&changed(|json| {
                json["normalizer"] = normalizer(way);
                json["model"]["vocab"] = spelling();
            }))
        };
        ways.map(both).collect()
    })
}

/// Characters that some step treats in its own way, alone or beside each other.
const ODD: &str = "aAzZ09 .,!#[]_-'\"\t\n\r\u{0}\u{b}\u{c}\u{1c}\u{7f}\u{85}\u{a0}\u{ad}éÉßẞİıÅ\u{212b}ﬁñçøĐđΣσς\
    \u{300}\u{301}\u{307}\u{315}\u{327}\u{345}\u{3099}\u{309a}かが日本語中\u{f900}\u{2f800}\u{20000}\u{2a700}\u{2b820}한국어\u{1100}\u{1161}\u{11a8}\
    \u{302e}\u{302f}\u{16ff0}\u{1d165}\u{1d166}\u{1d16d}\u{1d15e}\u{1b44}\u{1bf2}\u{93c}\u{94d}\u{915}\u{958}\u{9cb}\u{f73}\u{f71}\u{f72}\
    \u{200b}\u{200c}\u{200d}\u{200e}\u{2028}\u{2029}\u{2003}\u{3000}\u{feff}\u{fffd}\u{ffff}\u{e000}\u{e001}\u{f8ff}\u{10ffff}\u{378}\
    。，！？「」—–…“”‘’¿¡§¶·★€£™🙂👩👍🏽🇩\u{fe0f}\u{e0001}ⅣⅧ①½²Ꭰꭰꮿ𐐀𐐨Ⴀაﷺาำ";

fn odd() -> impl Strategy<Value = String> {
    let all: Vec<char> = ODD.chars().collect();
    prop::collection::vec(prop::sample::select(all), 0..40).prop_map(String::from_iter)
}

fn any_text() -> impl Strategy<Value = String> {
    let planes = prop::collection::vec(any::<char>(), 0..30).prop_map(String::from_iter);
    let words = "([a-zA-Z]{1,9}( |, |-|'|\\. )){0,12}";
    let long = "[a-zé日 ]{0,3}[a-z\u{301}é]{90,110}[a-z ]{0,3}";
    prop_oneof![odd(), planes, words, long, "[ \t\n\u{2003}\u{0}]{0,20}", "[\\x00-\\x7f]{0,60}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn ids_are_those_of_the_crate(text in any_text()) {
        let [theirs, ours] = shipped().ids(&text);
        prop_assert_eq!(theirs, ours);
    }

    #[test]
    fn ids_are_those_of_the_crate_however_the_normalizer_is_set(text in any_text(), way in 0usize..24) {
        let [theirs, ours] = every()[way].ids(&text);
        prop_assert_eq!(theirs, ours);
    }

    #[test]
    fn no_bytes_stop_the_program(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        prop_assert!(WordPiece::load(&bytes).is_err());
        shipped().ours.ids(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn every_character_has_the_ids_that_the_crate_gives_it() {
    for c in ('\0'..=char::MAX).filter(|c| (*c as u32) < 0x32000 || (*c as u32).is_multiple_of(97)) {
        let text = format!("a{c}\u{1d165}{c}\u{315}x {c}");
        shipped().agree(&text);
        every()[0].agree(&text);
    }
}

#[test]
fn words_as_long_as_the_longest_are_read_and_longer_ones_are_unknown() {
    for word in ["a", "é", "日", "e\u{301}", "\u{1d165}"] {
        for count in [99, 100, 101, 5000] {
            shipped().agree(&word.repeat(count));
        }
    }
}

#[test]
fn special_tokens_in_a_text_are_text() {
    for text in ["[CLS] a [SEP]", "[MASK]", "[UNK][PAD]", "x[SEP]y", "[sep]"] {
        shipped().agree(text);
    }
}

#[test]
fn the_options_of_the_model_are_followed() {
    let json = changed(|json| {
        json["model"]["unk_token"] = json!("unknown");
        json["model"]["continuing_subword_prefix"] = json!("s");
        json["model"]["max_input_chars_per_word"] = json!(7);
    });
    let both = Both::load(&json);
    for text in ["hotels", "aside and sides", "1234567 12345678 ßßßßßßß", "🙂"] {
        both.agree(text);
    }
}

#[test]
fn a_prefix_may_be_empty_and_tokens_in_any_order() {
    let json = changed(|json| {
        json["model"]["continuing_subword_prefix"] = json!("");
        json["model"]["vocab"] = json!({"un": 3, "[UNK]": 2, "\"\\\u{e9}": 1, "able": 0, "u": 4});
        json["normalizer"]["strip_accents"] = json!(false);
    });
    let both = Both::load(&json);
    for text in ["unable", "uu un", "unabl", "\"\\é", "é"] {
        both.agree(text);
    }
}

#[test]
fn the_frame_is_that_of_the_template_or_of_the_two_tokens() {
    let frame = |post: Value| WordPiece::load(&changed(|json| json["post_processor"] = post)).ok().unwrap().1;
    let special = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let tokens = json!({
        "x": {"id": "x", "ids": [7, 8], "tokens": ["x", "y"]},
        "z": {"id": "z", "ids": [9], "tokens": ["z"]},
    });
    let template = |single: Value| json!({"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": tokens});
    assert_eq!(frame(template(json!([special("z"), special("x"), text]))), (vec![9, 7, 8], vec![]));
    assert_eq!(frame(template(json!([text, special("z")]))), (vec![], vec![9]));
    let bert = json!({"type": "BertProcessing", "sep": ["[SEP]", 102], "cls": ["[CLS]", 101]});
    assert_eq!(frame(bert), (vec![101], vec![102]));
    assert_eq!(frame(json!(null)), (vec![], vec![]));
}

/// Why a file is not read: whether it is of another kind, and the sentence.
fn refused(json: &[u8]) -> (bool, String) {
    match WordPiece::load(json).err() {
        Some(Refusal::Other(why)) => (true, why),
        Some(Refusal::Broken(why)) => (false, why),
        None => panic!("it is read"),
    }
}

#[test]
fn a_tokenizer_of_another_kind_is_refused_with_what_differs() {
    for (part, value, says) in [
        ("/model/type", json!("BPE"), "its model is BPE, not WordPiece"),
        ("/model", json!({"type": "Unigram", "vocab": [["a", -1.5]]}), "its model is Unigram, not WordPiece"),
        ("/normalizer", json!(null), "its normalizer is none, not BertNormalizer"),
        ("/normalizer", json!({"type": "NFC"}), "its normalizer is NFC, not BertNormalizer"),
        (
            "/pre_tokenizer",
            json!({"type": "Whitespace"}),
            "its pre_tokenizer is Whitespace, not BertPreTokenizer",
        ),
        (
            "/post_processor/type",
            json!("RobertaProcessing"),
            "not TemplateProcessing or BertProcessing or none",
        ),
        ("/post_processor/single", json!([]), "a text not once"),
        ("/post_processor/single/0", json!({"Sequence": {"id": "B"}}), "a second text"),
        ("/added_tokens/0/special", json!(false), "its added token \"[PAD]\" is not special"),
    ] {
        let (other, why) = refused(&changed(|json| *json.pointer_mut(part).unwrap() = value));
        assert!(other && why.contains(says), "{part}: {why}");
    }
}

#[test]
fn a_broken_file_is_refused_in_a_sentence() {
    let whole = changed(|_| {});
    let with = |part: &str, value: Value| changed(|json| *json.pointer_mut(part).unwrap() = value);
    let vocab = |vocab: Value| with("/model/vocab", vocab);
    for (file, says) in [
        (whole[..whole.len() / 2].to_vec(), "EOF while parsing"),
        (b"tokens".to_vec(), "expected"),
        (b"{\"model\":{\"type\":\"WordPiece\xff\"}}".to_vec(), "it is not UTF-8"),
        (
            changed(|json| drop(json["model"].as_object_mut().unwrap().remove("vocab"))),
            "missing field `vocab`",
        ),
        (vocab(json!(["a"])), "expected a vocabulary of tokens and their ids"),
        (vocab(json!({"[UNK]": 0, "a": -1})), "invalid value: integer `-1`"),
        (
            vocab(json!({"[UNK]": 0, "a": 2})),
            "the ids of 2 tokens must be all from 0 on, but that of \"a\" is 2",
        ),
        (vocab(json!({"[UNK]": 0, "a": 0})), "the token \"a\" has the id 0, which another has too"),
        (vocab(json!({"a": 0})), "lacks the token \"[UNK]\" for unknown words"),
        (vocab(json!({})), "lacks the token \"[UNK]\" for unknown words"),
        (with("/post_processor/special_tokens", json!({})), "does not know the id of [CLS]"),
        (with("/post_processor", json!({"type": "BertProcessing"})), "neither single nor cls and sep"),
    ] {
        let (other, why) = refused(&file);
        assert!(!other && why.contains(says), "{why}");
    }
    let twice =
        String::from_utf8(vocab(json!({"[UNK]": 0, "a": 1, "b": 2}))).unwrap().replace("\"b\":2", "\"a\":2");
    assert!(refused(twice.as_bytes()).1.contains("the token \"a\" is in it twice"));
}

/// `TEXTS=texts.jsonl cargo test --release -p dragoman-encoder -- --ignored corpus`: each line a string, or an object
/// with one as "text" or "prompt".
#[test]
#[ignore = "it needs a corpus"]
fn ids_are_those_of_the_crate_on_a_corpus() {
    let path = std::env::var("TEXTS").expect("TEXTS names a file of JSON lines");
    let lines = std::fs::read_to_string(path).unwrap();
    let (mut texts, mut ids) = (0, 0);
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = [&line, &line["text"], &line["prompt"]].into_iter().find_map(Value::as_str);
        let text = text.expect("a line has a text");
        shipped().agree(text);
        (texts, ids) = (texts + 1, ids + shipped().ours.ids(text).len());
    }
    println!("{texts} texts, {ids} ids");
}
