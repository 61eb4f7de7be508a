//! `dragoman report`, and the weekly one: what a stretch of time was like, as Markdown and as one HTML file.
//!
//! This room owns which numbers are told and how they look. It only reads, beside a `serve` that may be running. It
//! must not know the learner, and no prompt may get into a report.

mod gather;
mod html;
mod markdown;
mod svg;

use std::path::{Path, PathBuf};

use dragoman_core::config::Config;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::clock::now_ms;
use crate::evaluate::window;
use crate::log::{self, View, open_reader};
use crate::{document, log as replay_log};

use gather::Story;

/// Milliseconds of a week.
const WEEK_MS: u64 = 604_800_000;

/// The command's arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "dragoman.yaml")]
    config: PathBuf,
    /// From when on: a time (RFC 3339) or an age such as 7d, 12h
    #[arg(long, value_name = "TIME", default_value = "7d")]
    since: String,
    /// Where the files go, instead of `reports` in `data_dir`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command and prints the paths of what it wrote.
///
/// # Errors
///
/// A sentence: the configuration, the window or the log cannot be used, or a file cannot be written.
pub fn run(args: &Args) -> Result<(), String> {
    let config = document::load(&args.config)?;
    let now = now_ms();
    let (from, _) = window::read(Some(&args.since), None, now)?;
    let path = replay_log::path(config.data_dir.as_ref());
    if !path.exists() {
        return Err(format!("{}: there is no replay log yet; start `dragoman serve` first", path.display()));
    }
    let folder = args.out.clone().unwrap_or_else(|| folder(&config));
    write(&path, (from, now), &folder)?.iter().for_each(|file| println!("{file}"));
    Ok(())
}

/// Where reports go by the configuration.
pub fn folder(config: &Config) -> PathBuf {
    Path::new(&config.data_dir).join("reports")
}

/// The week that ends at `now`, milliseconds since the Unix epoch.
pub fn last_week(now: u64) -> (u64, u64) {
    (now.saturating_sub(WEEK_MS), now)
}

/// The tag of the snapshot that is kept of the week of `now`: `weekly-2026-47`, by ISO 8601.
pub fn week_tag(now: u64) -> String {
    let week = day(now).iso_week_date();
    format!("weekly-{:04}-{:02}", week.year(), week.week())
}

/// Writes the report of `window` (milliseconds since the Unix epoch) on the log at `path` into `folder`, and gives the
/// paths of both files.
///
/// # Errors
///
/// A sentence with the path.
pub fn write(path: &Path, window: (u64, u64), folder: &Path) -> Result<Vec<String>, String> {
    let read = |e: log::LogError| format!("{}: {e}", path.display());
    let conn = open_reader(path).map_err(read)?;
    let story = Story::of(View::of(&conn), window).map_err(read)?;
    std::fs::create_dir_all(folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    let name = format!("report-{}", day(window.1));
    let texts = [("md", markdown::text(&story)), ("html", html::text(&story))];
    let file = |(kind, text): (&str, String)| {
        let file = folder.join(format!("{name}.{kind}"));
        let written = std::fs::write(&file, text);
        written.map_err(|e| format!("cannot write {}: {e}", file.display()))?;
        Ok(file.display().to_string())
    };
    texts.into_iter().map(file).collect()
}

/// The day of a moment, in UTC.
fn day(ms: u64) -> jiff::civil::Date {
    let moment = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    moment.unwrap_or(Timestamp::MAX).to_zoned(TimeZone::UTC).date()
}

/// A moment to the minute, in UTC.
fn minute(ms: u64) -> String {
    window::text(ms / 60_000 * 60_000).replace('T', " ").replace(":00Z", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_are_those_of_iso_8601() {
        assert_eq!(week_tag(1_795_257_000_000), "weekly-2026-47");
        // 2027-01-01 is a Friday: it belongs to the last week of 2026.
        assert_eq!(week_tag(1_798_761_600_000), "weekly-2026-53");
        assert_eq!(minute(1_795_257_000_000), "2026-11-21 10:30");
    }
}
