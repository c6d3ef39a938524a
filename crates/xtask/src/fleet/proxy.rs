//! The hosts' way to a Debian mirror. They have no route off this machine; a test that installs packages runs this small
//! HTTP proxy on the fleet's gateway and tells apt about it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::{Fleet, Host, network};
use crate::process::{Context, Result};

/// A proxy for plain HTTP `GET`, as apt uses it. It runs until the process ends.
#[derive(Debug)]
pub struct AptProxy {
    address: SocketAddr,
}

/// The longest request head that is accepted.
const HEAD_LIMIT: u64 = 16 * 1024;
const TIMEOUT: Duration = Duration::from_secs(60);

impl AptProxy {
    /// Starts a proxy that only the hosts of `fleet` (and this machine) can reach.
    pub fn start(fleet: &Fleet) -> Result<Self> {
        let slot = network::slot_of(fleet.directory()).context("the fleet is not up")?;
        let listener =
            TcpListener::bind((slot.gateway(), 0)).context("listen on the fleet's gateway")?;
        let address = listener
            .local_addr()
            .context("ask for the proxy's address")?;
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A connection that breaks is apt's to report; it knows what it wanted.
                std::thread::spawn(move || serve(client));
            }
        });
        Ok(Self { address })
    }

    /// Makes apt on `host` use this proxy.
    pub fn configure(&self, host: &Host) -> Result<()> {
        let line = format!("Acquire::http::Proxy \"http://{}\";", self.address);
        host.shell(&format!("echo '{line}' >/etc/apt/apt.conf.d/00fleet-proxy"))
            .map(drop)
    }
}

/// Answers one request and closes the connection.
fn serve(client: TcpStream) -> io::Result<()> {
    client.set_read_timeout(Some(TIMEOUT))?;
    let mut reader = BufReader::new(client.try_clone()?.take(HEAD_LIMIT));
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut forwarded = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if !lower.starts_with("proxy-")
            && !lower.starts_with("connection:")
            && !lower.starts_with("host:")
        {
            forwarded.push_str(&line);
        }
    }
    let mut client = client;
    let Some((authority, path)) = split_target(&request) else {
        return client
            .write_all(b"HTTP/1.1 501 Only GET over plain HTTP\r\nConnection: close\r\n\r\n");
    };
    let target = if authority.contains(':') {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let mut server = match TcpStream::connect(target) {
        Ok(server) => server,
        Err(error) => {
            return write!(client, "HTTP/1.1 502 {error}\r\nConnection: close\r\n\r\n");
        }
    };
    server.set_read_timeout(Some(TIMEOUT))?;
    write!(
        server,
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{forwarded}\r\n"
    )?;
    io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)
}

/// `GET http://host/path HTTP/1.1` as (`host`, `/path`).
fn split_target(request: &str) -> Option<(&str, &str)> {
    let target = request
        .strip_prefix("GET http://")?
        .split_whitespace()
        .next()?;
    let slash = target.find('/')?;
    Some(target.split_at(slash))
}

#[cfg(test)]
mod tests {
    use super::split_target;

    #[test]
    fn only_plain_get_is_forwarded() {
        assert_eq!(
            split_target("GET http://deb.debian.org/debian/x HTTP/1.1\r\n"),
            Some(("deb.debian.org", "/debian/x"))
        );
        assert_eq!(
            split_target("CONNECT deb.debian.org:443 HTTP/1.1\r\n"),
            None
        );
        assert_eq!(split_target("GET /local HTTP/1.1\r\n"), None);
    }
}
