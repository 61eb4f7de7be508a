//! The demo's driver: sends a schedule of prompts through the gateway, lets simulated users rate the
//! answers, and keeps the ledger from which the table and the verdict come. It judges answers by their
//! markers alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::task::JoinSet;

pub use self::client::Client;
pub use self::ledger::{Counts, Fate, Ledger, Summary, Verdict};
pub use self::schedule::{Turn, schedule};
pub use self::table::table;
use crate::marker::Marker;
use crate::prompts::Prompts;
use crate::sim::Price;
use crate::users::{Feedback, Users};

pub mod client;
mod ledger;
mod schedule;
mod table;

/// If so many requests fail before any succeeds, the rest would too.
const HOPELESS: usize = 20;
/// Waits between tries to rate an answer whose replay record is still on its way to the sidecar.
const RETRIES_MS: [u64; 7] = [0, 100, 200, 400, 800, 1_600, 3_200];

/// What to run, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// The gateway's base URL, without a trailing slash.
    pub gateway: String,
    /// The sidecar's base URL, without a trailing slash.
    pub sidecar: String,
    /// Requests to send.
    pub requests: usize,
    /// Requests in flight at a time.
    pub concurrency: usize,
    /// Each client's pause after an answer, in which the learner may catch up.
    pub pause: Duration,
    /// Seeds the schedule and the users.
    pub seed: u64,
}

/// An answered request: its fate, and what the user has to say to the sidecar.
struct Heard {
    fate: Fate,
    routed: bool,
    rating: Option<(String, Feedback)>,
}

/// Sends all requests; calls `progress` after each, and once more when the ratings are through.
///
/// # Errors
/// A sentence, if the sidecar does not tell its prices, there are no prompts, or the first 20 requests
/// all fail.
pub async fn run(
    options: &Options,
    prompts: &Prompts,
    mut progress: impl FnMut(&Ledger),
) -> Result<Ledger, String> {
    let client = Client::default();
    let prices = client.prices(&options.sidecar).await?;
    let turns = schedule(prompts, options.requests, options.seed);
    if turns.is_empty() {
        return Err("there is nothing to send: the prompt file is empty or --requests is 0".to_owned());
    }
    let users = Users::new(options.seed);
    let mut ledger = Ledger::new(turns.len());
    let mut ratings = JoinSet::new();
    let mut answers = stream::iter(turns.iter().enumerate())
        .map(|(place, turn)| {
            let (client, prices) = (&client, &prices);
            async move {
                let heard = hear(client, options, prices, turn, place, users).await;
                (place, turn, heard)
            }
        })
        .buffer_unordered(options.concurrency.max(1));
    let sidecar: Arc<str> = options.sidecar.as_str().into();
    while let Some((place, turn, heard)) = answers.next().await {
        let fate = heard.map_or_else(Fate::Failed, |heard| {
            if let Some((id, feedback)) = heard.rating {
                ratings.spawn(rate(client.clone(), Arc::clone(&sidecar), id, feedback));
            }
            ledger.counts.unrouted += usize::from(!heard.routed);
            heard.fate
        });
        ledger.record(place, &turn.prompt.category, fate);
        while let Some(rated) = ratings.try_join_next() {
            count(&mut ledger, matches!(rated, Ok(true)));
        }
        if ledger.done() >= HOPELESS && ledger.failed() == ledger.done() {
            let why = ledger.last_failure().unwrap_or_default();
            return Err(format!("gave up, as the first {HOPELESS} requests all failed: {why}"));
        }
        progress(&ledger);
    }
    while let Some(rated) = ratings.join_next().await {
        count(&mut ledger, matches!(rated, Ok(true)));
    }
    progress(&ledger);
    Ok(ledger)
}

fn count(ledger: &mut Ledger, rated: bool) {
    let counter = if rated { &mut ledger.counts.rated } else { &mut ledger.counts.ratings_lost };
    *counter += 1;
}

/// Asks one prompt and judges the answer.
async fn hear(
    client: &Client,
    options: &Options,
    prices: &BTreeMap<String, Price>,
    turn: &Turn<'_>,
    place: usize,
    users: Users,
) -> Result<Heard, String> {
    // Everyone asks once; without names, a prompt that comes again would pass for a wish for another answer.
    let user = format!("user-{place}");
    let answered = client.ask(&options.gateway, &user, &turn.prompt.prompt, turn.stream).await;
    tokio::time::sleep(options.pause).await;
    let reply = answered?;
    let marker = Marker::read(&reply.text)
        .ok_or("the answer has no marker of the simulator; is the gateway's upstream sim-llm?")?;
    let routed = reply.selected_model.is_some();
    let route = reply.selected_model.unwrap_or_else(|| marker.model.clone());
    // The bill follows the model that answered, which after a fallback is not the one first chosen.
    let price = prices.get(&marker.model).or_else(|| prices.get(&route)).ok_or_else(|| {
        format!(
            "the sidecar lists no price for `{}`, which answered; add the model to its config",
            marker.model
        )
    })?;
    let dollars = price.dollars(reply.input_tokens, reply.output_tokens);
    // The first quarter shows the router before anybody told it anything: its users keep silent.
    let silent = place < options.requests / 4;
    let feedback = users.feedback(place as u64, &marker).filter(|_| !silent);
    let rating = reply.replay_id.zip(feedback);
    Ok(Heard { fate: Fate::Answered { route, reward: Users::verdict(&marker), dollars }, routed, rating })
}

/// Rates an answer; `false` if the sidecar never took it.
async fn rate(client: Client, sidecar: Arc<str>, id: String, feedback: Feedback) -> bool {
    for wait in RETRIES_MS {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        if let Ok(true) = client.rate(&sidecar, &id, feedback).await {
            return true;
        }
    }
    false
}
