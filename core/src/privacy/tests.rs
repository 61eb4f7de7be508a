use proptest::prelude::*;

use super::*;

#[test]
fn what_names_people_or_opens_doors_is_taken_out() {
    let cases = [
        ("write to jane.doe+x@mail.example.co.uk, please", "write to [email], please"),
        ("<müller@firma.de>;a@b.io", "<[email]>;[email]"),
        ("我的邮箱是a@b.com。", "我的邮箱是[email]。"),
        ("call +1 (415) 555-2671 now", "call [phone] now"),
        ("(415) 555-2671 or 415.555.2671", "[phone] or [phone]"),
        ("415-555-2671, 1-800-555-0199", "[phone], [phone]"),
        ("+49 30 1234567; 0049 170 1234567", "[phone]; [phone]"),
        ("0151 23456789 / 030-1234567", "[phone] / [phone]"),
        ("06 12 34 56 78 and 020 7946 0958", "[phone] and [phone]"),
        ("07911123456", "[phone]"),
        ("my phone number: 5552671", "my phone number: [phone]"),
        ("call me at 4155552671", "call me at [phone]"),
        ("card 4111 1111 1111 1111 exp 12/27", "card [card] exp 12/27"),
        ("4111111111111111", "[card]"),
        ("5500-0000-0000-0004, 3400 000000 00009", "[card], [card]"),
        ("IBAN DE89 3704 0044 0532 0130 00.", "IBAN [iban]."),
        ("GB82WEST12345698765432", "[iban]"),
        ("key sk-proj-a1B2c3D4e5F6g7H8i9J0 ok", "key [key] ok"),
        ("sk-abcdefghijklmnopqrstuvwx", "[key]"),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "[key]"),
        ("AKIAIOSFODNN7EXAMPLE", "[key]"),
        ("password=hunter2&user=bob", "password=[key]"),
        ("{\"password\": \"correct horse\", \"x\": 1}", "{\"password\": \"[key]\", \"x\": 1}"),
        ("DB_PASSWORD=s3cr3t", "DB_PASSWORD=[key]"),
        ("my password is hunter2 thanks", "my password is [key] thanks"),
        ("token: abc123", "token: [key]"),
        ("Authorization: Basic dXNlcjpwYXNz\nnext", "Authorization: [key]\nnext"),
        ("bearer mF_9.B5f-4.1JqM0k7", "bearer [key]"),
        ("postgres://bob:pw@db.example.com/x", "postgres://[key]@db.example.com/x"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP", "[key]"),
        ("a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b", "a [key] b"),
        ("cut -----BEGIN PRIVATE KEY-----\nMIIE", "cut [key]"),
        ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "[key]"),
        ("d41d8cd98f00b204e9800998ecf8427e", "[key]"),
    ];
    for (text, expected) in cases {
        assert_eq!(redact(text), expected, "{text}");
    }
}

#[test]
fn what_only_looks_so_stays() {
    for text in [
        "",
        "version 1.2.3.4, released 2024-01-15 10:30:00 (01.02.2024, 01-02-2024)",
        "0.123456789 and 3.14159265358979, -0.000012345",
        "order 4711-0815, invoice 2023-000123, #0123456789",
        "timestamps 1700000000 and 1700000000123",
        "192.168.100.200:8080 and 10.0.0.1/24",
        "4111 1111 1111 1112 fails its check digit",
        "550e8400-e29b-41d4-a716-446655440000",
        "@types/node and pkg@1.2.3, @app.route('/x'), root@localhost",
        "the secret is to listen; a token is a piece of text",
        "the password is wrong, reset the password",
        "getElementsByClassNameAndThenSomethingElse2()",
        "src/components/ButtonGroup2/IndexPage/render_everything_twice.rs",
        "sk-learn and task-force-one, scikit-learn-contrib",
        "https://example.com:8080/path?x=1@2",
        "for (int i = 0; i < 1000000000; i++) { sum += 2147483647; }",
        "2 + 2 = 4, 100 200 300, 12 345 678",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
        "bearer of bad news, Basic understanding",
        "Ignore [email] and [key]; password=[key]",
    ] {
        assert_eq!(redact(text), text);
    }
}

