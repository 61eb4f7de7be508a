//! Stand-in servers that answer at once.

use std::io::{BufReader, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use super::wire::Message;

/// The end of the status line (`200 OK`) and a JSON body.
pub type Answer = (&'static str, &'static str);

/// Serves `listener` for the rest of the process, a thread per connection. `answer` gets the request line and the
/// body.
pub fn serve<F>(listener: TcpListener, answer: F)
where
    F: Fn(&str, &[u8]) -> Answer + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // A connection that breaks is the client's to report.
            std::thread::spawn(move || connection(stream, &*answer));
        }
    });
}

fn connection(stream: TcpStream, answer: &dyn Fn(&str, &[u8]) -> Answer) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone()?), stream);
    let mut request = Message::default();
    while request.read(&mut reader)? {
        let (status, body) = answer(&request.start, &request.body);
        let length = body.len();
        let reply = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        writer.write_all(reply.as_bytes())?;
    }
    Ok(())
}
