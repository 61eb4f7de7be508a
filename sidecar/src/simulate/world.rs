//! The world of one run: what every arm would answer at every step, with its drift, and which arms there are.

use std::path::Path;

use serde_json::Value;

use super::rows::{Answer, Arms};

/// Something that changes for one arm at one step of the score stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Event {
    /// 0 is before the first scored row.
    pub(crate) step: usize,
    pub(crate) arm: usize,
    pub(crate) change: Change,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Change {
    /// The price becomes this many times what it was: configured, so the router is told.
    Price(f64),
    /// Rewards are at most this from now on (`None` lifts it): nobody is told.
    Cap(Option<f64>),
    /// The arm, absent until now, may be used.
    Add,
    /// The arm may not be used any more.
    Remove,
}

/// What holds at one step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct World {
    price: Vec<f64>,
    cap: Vec<Option<f64>>,
    present: Vec<bool>,
}

// === impl World ===

impl World {
    /// Before the first event: arms that will be added are absent.
    pub(crate) fn before(arms: usize, events: &[Event]) -> Self {
        let mut world = Self { price: vec![1.0; arms], cap: vec![None; arms], present: vec![true; arms] };
        for event in events.iter().filter(|e| e.change == Change::Add) {
            world.present[event.arm] = false;
        }
        world
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event.change {
            Change::Price(factor) => self.price[event.arm] *= factor,
            Change::Cap(cap) => self.cap[event.arm] = cap,
            Change::Add => self.present[event.arm] = true,
            Change::Remove => self.present[event.arm] = false,
        }
    }

    /// What each arm gives for a row recorded as `answers`: `None` if it is absent or was not recorded.
    pub(crate) fn truth(&self, answers: &[Option<Answer>]) -> Vec<Option<Answer>> {
        let one = |(arm, answer): (usize, &Option<Answer>)| {
            let answer = answer.filter(|_| self.present[arm])?;
            let reward = self.cap[arm].map_or(answer.reward, |cap| answer.reward.min(cap));
            Some(Answer { reward, cost: answer.cost.map(|c| c * self.price[arm]) })
        };
        answers.iter().enumerate().map(one).collect()
    }
}

/// Reads a drift file: `[{"step": 595, "arm": "name", "price": 0.1, "reward_cap": 0.75}]`, or that list under
/// `"events"`. `price` multiplies the arm's price of then, `reward_cap: null` lifts a cap.
///
/// # Errors
///
/// Every fault, a line each, with the file and the number of the event.
pub(crate) fn read_drift(path: &Path, arms: &Arms) -> Result<Vec<Event>, String> {
    let file = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|e| format!("{file}: cannot be read: {e}; check --drift"))?;
    let document: Value =
        serde_json::from_str(&text).map_err(|e| format!("{file}: is not JSON: {e}; mend it there"))?;
    let list = document.get("events").unwrap_or(&document).as_array().ok_or_else(|| {
        format!("{file}: must be a list of events such as {{\"step\": 595, \"arm\": NAME, \"price\": 0.1}}")
    })?;
    let (mut events, mut faults) = (Vec::new(), Vec::new());
    for (number, value) in list.iter().enumerate() {
        match read_event(value, arms) {
            Ok(found) => events.extend(found),
            Err(why) => faults.push(format!("{file}, event {}: {why}", number + 1)),
        }
    }
    if faults.is_empty() { Ok(events) } else { Err(faults.join("\n")) }
}

