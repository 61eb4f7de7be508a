//! An OpenAI- and Anthropic-compatible stand-in for LLM servers, so that demo and tests need neither a
//! key nor a network. One process serves several models, each on its own port; every answer starts with
//! a [`Marker`](crate::marker::Marker) that says whether it is good.
//!
//! Beside the four generating endpoints every port has `GET /v1/models`, `GET /stats` (all models),
//! `GET /last` (the last request of this port's model) and `POST /control` (a [`Control`]).

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::serve::ListenerExt;
use tokio::sync::oneshot;

pub use self::config::{BreakStream, Latency, ModelConfig, OutputTokens, Price, SimConfig};
use self::state::State;
pub use self::state::{Control, LastRequest, LatencyChange, ModelStats, Stats};
use crate::prompts::{Prompts, PromptsError};

mod ask;
mod config;
mod http;
mod outcome;
mod render;
mod state;

/// Running simulated models, on a thread of their own. Dropping it stops them: when `drop` returns,
/// the ports are closed and open connections are cut.
pub struct SimLlm {
    state: Arc<State>,
    addrs: Vec<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why the simulator did not start, or a change was refused.
#[derive(Debug)]
pub enum SimError {
    /// The configuration file could not be read.
    Unreadable(PathBuf, std::io::Error),
    /// The configuration's mistakes, each as `path: sentence`.
    Config(Vec<String>),
    /// The prompt file was refused.
    Prompts(PromptsError),
    /// A model's address could not be bound.
    Bind(String, SocketAddr, std::io::Error),
    /// The thread or its event loop did not start.
    Thread(std::io::Error),
    /// A live change was refused; nothing changed.
    Control(String),
}

// === impl SimLlm ===

impl SimLlm {
    /// Binds every port and starts serving; needs no async runtime around it.
    ///
    /// # Errors
    /// [`SimError`], if the configuration or its prompt file is wrong or a port is taken.
    pub fn start(config: SimConfig) -> Result<Self, SimError> {
        config.check()?;
        let prompts = match &config.prompts {
            Some(path) => Prompts::load(path).map_err(SimError::Prompts)?,
            None => Prompts::default(),
        };
        let listeners = config.models.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
        let addrs = listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>();
        let state = Arc::new(State::new(config.seed, prompts, config.models));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let (runtime, addrs) = (runtime.map_err(SimError::Thread)?, addrs.map_err(SimError::Thread)?);
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&state);
        let serve = async move {
            for (index, listener) in listeners.into_iter().enumerate() {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => drop(tokio::spawn(serve(listener, Arc::clone(&served), index))),
                    Err(error) => eprintln!("sim-llm: model {index} cannot listen: {error}"),
                }
            }
            let _ = stopped.await; // an error means that the handle is gone, which is the same wish
        };
        let thread = std::thread::Builder::new()
            .name("sim-llm".to_owned())
            .spawn(move || runtime.block_on(serve))
            .map_err(SimError::Thread)?;
        Ok(Self { state, addrs, stop: Some(stop), thread: Some(thread) })
    }

    /// Where a model listens.
    ///
    /// # Panics
    /// If no model has that name: the caller wrote the configuration.
    pub fn addr(&self, model: &str) -> SocketAddr {
        match self.state.models.iter().position(|known| known.name == model) {
            Some(index) => self.addrs[index],
            None => panic!("the simulator was started without a model `{model}`"),
        }
    }

    /// A model's base URL, such as `http://127.0.0.1:9101`.
    ///
    /// # Panics
    /// If no model has that name: the caller wrote the configuration.
    pub fn url(&self, model: &str) -> String {
        format!("http://{}", self.addr(model))
    }

    /// Every model with its address, in the configuration's order.
    pub fn addrs(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.state.models.iter().map(|model| model.name.as_str()).zip(self.addrs.iter().copied())
    }

    /// The counters since the start and the last requests.
    pub fn stats(&self) -> Stats {
        self.state.stats()
    }

    /// Changes a model's behaviour from the next request on.
    ///
    /// # Errors
    /// [`SimError::Control`], if the model is unknown or a value out of range.
    pub fn control(&self, model: &str, change: &Control) -> Result<(), SimError> {
        self.state.control(model, change).map_err(SimError::Control)
    }
}

impl Drop for SimLlm {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic there has been printed already
        }
    }
}

impl fmt::Debug for SimLlm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.addrs()).finish()
    }
}

fn bind(model: &ModelConfig) -> Result<TcpListener, SimError> {
    let bound = TcpListener::bind(model.listen).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|error| SimError::Bind(model.name.clone(), model.listen, error))
}

async fn serve(listener: tokio::net::TcpListener, state: Arc<State>, index: usize) {
    // Without it the kernel may hold a token back until the one before is acknowledged.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true); // a slower stream is no reason to refuse it
    });
    if let Err(error) = axum::serve(listener, http::router(state, index)).await {
        eprintln!("sim-llm: model {index} stopped listening: {error}");
    }
}

// === impl SimError ===

impl fmt::Display for SimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => {
                write!(f, "cannot read the configuration {}: {error}; check --config", path.display())
            }
            Self::Config(mistakes) => write!(f, "the configuration is wrong:\n  {}", mistakes.join("\n  ")),
            Self::Prompts(error) => error.fmt(f),
            Self::Bind(model, addr, error) => {
                write!(f, "model `{model}` cannot listen on {addr}: {error}; change its `listen`")
            }
            Self::Thread(error) => write!(f, "the simulator's thread did not start: {error}"),
            Self::Control(why) => write!(f, "the change was refused: {why}"),
        }
    }
}

impl std::error::Error for SimError {}
