//! What gates ask from the controller: a site, and Prometheus.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// A web server that says that all is well, until it is told otherwise.
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    /// Is no alert firing?
    pub(crate) quiet: Arc<AtomicBool>,
    /// How often the alerts were asked for.
    pub(crate) asked: Arc<AtomicU32>,
}

impl Web {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let web = Self {
            address: listener.local_addr().expect("an address"),
            quiet: Arc::new(AtomicBool::new(true)),
            asked: Arc::new(AtomicU32::new(0)),
        };
        let (quiet, asked) = (web.quiet.clone(), web.asked.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Who hangs up early does not want the answer.
                let _ = answer(client, &quiet, &asked);
            }
        });
        web
    }
}

fn answer(client: TcpStream, quiet: &AtomicBool, asked: &AtomicU32) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && line != "\r\n" {
        line.clear();
    }
    let body = if request.contains("/api/v1/query") {
        asked.fetch_add(1, Ordering::Relaxed);
        let firing = if quiet.load(Ordering::Relaxed) {
            ""
        } else {
            r#"{"metric":{"alertname":"SiteSlow"},"value":[1,"1"]}"#
        };
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{firing}]}}}}"#)
    } else {
        "well\n".to_owned()
    };
    let mut client = client;
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