#[test]
fn each_mode_stores_what_it_says_and_the_same_again() {
    let text = "I am jane@example.com, hello";
    let mode = |store_prompts| Privacy { store_prompts, hash_key: None }.keyed([1; 16]);
    assert_eq!(stored(&mode(StorePrompts::None), text), None);
    assert_eq!(stored(&mode(StorePrompts::Full), text).as_deref(), Some(text));
    assert_eq!(stored(&mode(StorePrompts::Redacted), text).as_deref(), Some("I am [email], hello"));
    let hash = stored(&mode(StorePrompts::Hash), text).unwrap();
    assert!(is_hash(&hash), "{hash}");
    assert_eq!(stored(&mode(StorePrompts::Hash), &hash).as_ref(), Some(&hash), "the second lock");
    let other = Privacy { store_prompts: StorePrompts::Hash, hash_key: Some([2; 16]) };
    assert_ne!(stored(&other, text), Some(hash), "who has no key can check no guess");
    assert_eq!(stored(&Privacy { hash_key: None, ..other }, text), None, "without a key nothing is stored");
}

#[test]
fn a_long_text_takes_time_by_its_length() {
    for piece in ["a/", "a@", "eyJ.", "token=", "://a:", "1 ", "(1", "-----END ", "password", "+1-", "A1b2"] {
        let text = piece.repeat(200_000 / piece.len());
        let since = std::time::Instant::now();
        redact(&text);
        assert!(since.elapsed().as_secs() < 2, "{piece}: {:?}", since.elapsed());
    }
}

#[test]
#[ignore = "a measurement, not a test: cargo test --release -- --ignored --nocapture"]
fn two_thousand_characters_in_a_tenth_of_a_millisecond() {
    for text in [
        "Please explain how the borrow checker works, with an example. ",
        "fn f(x: u32) -> u32 { x + 1 } // a@b.de ",
    ] {
        let prompt: String = text.chars().cycle().take(2000).collect();
        let start = std::time::Instant::now();
        for _ in 0..1000 {
            std::hint::black_box(redact(std::hint::black_box(&prompt)));
        }
        println!("{:?} for {text:?}", start.elapsed() / 1000);
    }
}

/// Pieces that scanners know, and what stands between them.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z]{1,4}",
        "[0-9]{1,6}",
        "[ .,:;=+@/\"'()_-]{1,2}",
        Just("a@b.de".to_owned()),
        Just("415-555-2671".to_owned()),
        Just("4111 1111 1111 1111".to_owned()),
        Just("password=".to_owned()),
        Just("phone ".to_owned()),
        Just("sk-a1b2c3d4e5f6g7h8i9".to_owned()),
        Just("eyJhbGciOi.eyJzdWIiOi.x".to_owned()),
        Just("://u:p@".to_owned()),
        Just("[email]".to_owned()),
        Just("é中".to_owned()),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|parts| parts.concat())
}

/// Whether any address is left, by a plain reading: letters, `@`, letters, a dot and two letters.
fn has_address(text: &str) -> bool {
    text.match_indices('@').any(|(at, _)| {
        let mailbox = text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "._%+-".contains(c));
        let host: String =
            text[at + 1..].chars().take_while(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).collect();
        let named = |label: &str| label.chars().take_while(char::is_ascii_alphabetic).count() >= 2;
        mailbox && host.split('.').skip(1).any(named)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn redacting_again_changes_nothing(text in pieces()) {
        let once = redact(&text);
        prop_assert_eq!(redact(&once), once.clone(), "{}", text);
    }

    #[test]
    fn any_text_is_redacted_and_grows_by_no_more_than_the_words_do(text in any::<String>()) {
        prop_assert!(redact(&text).len() <= text.len() * 5 / 2);
    }

    #[test]
    fn no_address_survives(text in pieces()) {
        let redacted = redact(&text);
        prop_assert!(!has_address(&redacted), "{} became {}", text, redacted);
    }

    #[test]
    fn no_card_survives(digits in proptest::collection::vec(0u8..10, 15), before in "[a-z ]{0,5} ", after in " [a-z]{0,5}") {
        let mut card: String = std::iter::once('4').chain(digits.iter().skip(1).map(|d| char::from(b'0' + d))).collect();
        let check = (0..10).find(|c| {
            let sum: u32 = format!("{card}{c}").bytes().rev().enumerate().map(|(i, b)| {
                let d = u32::from(b - b'0') << (i % 2);
                if d > 9 { d - 9 } else { d }
            }).sum();
            sum.is_multiple_of(10)
        });
        card += &check.unwrap().to_string();
        prop_assert_eq!(redact(&format!("{before}{card}{after}")), format!("{before}[card]{after}"));
    }
}
