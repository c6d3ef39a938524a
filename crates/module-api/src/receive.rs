//! Reading what a TCP peer sends unasked.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long and how much to receive.
#[derive(Clone, Copy, Debug)]
pub struct Receive {
    /// Longest time for the connection.
    pub connect_timeout: Duration,
    /// Longest time for what comes then.
    pub timeout: Duration,
    /// Most bytes.
    pub bytes_max: usize,
}

/// Bytes read at once.
const CHUNK: usize = 4096;

/// Time after which `enough` is asked again although nothing came: it may also know that the task was cancelled.
const PATIENCE: Duration = Duration::from_millis(500);

/// Reads until `enough` says so, the peer closes, enough bytes came or the time is over.
pub fn receive(mut stream: TcpStream, bounds: Receive, enough: &dyn Fn(&[u8]) -> bool) -> Vec<u8> {
    let end = Instant::now() + bounds.timeout;
    let limit = bounds.bytes_max;
    let mut got = Vec::new();
    let mut chunk = [0; CHUNK];
    while got.len() < limit && !enough(&got) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left.min(PATIENCE))).is_err() {
            break;
        }
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => got.extend_from_slice(&chunk[..count.min(limit - got.len())]),
            Err(error) if waits(error.kind()) => {}
            Err(_) => break,
        }
    }
    got
}

fn waits(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    fn minute(bytes_max: usize) -> Receive {
        let timeout = Duration::from_secs(60);
        Receive {
            connect_timeout: timeout,
            timeout,
            bytes_max,
        }
    }

    #[test]
    fn reads_a_greeting_and_stops_when_it_is_enough() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"SSH-2.0-x\r\n").unwrap();
        // The peer stays open: only `enough` can end the read before its time.
        let got = receive(stream, minute(100), &|got| got.ends_with(b"\n"));
        assert_eq!(got, b"SSH-2.0-x\r\n");
    }

    #[test]
    fn a_closed_connection_and_a_full_buffer_end_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for (limit, wanted) in [(100, b"abcdef".as_slice()), (4, b"abcd")] {
            let stream = TcpStream::connect(address).unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            peer.write_all(b"abcdef").unwrap();
            drop(peer);
            assert_eq!(receive(stream, minute(limit), &|_| false), wanted);
        }
    }
}
