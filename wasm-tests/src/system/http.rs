//! A small HTTP/1.1 client over plain sockets: tests must be able to send bytes that a well-behaved client
//! refuses to send, and to see when each byte of an answer arrives.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
    /// When each chunk arrived, since the request was sent.
    pub arrivals: Vec<Duration>,
}

impl Reply {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// `GET`; `None` if nobody listens.
pub fn get(at: SocketAddr, path: &str) -> Option<Reply> {
    send(at, "GET", path, &[], b"").ok()
}

/// `POST` of bytes.
pub fn post(at: SocketAddr, path: &str, body: &[u8]) -> Reply {
    send(at, "POST", path, &[], body).expect("an answer")
}

/// `POST` of JSON.
pub fn post_json(at: SocketAddr, path: &str, body: &Value) -> Reply {
    send(at, "POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
        .expect("an answer")
}

/// A chat completion of one user turn, with further headers.
pub fn chat(at: SocketAddr, prompt: &str, headers: &[(&str, &str)]) -> Reply {
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": prompt}]});
    send(at, "POST", "/v1/chat/completions", headers, body.to_string().as_bytes()).expect("an answer")
}

/// The same as a stream of events.
pub fn stream_chat(at: SocketAddr, prompt: &str) -> Reply {
    let body = json!({
        "model": "auto", "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": prompt}],
    });
    send(at, "POST", "/v1/chat/completions", &[], body.to_string().as_bytes()).expect("an answer")
}

/// Any request.
pub fn send(
    at: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Reply> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() || method == "POST" {
        head += &format!("content-length: {}\r\n", body.len());
    }
    head += "\r\n";
    raw(at, &[head.as_bytes(), body].concat())
}

/// Exactly these bytes.
pub fn raw(at: SocketAddr, request: &[u8]) -> std::io::Result<Reply> {
    let mut socket = TcpStream::connect_timeout(&at, TIMEOUT)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.set_nodelay(true)?;
    let start = Instant::now();
    // A server may answer, and close, before it has read everything.
    let mut writer = socket.try_clone()?;
    let request = request.to_vec();
    let sending = std::thread::spawn(move || writer.write_all(&request));
    let reply = read_reply(&mut BufReader::new(&mut socket), start);
    drop(socket);
    // What could not be sent any more shows in the answer.
    let _ = sending.join();
    reply
}

fn read_reply(reader: &mut impl BufRead, start: Instant) -> std::io::Result<Reply> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|s| s.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no status line: {line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let mut bytes = Vec::new();
        reader.read_until(b'\n', &mut bytes)?;
        let line = String::from_utf8_lossy(&bytes);
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut reply = Reply { status, headers, body: Vec::new(), arrivals: Vec::new() };
    if reply.header("transfer-encoding") == Some("chunked") {
        read_chunks(reader, &mut reply, start)?;
    } else if let Some(length) = reply.header("content-length").and_then(|l| l.parse().ok()) {
        reply.body = vec![0; length];
        reader.read_exact(&mut reply.body)?;
        reply.arrivals.push(start.elapsed());
    } else {
        reader.read_to_end(&mut reply.body)?;
    }
    Ok(reply)
}

fn read_chunks(reader: &mut impl BufRead, reply: &mut Reply, start: Instant) -> std::io::Result<()> {
    loop {
        let mut size = String::new();
        if reader.read_line(&mut size)? == 0 {
            // The server broke off: what came is what there is.
            return Ok(());
        }
        let size = usize::from_str_radix(size.trim(), 16).map_err(std::io::Error::other)?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk)?;
        if size == 0 {
            return Ok(());
        }
        reply.arrivals.push(start.elapsed());
        reply.body.extend_from_slice(&chunk[..size]);
    }
}
