//! Which language a prompt is in, by its scripts and a few very common words.

use serde::{Deserialize, Serialize};

use super::scan::{Scan, share};

/// What a prompt is written in, no finer than routing needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English, or Latin script without a sign of another language.
    En,
    /// Another language in Latin script.
    OtherLatin,
    /// Chinese, Japanese or Korean.
    Cjk,
    /// Russian and others in Cyrillic script.
    Cyrillic,
    /// Any other script.
    Other,
    /// No letters at all.
    #[default]
    Unknown,
}

/// Very common words of English. Words that are as common elsewhere (`in`, `die`, `was`, `me`, `no`) are
/// left out of both tables.
const ENGLISH: [&str; 44] = [
    "the", "of", "and", "to", "is", "are", "for", "with", "that", "this", "it", "you", "my", "how", "what",
    "why", "which", "write", "please", "can", "from", "have", "not", "be", "by", "your", "explain", "give",
    "make", "use", "does", "when", "where", "should", "would", "there", "if", "about", "between", "into",
    "find", "create", "list", "using",
];
/// Very common words of German, French, Spanish, Italian, Portuguese, Dutch, Polish, Turkish, Indonesian.
const OTHERS: [&str; 66] = [
    "der", "das", "und", "ein", "eine", "ist", "nicht", "ich", "wie", "für", "mit", "auf", "schreibe",
    "bitte", "le", "les", "des", "et", "un", "une", "est", "que", "pour", "dans", "je", "du", "vous", "el",
    "los", "las", "por", "y", "del", "cómo", "para", "con", "como", "il", "che", "di", "è", "per", "della",
    "sono", "os", "uma", "um", "não", "da", "het", "een", "van", "ik", "hoe", "jest", "się", "nie", "jak",
    "bir", "ve", "için", "yang", "dan", "untuk", "apa", "dengan",
];
/// So many words are enough to tell.
const LOOK_AT_WORDS: usize = 120;
/// A CJK character says about as much as three Latin ones.
const CJK_WEIGHT: u32 = 3;

// === impl Language ===

impl Language {
    /// What to tell about it; English and unknown go without saying.
    pub(super) fn sentence(self) -> Option<&'static str> {
        match self {
            Language::En | Language::Unknown => None,
            Language::OtherLatin => Some("the prompt is in a Latin-script language other than English"),
            Language::Cjk => Some("the prompt is in Chinese, Japanese or Korean"),
            Language::Cyrillic => Some("the prompt is in a Cyrillic-script language"),
            Language::Other => Some("the prompt is in another script"),
        }
    }
}

/// The language of a window. The script with the most letters decides; Latin is English unless more
/// common words of others occur, or none of either but letters that English lacks.
///
/// The score, 0..=1, is the share of the letters that are of its script, and of the common words met that are its own.
pub(super) fn of(scan: &Scan, text: &str) -> (Language, f32) {
    let scripts = [
        (scan.cjk.saturating_mul(CJK_WEIGHT), Language::Cjk),
        (scan.cyrillic, Language::Cyrillic),
        (scan.other_letters, Language::Other),
    ];
    let all = scripts.iter().fold(scan.latin, |sum, (letters, _)| sum.saturating_add(*letters));
    let (most, script) = scripts
        .into_iter()
        .fold((0, Language::Unknown), |best, script| if script.0 > best.0 { script } else { best });
    if scan.latin <= most {
        return (script, share(most, all));
    }
    let (language, certain) = latin(scan, text);
    (language, certain * share(scan.latin, all))
}

fn latin(scan: &Scan, text: &str) -> (Language, f32) {
    let (mut english, mut others) = (0_u32, 0_u32);
    let words = text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    for word in words.take(LOOK_AT_WORDS) {
        // All words of the tables are shorter than this.
        if word.len() > 9 {
            continue;
        }
        let word = word.to_lowercase();
        english += u32::from(ENGLISH.contains(&word.as_str()));
        others += u32::from(OTHERS.contains(&word.as_str()));
    }
    let foreign = others > english || (english == 0 && scan.latin_marked > 0);
    let (language, own) = if foreign { (Language::OtherLatin, others) } else { (Language::En, english) };
    // Half a word each to begin with: without any it is as good as a guess.
    (language, (own as f32 + 0.5) / ((english + others) as f32 + 1.0))
}
