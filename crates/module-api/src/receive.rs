//! Reading what a TCP peer sends unasked.

use std::io::{ErrorKind, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Bytes read at once.
const CHUNK: usize = 4096;

/// Connects and reads until `enough`, the peer closes, `limit` bytes came or the time is over; `None` if it cannot be
/// connected to.
pub(crate) fn receive(
    host: &str,
    port: u16,
    timeout: Duration,
    limit: usize,
    enough: &dyn Fn(&[u8]) -> bool,
) -> Option<Vec<u8>> {
    let end = Instant::now() + timeout;
    let mut stream = connect(host, port, end)?;
    let mut got = Vec::new();
    let mut chunk = [0; CHUNK];
    while got.len() < limit && !enough(&got) {
        let Some(left) = left(end) else { break };
        if stream.set_read_timeout(Some(left)).is_err() {
            break;
        }
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => got.extend_from_slice(&chunk[..count.min(limit - got.len())]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    Some(got)
}

fn connect(host: &str, port: u16, end: Instant) -> Option<TcpStream> {
    let mut addresses = (host, port).to_socket_addrs().ok()?;
    addresses.find_map(|address| TcpStream::connect_timeout(&address, left(end)?).ok())
}

/// Time until `end`; `None` when it is over.
fn left(end: Instant) -> Option<Duration> {
    Some(end.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    #[test]
    fn reads_a_greeting_and_stops_when_it_is_enough() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            peer.write_all(b"SSH-2.0-x\r\n").unwrap();
            // Held open until the client goes away: only `enough` can end the read early.
            peer.read(&mut [0; 1]).unwrap()
        });
        let minute = Duration::from_secs(60);
        let got = receive("127.0.0.1", port, minute, 100, &|got| got.ends_with(b"\n")).unwrap();
        assert_eq!(got, b"SSH-2.0-x\r\n");
        assert_eq!(server.join().unwrap(), 0);
    }

    #[test]
    fn a_closed_port_gives_nothing() {
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        assert_eq!(
            receive("127.0.0.1", port, Duration::from_secs(5), 10, &|_| false),
            None
        );
    }
}
