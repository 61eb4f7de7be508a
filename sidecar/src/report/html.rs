//! The report as one HTML file that needs nothing else: style and charts are within it.

use std::fmt::Write as _;

use super::gather::{Day, Story};
use super::markdown::{Table, summary, tables, title};
use super::svg::{Chart, Label};

/// Light and dark. The series colours keep apart for most kinds of colour blindness (Okabe & Ito 2008).
const STYLE: &str = "
:root{--c0:#0072b2;--c1:#e69f00;--c2:#009e73;--c3:#cc79a7;--c4:#d55e00;--c5:#56b4e9;--c6:#8a7a00;--c7:#666;
--ink:#1c1c1c;--soft:#666;--line:#ddd;--page:#fff;color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--c0:#4aa8e0;--c6:#f0e442;--c7:#aaa;--ink:#e8e8e8;--soft:#a0a0a0;--line:#3a3a3a;--page:#161616}}
body{margin:2rem auto;max-width:75rem;padding:0 1rem;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page)}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(26rem,1fr));gap:1.5rem}
figure{margin:0}figcaption{font-weight:600;margin-bottom:.25rem}svg{width:100%;height:auto}
svg text{font-size:11px;fill:var(--soft)}.grid{stroke:var(--line)}path{fill:none;stroke-width:2}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.25rem 1rem;margin:.25rem 0 0;padding:0;font-size:.85rem}
.legend i{display:inline-block;width:.7rem;height:.7rem;margin-right:.35rem;border-radius:2px}
.table{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
th{color:var(--soft);font-weight:600;white-space:nowrap}
";

pub(super) fn text(story: &Story) -> String {
    let (title, summary) = (escape(&title(story)), escape(&summary(story)));
    let mut colours = String::new();
    for n in 0..8 {
        // Writing into a text cannot fail.
        let _ = write!(
            colours,
            ".s{n}{{stroke:var(--c{n})}}.f{n}{{fill:var(--c{n})}}.b{n}{{background:var(--c{n})}}"
        );
    }
    let charts: String = charts(story).iter().map(Chart::figure).collect();
    let tables: String = tables(story).iter().map(table).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}{colours}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{summary}</p>\n\
         <div class=\"charts\">\n{charts}</div>\n{tables}</body>\n</html>\n"
    )
}

fn charts(story: &Story) -> Vec<Chart<'_>> {
    let days: Vec<&str> = story.days.iter().map(|day| day.name.as_str()).collect();
    let line = |name: &str, of: &dyn Fn(&Day) -> Option<f64>| {
        (name.to_owned(), story.days.iter().map(of).collect::<Vec<_>>())
    };
    let share = |model: &String| {
        line(model, &|day| {
            let n = day.models.get(model).copied().unwrap_or_default();
            (day.tally.records > 0).then(|| n as f64 / day.tally.records as f64)
        })
    };
    let number: Label = |v| format!("{v:.3}");
    let percent: Label = |v| format!("{:.1} %", v * 100.0);
    let dollars: Label = |v| format!("${v:.4}");
    let ms: Label = |v| format!("{v:.0} ms");
    let whole: Label = |v| format!("{v:.0}");
    let plain = [
        ("Mean reward", number, false, vec![line("reward", &|d| d.tally.reward())]),
        ("Dollars", dollars, true, vec![line("dollars", &|d| Some(d.tally.dollars))]),
        ("Share of each model", percent, true, story.models.keys().map(share).collect()),
        ("Success rate", percent, false, vec![line("success", &|d| d.tally.success())]),
        (
            "Latency",
            ms,
            false,
            vec![
                line("median", &|d| d.tally.latency(0.5)),
                line("95th percentile", &|d| d.tally.latency(0.95)),
            ],
        ),
        ("Explored", percent, false, vec![line("explored", &|d| d.tally.explored())]),
        ("Requests", whole, true, vec![line("requests", &|d| Some(d.tally.records as f64))]),
        ("Feedback", whole, true, vec![line("feedback", &|d| Some(d.feedback as f64))]),
    ];
    plain
        .into_iter()
        .map(|(title, label, stacked, series)| Chart { title, label, stacked, days: days.clone(), series })
        .collect()
}

fn table(Table { title, head, rows }: &Table) -> String {
    let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        cells.map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect::<String>()
    };
    let head = cells("th", &mut head.iter().copied());
    let rows: String = rows
        .iter()
        .map(|row| format!("<tr>{}</tr>\n", cells("td", &mut row.iter().map(String::as_str))))
        .collect();
    format!(
        "<h2>{title}</h2>\n<div class=\"table\"><table><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></div>\n"
    )
}

/// Text within HTML.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}
