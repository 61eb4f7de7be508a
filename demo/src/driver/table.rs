//! The table that the demo prints: for each category the routes taken, the reward and the cost, before
//! and now.

use std::fmt::Write;

use super::ledger::{Ledger, Summary};

/// The table in plain text, each line ended by a newline.
pub fn table(ledger: &Ledger) -> String {
    let routes: Vec<_> = ledger.routes().into_iter().collect();
    let width = |route: &str| route.chars().count().max(6) + 2;
    let mut text = status(ledger);
    let names: String = routes.iter().map(|route| format!("{route:>0$}", width(route))).collect();
    line(&mut text, "category", "", &names, "reward", "$/1,000");
    let categories = ledger.categories().into_iter().map(Some).chain([None]);
    for category in categories {
        for (when, summary) in [("before", ledger.before(category)), ("now", ledger.now(category))] {
            let share = |route: &&str| format!("{:>1$}", percent(summary.share(route)), width(route));
            let shares: String = routes.iter().map(share).collect();
            let name = if when == "before" { category.unwrap_or("all") } else { "" };
            let (reward, dollars) = means(&summary);
            line(&mut text, name, when, &shares, &reward, &dollars);
        }
    }
    text
}

fn status(ledger: &Ledger) -> String {
    let counts = ledger.counts;
    let mut text = format!(
        "request {} of {}, {} failed, {} rated",
        ledger.done(),
        ledger.requests(),
        ledger.failed(),
        counts.rated
    );
    for (count, what) in
        [(counts.ratings_lost, "ratings lost"), (counts.unrouted, "answered without the router's choice")]
    {
        if count > 0 {
            let _ = write!(text, ", {count} {what}"); // writing to a String cannot fail
        }
    }
    text + "\n"
}

fn line(text: &mut String, category: &str, when: &str, routes: &str, reward: &str, dollars: &str) {
    let row = format!("  {category:<10}{when:<7}{routes}{reward:>9}{dollars:>9}");
    text.push_str(row.trim_end());
    text.push('\n');
}

fn percent(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:.0} %", 100.0 * share))
}

fn means(summary: &Summary) -> (String, String) {
    let show = |mean: Option<f64>| mean.map_or("-".to_owned(), |mean| format!("{mean:.2}"));
    (show(summary.reward()), show(summary.dollars_per_1000()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::ledger::Fate;

    #[test]
    fn each_category_has_a_line_before_and_a_line_now() {
        let mut ledger = Ledger::new(4);
        for (place, route) in ["small", "large", "large", "large"].into_iter().enumerate() {
            let reward = if route == "large" { 1.0 } else { 0.0 };
            ledger.record(place, "math", Fate::Answered { route: route.into(), reward, dollars: 0.0005 });
        }
        ledger.counts.unrouted = 2;
        let expected = "\
request 4 of 4, 0 failed, 0 rated, 2 answered without the router's choice
  category            large   small   reward  $/1,000
  math      before      0 %   100 %     0.00     0.50
            now       100 %     0 %     1.00     0.50
  all       before      0 %   100 %     0.00     0.50
            now       100 %     0 %     1.00     0.50
";
        assert_eq!(table(&ledger), expected);
    }

    #[test]
    fn nothing_known_yet_shows_dashes() {
        let text = table(&Ledger::new(4));
        assert!(text.contains("all       before         -        -"), "{text}");
    }
}
