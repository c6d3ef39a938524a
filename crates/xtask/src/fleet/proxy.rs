//! The hosts' way to a Debian mirror. They have no route off this machine; a test that installs packages runs this small
//! HTTP proxy on the fleet's gateway and tells apt about it. Packages are kept (`packages/` of the fleet's store): the same
//! ones are installed again and again.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
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
        let kept = fleet.store.join("packages");
        fs::create_dir_all(&kept).context("create the directory of packages")?;
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let kept = kept.clone();
                // A connection that breaks is apt's to report; it knows what it wanted.
                std::thread::spawn(move || serve(client, &kept));
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
fn serve(client: TcpStream, kept: &Path) -> io::Result<()> {
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
    let package = package_file(kept, authority, path);
    if let Some(mut file) = package.as_ref().and_then(|path| File::open(path).ok()) {
        let length = file.metadata()?.len();
        write!(
            client,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )?;
        io::copy(&mut file, &mut client)?;
        return client.shutdown(Shutdown::Both);
    }
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
    match package {
        Some(package) => keep(&mut server, &mut client, &package)?,
        None => drop(io::copy(&mut server, &mut client)?),
    }
    client.shutdown(Shutdown::Both)
}

/// Where a package is kept, if `path` is one: its file's name says its version, and what it holds never changes.
fn package_file(kept: &Path, authority: &str, path: &str) -> Option<PathBuf> {
    let plain = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'/')
    };
    let name = path.replace('/', "_");
    let is_package = Path::new(path).extension().is_some_and(|end| end == "deb");
    let fits = is_package && plain(&name) && plain(authority) && name.len() < 200;
    fits.then(|| kept.join(format!("{authority}{name}")))
}

/// Passes an answer on, and keeps its body if it is complete.
fn keep(server: &mut TcpStream, client: &mut TcpStream, package: &Path) -> io::Result<()> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let mut server = BufReader::new(server);
    let mut length = None;
    let mut fine = false;
    loop {
        let mut line = String::new();
        if (&mut server).take(HEAD_LIMIT).read_line(&mut line)? == 0 {
            break;
        }
        client.write_all(line.as_bytes())?;
        fine |= line.starts_with("HTTP/1.") && line.contains(" 200 ");
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<u64>().ok();
        }
        if line == "\r\n" {
            break;
        }
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let partial = package.with_extension(format!("partial-{}-{number}", std::process::id()));
    let mut file = File::create(&partial)?;
    let mut copied = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = server.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        client.write_all(&buffer[..read])?;
        file.write_all(&buffer[..read])?;
        copied += read as u64;
    }
    if fine && length == Some(copied) {
        fs::rename(&partial, package)
    } else {
        fs::remove_file(&partial)
    }
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
    use std::path::Path;

    use super::{package_file, split_target};

    #[test]
    fn only_packages_are_kept() {
        let kept = Path::new("/k");
        assert_eq!(
            package_file(
                kept,
                "deb.debian.org",
                "/debian/pool/main/t/tree/tree_2_amd64.deb"
            ),
            Some("/k/deb.debian.org_debian_pool_main_t_tree_tree_2_amd64.deb".into())
        );
        assert_eq!(
            package_file(kept, "deb.debian.org", "/debian/dists/x/InRelease"),
            None
        );
    }

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
