//! A stand-in server of embeddings that does what it is told: answers well, late, badly or not at all.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// How it answers.
#[derive(Clone, Debug)]
pub enum Manner {
    /// With the first axis of this many dimensions, after a while.
    Well(usize, Duration),
    /// With this status and body.
    Badly(u16, String),
    /// Never: it closes the connection.
    Closing,
}

/// A question as it came.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The request's head, header names in lower case.
    pub head: String,
    /// The body.
    pub body: Value,
}

/// The server; it ends with the process.
#[derive(Clone)]
pub struct Embeddings {
    /// Where it listens.
    pub addr: SocketAddr,
    shared: Arc<Mutex<(Manner, Vec<Asked>)>>,
}

impl Embeddings {
    /// Starts it on a free port.
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("its address");
        let server = Self { addr, shared: Arc::new(Mutex::new((manner, Vec::new()))) };
        let accepting = server.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let server = accepting.clone();
                // A caller that hangs up ends its thread.
                std::thread::spawn(move || server.serve(&socket));
            }
        });
        server
    }

    /// Changes how it answers from now on, and forgets what it was asked.
    pub fn set(&self, manner: Manner) {
        *self.shared.lock().expect("the server's state") = (manner, Vec::new());
    }

    /// Every question since then.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.lock().expect("the server's state").1.clone()
    }

    fn serve(&self, socket: &TcpStream) -> Option<()> {
        let (mut reader, mut writer) = (BufReader::new(socket), socket);
        loop {
            let asked = read_question(&mut reader)?;
            let manner = {
                let mut shared = self.shared.lock().ok()?;
                shared.1.push(asked);
                shared.0.clone()
            };
            let (status, body) = match manner {
                Manner::Closing => return None,
                Manner::Badly(status, body) => (status, body),
                Manner::Well(dimensions, after) => {
                    std::thread::sleep(after);
                    (200, well(dimensions))
                }
            };
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            writer.write_all(&[head.as_bytes(), body.as_bytes()].concat()).ok()?;
        }
    }
}

fn well(dimensions: usize) -> String {
    let axis: Vec<u8> = (0..dimensions).map(|i| u8::from(i == 0)).collect();
    json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": axis}]}).to_string()
}

fn read_question(reader: &mut impl BufRead) -> Option<Asked> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().ok()?;
        }
        head += &format!("{}: {value}\n", name.to_ascii_lowercase());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { head, body: serde_json::from_slice(&body).unwrap_or_default() })
}
