//! Names to addresses without glibc's resolver.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::accounts::getent;

/// The addresses of a host: literal, as `getent ahosts` says, or of `/etc/hosts` where there is no `getent`.
pub(crate) fn addresses(host: &str) -> Vec<IpAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return vec![address];
    }
    if host.is_empty() || host.starts_with('-') {
        return Vec::new();
    }
    let mut found = read_table(&getent(&["ahosts", host]), None);
    if found.is_empty() {
        let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
        found = read_table(&hosts, Some(host));
    }
    found
}

/// Lines of `ADDRESS WORD...`; only those with a certain word if one is given.
fn read_table(text: &str, name: Option<&str>) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
        let named = name.is_none_or(|name| words.any(|word| word.eq_ignore_ascii_case(name)));
        if let Some(address) = address.filter(|it| named && !found.contains(it)) {
            found.push(address);
        }
    }
    found
}

/// A TCP connection to one of a host's addresses, within the time.
///
/// # Errors
/// The last address's error, or that there is no address.
pub(crate) fn connect(host: &str, port: u16, timeout: Duration) -> std::io::Result<TcpStream> {
    let end = Instant::now() + timeout;
    let mut last = std::io::Error::new(
        std::io::ErrorKind::NotFound,
        format!("the name {host} has no address here"),
    );
    for address in addresses(host) {
        let rest = end.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(&SocketAddr::new(address, port), rest) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_tables() {
        assert_eq!(addresses("127.0.0.1"), [IpAddr::from([127, 0, 0, 1])]);
        assert_eq!(addresses("[::1]").len(), 1);
        let text = "127.0.0.1 STREAM x\n127.0.0.1 DGRAM\n::1 STREAM\nnonsense\n";
        assert_eq!(read_table(text, None).len(), 2);
        assert_eq!(
            read_table("10.0.0.1 web Web1 # db\n", Some("web1")).len(),
            1
        );
        assert!(read_table("10.0.0.1 web # db\n", Some("db")).is_empty());
    }
}
