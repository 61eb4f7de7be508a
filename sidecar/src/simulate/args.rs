//! The command line of `dragoman simulate`.

use std::path::PathBuf;

/// Options of `dragoman simulate`; each `FILE` of rows is JSON lines, plain or gzipped.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Rows to score, and with --learn-first to learn from too (the same as --score)
    #[arg(value_name = "FILE", conflicts_with = "score")]
    pub(crate) file: Option<PathBuf>,
    /// Rows streamed first, to learn from; may stand several times
    #[arg(long, value_name = "FILE")]
    pub(crate) learn: Vec<PathBuf>,
    /// Rows that are scored, still learning
    #[arg(long, value_name = "FILE")]
    pub(crate) score: Option<PathBuf>,
    /// Learn on this many shuffled rows of the one file, score the rest
    #[arg(long, value_name = "N", conflicts_with = "learn")]
    pub(crate) learn_first: Option<usize>,
    /// Learn nothing while scoring
    #[arg(long)]
    pub(crate) frozen: bool,
    /// Ceiling of the mean cost of a request
    #[arg(long, value_name = "DOLLARS", allow_negative_numbers = true)]
    pub(crate) budget: Option<f64>,
    /// Runs, each with its own order of the rows
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) seeds: usize,
    /// The first run's seed; the others follow it
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) seed_base: u64,
    /// The policy, as policy.kind in dragoman.yaml [default: matching, with --apgr uniform]
    #[arg(long, value_name = "NAME")]
    pub(crate) policy: Option<String>,
    /// Any other setting of dragoman.yaml's policy, learner or signals, such as policy.alpha=0.2
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Feedback arrives this many steps late
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub(crate) delay: usize,
    /// Share of feedback that arrives inverted, as 1 - reward
    #[arg(long, value_name = "P", default_value_t = 0.0, allow_negative_numbers = true)]
    pub(crate) poison: f64,
    /// Only feedback on this arm is inverted: raters who lie about one model
    #[arg(long, value_name = "NAME", requires = "poison")]
    pub(crate) poison_arm: Option<String>,
    /// Changes of prices and rewards at steps of the score stream
    #[arg(long, value_name = "FILE.json")]
    pub(crate) drift: Option<PathBuf>,
    /// The arm is absent before this step of the score stream
    #[arg(long, value_name = "NAME@STEP")]
    pub(crate) add_arm: Vec<String>,
    /// The arm is absent from this step of the score stream on
    #[arg(long, value_name = "NAME@STEP")]
    pub(crate) remove_arm: Vec<String>,
    /// Measure APGR, CPT50 and CPT80 between two arms; explores them uniformly unless --policy is given
    #[arg(long, value_name = "WEAK,STRONG")]
    pub(crate) apgr: Option<String>,
    /// Check the off-policy estimates of other policies, made from the log, against the truth
    #[arg(long)]
    pub(crate) off_policy: bool,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw learning curves
    #[arg(long, value_name = "FILE.png")]
    pub(crate) plot: Option<PathBuf>,
    /// Folder of another encoder: model.onnx, tokenizer.json, projection.safetensors
    #[arg(long, value_name = "DIR")]
    pub(crate) encoder: Option<PathBuf>,
    /// Tokens read of a prompt, as encoder.max_tokens in dragoman.yaml
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub(crate) max_tokens: usize,
    /// Observations between two snapshots [default: 1 at first, then about 1 % of those so far]
    #[arg(long, value_name = "K")]
    pub(crate) publish_every: Option<u64>,
    /// Folder of cached embeddings [default: dragoman/embeddings in the user's cache folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Threads [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
}
