//! Reads recorded rows: `{"id", "source", "prompt", "arms": {model: {"reward": 0..1, "cost": dollars or null}}}`, one
//! JSON object a line, plain or gzipped. Everything wrong with a file is told together, each with its line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Faults told of one file; the rest is only counted.
const TOLD: usize = 20;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// What one model answered to one prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Answer {
    /// 0..=1.
    pub(crate) reward: f64,
    /// Dollars; `None` where nobody wrote it down.
    pub(crate) cost: Option<f64>,
}

/// One prompt with the answers of the models that were asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) prompt: String,
    /// By arm, in the order of [`Arms`].
    pub(crate) answers: Vec<Option<Answer>>,
}

/// The names of all arms of all files, in the order they were first met.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Arms(Vec<String>);

#[derive(Deserialize)]
struct RawRow {
    prompt: String,
    arms: Map<String, Value>,
}

#[derive(Deserialize)]
struct RawAnswer {
    reward: f64,
    cost: Option<f64>,
}

// === impl Arms ===

impl Arms {
    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn name(&self, arm: usize) -> &str {
        self.0.get(arm).map_or("", String::as_str)
    }

    /// The arm of this name, or the only one with it as a part, in whatever case.
    ///
    /// # Errors
    ///
    /// A sentence that lists the arms, if none or several fit.
    pub(crate) fn find(&self, name: &str) -> Result<usize, String> {
        if let Some(exact) = self.0.iter().position(|n| n == name) {
            return Ok(exact);
        }
        let part = name.to_lowercase();
        let fit: Vec<usize> =
            (0..self.len()).filter(|&i| self.name(i).to_lowercase().contains(&part)).collect();
        match fit.as_slice() {
            [one] => Ok(*one),
            [] => Err(format!("no arm is named \"{name}\"; the rows have {}", self.0.join(", "))),
            _ => Err(format!("\"{name}\" fits several arms ({}); write more of it", self.0.join(", "))),
        }
    }

    fn index(&mut self, name: &str) -> usize {
        self.0.iter().position(|n| n == name).unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        })
    }
}

/// Reads one file; new arms are added to `arms`, so rows read earlier may have shorter `answers` (see [`widen`]).
///
/// # Errors
///
/// The file cannot be read or has no rows, or a sentence for each faulty line.
pub(crate) fn read(path: &Path, arms: &mut Arms) -> Result<Vec<Row>, String> {
    let file = path.display();
    let reader = open(path).map_err(|e| format!("{file}: cannot be read: {e}; check the path"))?;
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for (number, line) in reader.lines().enumerate() {
        let place = format!("{file}, line {}", number + 1);
        let line = match line {
            Ok(line) => line,
            Err(e) => {
                faults.push(format!("{place}: cannot be read on: {e}; is the file whole, and UTF-8?"));
                break;
            }
        };
        if line.trim().is_empty() {
            continue;
        }
        match parse(&line, arms) {
            Ok(row) => rows.push(row),
            Err(why) => faults.push(format!("{place}: {why}")),
        }
    }
    if rows.is_empty() && faults.is_empty() {
        faults.push(format!("{file}: has no rows; one JSON object a line is needed"));
    }
    match faults.len() {
        0 => Ok(rows),
        n => {
            faults.truncate(TOLD);
            if n > TOLD {
                faults.push(format!("{file}: and {} more faulty lines", n - TOLD));
            }
            Err(faults.join("\n"))
        }
    }
}

/// Gives every row an entry for every arm.
pub(crate) fn widen(rows: &mut [Row], arms: &Arms) {
    rows.iter_mut().for_each(|row| row.answers.resize(arms.len(), None));
}

fn open(path: &Path) -> std::io::Result<Box<dyn BufRead>> {
    let mut reader = BufReader::new(File::open(path)?);
    let zipped = reader.fill_buf()?.starts_with(&GZIP);
    let plain: Box<dyn Read> = if zipped { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) };
    Ok(Box::new(BufReader::new(plain)))
}