fn read_event(value: &Value, arms: &Arms) -> Result<Vec<Event>, String> {
    const KNOWN: [&str; 6] = ["step", "at", "arm", "model", "price", "reward_cap"];
    let object = value.as_object().ok_or("must be an object {\"step\", \"arm\", \"price\"}")?;
    if let Some(key) = object.keys().find(|k| !KNOWN.contains(&k.as_str())) {
        return Err(format!("\"{key}\" is not known; known are {}", KNOWN.join(", ")));
    }
    let either = |a: &str, b: &str| object.get(a).or_else(|| object.get(b));
    let step = either("step", "at").and_then(Value::as_u64);
    let step = step.ok_or("\"step\" must be a row number of the score stream, from 0")? as usize;
    let name = either("arm", "model").and_then(Value::as_str);
    let arm = arms.find(name.ok_or("\"arm\" must name an arm")?)?;
    let mut changes = Vec::new();
    if let Some(price) = object.get("price") {
        let factor = price.as_f64().filter(|p| *p >= 0.0);
        changes.push(Change::Price(factor.ok_or("\"price\" must be a factor from 0 up, such as 0.1")?));
    }
    if let Some(cap) = object.get("reward_cap") {
        let value = cap.as_f64().filter(|c| (0.0..=1.0).contains(c));
        if value.is_none() && !cap.is_null() {
            return Err("\"reward_cap\" must be in 0..1, or null to lift it".into());
        }
        changes.push(Change::Cap(value));
    }
    if changes.is_empty() {
        return Err("says nothing that changes; give \"price\" or \"reward_cap\"".into());
    }
    Ok(changes.into_iter().map(|change| Event { step, arm, change }).collect())
}

/// Reads `NAME@STEP` of `--add-arm` and `--remove-arm`.
pub(crate) fn read_at(text: &str, change: Change, arms: &Arms) -> Result<Event, String> {
    let (name, step) = text.rsplit_once('@').ok_or("write NAME@STEP, such as small@600")?;
    let step = step.parse().map_err(|_| format!("\"{step}\" is no row number; write NAME@STEP"))?;
    Ok(Event { step, arm: arms.find(name)?, change })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::rows;

    fn arms(dir: &Path) -> Arms {
        let mut arms = Arms::default();
        let file = dir.join("rows");
        std::fs::write(&file, r#"{"prompt":"x","arms":{"a":{"reward":1},"b":{"reward":1}}}"#).unwrap();
        rows::read(&file, &mut arms).unwrap();
        arms
    }

    #[test]
    fn prices_multiply_caps_hold_and_absent_arms_answer_nothing() {
        let events = [
            Event { step: 0, arm: 0, change: Change::Price(0.1) },
            Event { step: 0, arm: 0, change: Change::Cap(Some(0.5)) },
            Event { step: 0, arm: 1, change: Change::Add },
        ];
        let mut world = World::before(2, &events);
        let answers = [Some(Answer { reward: 0.9, cost: Some(2.0) }); 2];
        assert_eq!(world.truth(&answers), [answers[0], None]);
        events.iter().for_each(|e| world.apply(e));
        assert_eq!(world.truth(&answers), [Some(Answer { reward: 0.5, cost: Some(0.2) }), answers[1]]);
        world.apply(&Event { step: 1, arm: 0, change: Change::Cap(None) });
        world.apply(&Event { step: 1, arm: 0, change: Change::Price(10.0) });
        assert_eq!(world.truth(&answers), answers);
    }

    #[test]
    fn a_drift_file_is_a_list_or_an_object_with_events() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("drift.json");
        let arms = arms(dir.path());
        std::fs::write(&file, r#"{"events":[{"at":5,"model":"b","price":10,"reward_cap":null}]}"#).unwrap();
        let event = |change| Event { step: 5, arm: 1, change };
        let want = [event(Change::Price(10.0)), event(Change::Cap(None))];
        assert_eq!(read_drift(&file, &arms).unwrap(), want);
    }

    #[test]
    fn every_faulty_event_is_told_with_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("drift.json");
        let arms = arms(dir.path());
        let text = r#"[{"step":1,"arm":"a"},{"step":-1,"arm":"a","price":1},{"step":1,"arm":"z","price":1},
            {"step":1,"arm":"a","reward_cap":2},{"step":1,"arm":"a","cost":2}]"#;
        std::fs::write(&file, text).unwrap();
        let told = read_drift(&file, &arms).unwrap_err();
        for part in [
            "drift.json, event 1: says nothing",
            "event 2: \"step\"",
            "event 3: no arm is named",
            "event 4: \"reward_cap\"",
            "event 5: \"cost\" is not known",
        ] {
            assert!(told.contains(part), "{part} in\n{told}");
        }
    }
}
