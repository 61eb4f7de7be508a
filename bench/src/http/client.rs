//! The load generator: a closed loop, each connection sends its next request as soon as the last is answered.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use super::wire::Message;
use crate::Outcome;
use crate::numbers::micros;

/// Longer than any answer takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One keep-alive connection.
pub struct Client {
    writer: TcpStream,
    reader: BufReader<TcpStream>,
    reply: Message,
}

impl Client {
    /// Connects.
    pub fn connect(at: SocketAddr) -> Outcome<Self> {
        let open = || {
            let writer = TcpStream::connect(at)?;
            writer.set_nodelay(true)?;
            writer.set_read_timeout(Some(TIMEOUT))?;
            let reader = BufReader::new(writer.try_clone()?);
            Ok(Self { writer, reader, reply: Message::default() })
        };
        open().map_err(|e: std::io::Error| format!("cannot connect to Envoy at {at}: {e}"))
    }

    /// Sends a request and waits for its whole answer, which must be a 200. Returns the time between.
    pub fn ask(&mut self, request: &[u8]) -> Outcome<Duration> {
        let start = Instant::now();
        let answered = self.writer.write_all(request).and_then(|()| self.reply.read(&mut self.reader));
        let took = start.elapsed();
        match answered {
            Ok(true) if self.reply.start.starts_with("HTTP/1.1 200 ") => Ok(took),
            Ok(true) => {
                let (status, body) = (self.reply.start.trim_end(), String::from_utf8_lossy(&self.reply.body));
                Err(format!("only 200s are measured, but Envoy answers \"{status}\": {body}"))
            }
            Ok(false) => Err("Envoy closed the connection: see whether it still runs".into()),
            Err(e) => Err(format!("no answer from Envoy: {e}")),
        }
    }
}

/// A load on one address.
#[derive(Clone, Copy)]
pub struct Load<'a> {
    /// Where to.
    pub at: SocketAddr,
    /// Requests as they go over the wire, sent in turn.
    pub requests: &'a [Vec<u8>],
    /// Connections.
    pub concurrency: usize,
    /// How long.
    pub duration: Duration,
}

/// What a load measured; loads can be added up.
#[derive(Debug, Default, Clone)]
pub struct Measured {
    /// Of every answer, µs.
    pub latencies: Vec<u64>,
    /// How long the load lasted.
    pub elapsed: Duration,
}

impl Load<'_> {
    /// Requests sent beside those measured: each connection's first.
    pub fn unmeasured(&self) -> usize {
        self.concurrency
    }

    /// Runs it. The first failure on any connection is the result.
    pub fn run(&self) -> Outcome<Measured> {
        let ready = Barrier::new(self.concurrency);
        let runs: Vec<Outcome<Measured>> = std::thread::scope(|scope| {
            let spawn = |i| {
                scope.spawn({
                    let ready = &ready;
                    move || self.connection(i, ready)
                })
            };
            let threads: Vec<_> = (0..self.concurrency).map(spawn).collect();
            let joined = |t: std::thread::ScopedJoinHandle<'_, _>| {
                t.join().unwrap_or_else(|_| Err("a client panicked".into()))
            };
            threads.into_iter().map(joined).collect()
        });
        let mut all = Measured::default();
        for run in runs {
            let run = run?;
            all.latencies.extend(run.latencies);
            all.elapsed = all.elapsed.max(run.elapsed);
        }
        Ok(all)
    }

    fn connection(&self, index: usize, ready: &Barrier) -> Outcome<Measured> {
        let mut requests = self.requests.iter().cycle().skip(index * self.requests.len() / self.concurrency);
        let mut next = || requests.next().ok_or("no requests to send");
        let first = Client::connect(self.at).and_then(|mut c| c.ask(next()?).map(|_| c));
        // Even after a failure: the others wait here.
        ready.wait();
        let mut client = first?;
        let start = Instant::now();
        let mut latencies = Vec::new();
        while start.elapsed() < self.duration {
            latencies.push(micros(client.ask(next()?)?));
        }
        Ok(Measured { latencies, elapsed: start.elapsed() })
    }
}

impl Measured {
    /// Adds another run.
    pub fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.elapsed += other.elapsed;
    }

    /// Answers per second.
    pub fn rps(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }
}