fn parse(line: &str, arms: &mut Arms) -> Result<Row, String> {
    let raw: RawRow = serde_json::from_str(line).map_err(|e| {
        format!("is not a row: {e}; write {{\"prompt\": …, \"arms\": {{model: {{\"reward\", \"cost\"}}}}}}")
    })?;
    if raw.prompt.trim().is_empty() {
        return Err("the prompt is empty; leave the row out".into());
    }
    if raw.arms.is_empty() {
        return Err("\"arms\" names no model; leave the row out".into());
    }
    let mut answers = vec![None; arms.len()];
    for (name, value) in raw.arms {
        let answer = answer(&name, value)?;
        let arm = arms.index(&name);
        answers.resize(answers.len().max(arm + 1), None);
        answers[arm] = Some(answer);
    }
    Ok(Row { prompt: raw.prompt, answers })
}

fn answer(arm: &str, value: Value) -> Result<Answer, String> {
    let raw: RawAnswer = serde_json::from_value(value).map_err(|e| format!("arm \"{arm}\": {e}"))?;
    if !(0.0..=1.0).contains(&raw.reward) {
        return Err(format!("arm \"{arm}\": the reward is {}; scale rewards into 0..1", raw.reward));
    }
    if raw.cost.is_some_and(|c| !(c.is_finite() && c >= 0.0)) {
        return Err(format!("arm \"{arm}\": the cost must be dollars from 0 up, or null"));
    }
    Ok(Answer { reward: raw.reward, cost: raw.cost })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const GOOD: &str =
        r#"{"id":"1","prompt":"hi","arms":{"a":{"reward":1,"cost":0.1},"b":{"reward":0,"cost":null}}}"#;

    fn read_text(text: &[u8]) -> Result<(Vec<Row>, Arms), String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.jsonl");
        std::fs::write(&path, text).unwrap();
        let mut arms = Arms::default();
        let mut rows = read(&path, &mut arms)?;
        widen(&mut rows, &arms);
        Ok((rows, arms))
    }

    #[test]
    fn rows_may_have_different_arms_and_be_gzipped() {
        let text = format!("{GOOD}\n\n{}\n", r#"{"prompt":"yo","arms":{"c":{"reward":0.5}}}"#);
        let (rows, arms) = read_text(text.as_bytes()).unwrap();
        assert_eq!(arms.names(), ["a", "b", "c"]);
        assert_eq!(rows[0].answers[1], Some(Answer { reward: 0.0, cost: None }));
        assert_eq!(rows[1].answers, [None, None, Some(Answer { reward: 0.5, cost: None })]);
        let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zip.write_all(text.as_bytes()).unwrap();
        assert_eq!(read_text(&zip.finish().unwrap()).unwrap(), (rows, arms));
    }

    #[test]
    fn every_faulty_line_is_told_with_its_number() {
        let text = format!(
            "{GOOD}\n{}\n{}\n{}\nnonsense\n{}\n",
            r#"{"prompt":"x","arms":{"a":{"reward":7,"cost":0}}}"#,
            r#"{"prompt":" ","arms":{"a":{"reward":1}}}"#,
            r#"{"prompt":"x","arms":{"a":{"reward":1,"cost":-1}}}"#,
            r#"{"prompt":"x","arms":{}}"#,
        );
        let told = read_text(text.as_bytes()).unwrap_err();
        for part in [
            "rows.jsonl, line 2: arm \"a\": the reward is 7; scale",
            "line 3: the prompt is empty",
            "line 4: arm \"a\": the cost must be",
            "line 5: is not a row",
            "line 6: \"arms\" names no model",
        ] {
            assert!(told.contains(part), "{part} in\n{told}");
        }
    }

    #[test]
    fn an_empty_a_missing_and_a_cut_file_are_told() {
        assert!(read_text(b"\n").unwrap_err().contains("has no rows"));
        let missing = read(Path::new("/nowhere.jsonl"), &mut Arms::default()).unwrap_err();
        assert!(missing.contains("/nowhere.jsonl: cannot be read"), "{missing}");
        let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zip.write_all(GOOD.as_bytes()).unwrap();
        let bytes = zip.finish().unwrap();
        assert!(read_text(&bytes[..bytes.len() - 10]).unwrap_err().contains("is the file whole"));
    }

    #[test]
    fn an_arm_is_found_by_its_name_or_a_part_that_only_it_has() {
        let arms = Arms(vec!["x/big".into(), "x/big-2".into(), "y".into()]);
        assert_eq!(arms.find("x/big"), Ok(0), "an exact name wins over parts");
        assert_eq!((arms.find("-2"), arms.find("Y")), (Ok(1), Ok(2)));
        assert!(arms.find("big").unwrap_err().contains("several"));
        assert!(arms.find("z").unwrap_err().contains("x/big, x/big-2, y"));
    }
}
