//! A small web client: one request, hard limits of time and size, the machine's own trusted certificates.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Bytes of a body that are read.
const BODY: u64 = 1 << 20;
/// Redirects that are followed.
const REDIRECTS: u32 = 3;
const HEADERS: usize = 64 * 1024;

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) status: u16,
    /// Its first mebibyte.
    pub(super) body: Vec<u8>,
}

/// The client. Proxies of the environment are not used: gates ask servers of the site.
pub(super) struct Web {
    agent: OnceCell<Agent>,
}

impl Web {
    pub(super) fn new() -> Self {
        Self {
            agent: OnceCell::new(),
        }
    }

    /// Gets a page. An error says why there is none; it names no address, for that may hold a password.
    pub(super) async fn get(&self, url: String, time: Duration) -> Result<Page, String> {
        let agent = self.agent.get_or_try_init(|| on_thread(make)).await?;
        let agent = agent.clone();
        on_thread(move || get(&agent, &url, time)).await?
    }
}

async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| format!("the request broke: {error}"))
}

fn make() -> Agent {
    // A certificate of the store that cannot be read is none; without any, every https request says so.
    let roots = rustls_native_certs::load_native_certs();
    let roots: Vec<Certificate<'static>> = roots
        .certs
        .iter()
        .map(|it| Certificate::from_der(it).to_owned())
        .collect();
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(REDIRECTS)
        .max_redirects_will_error(true)
        .max_response_header_size(HEADERS)
        .max_idle_connections(0)
        .user_agent("hostler")
        .build();
    Agent::new_with_config(config)
}

fn get(agent: &Agent, url: &str, time: Duration) -> Result<Page, String> {
    let request = agent.get(url).config().timeout_global(Some(time)).build();
    let response = request.call().map_err(|error| why(&error))?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    let mut reader = response.into_body().into_reader().take(BODY);
    reader
        .read_to_end(&mut body)
        .map_err(|error| format!("its answer broke off: {error}"))?;
    Ok(Page { status, body })
}

/// Errors of the client without what was asked for.
fn why(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_) => "the address cannot be read".to_owned(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::HostNotFound => "the name of the server is not known".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    /// Answers one connection with these bytes, then keeps it open if `hang`.
    fn server(answer: Vec<u8>, hang: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut request = [0; 1024];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(&answer);
                if hang {
                    let _ = stream.read(&mut request);
                }
            }
        });
        format!("http://{address}/health")
    }

    fn answer(head: &str, body: &str) -> Vec<u8> {
        format!(
            "HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    async fn ask(url: String) -> Result<Page, String> {
        Web::new().get(url, Duration::from_secs(2)).await
    }

    #[tokio::test]
    async fn a_page() {
        let page = ask(server(answer("200 OK", "fine"), false))
            .await
            .expect("a page");
        assert_eq!(
            (page.status, page.body.as_slice()),
            (200, b"fine".as_slice())
        );
        let page = ask(server(answer("503 Service Unavailable", "no"), false))
            .await
            .expect("a page");
        assert_eq!(page.status, 503);
    }

    #[tokio::test]
    async fn a_body_without_end_is_cut() {
        let mut bytes = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        bytes.extend(vec![b'x'; 3 << 20]);
        let page = ask(server(bytes, false)).await.expect("a page");
        assert_eq!(page.body.len(), 1 << 20);
    }

    #[tokio::test]
    async fn what_hangs_or_babbles_is_an_error() {
        for bytes in [
            Vec::new(),
            b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec(),
        ] {
            let error = ask(server(bytes, true)).await.expect_err("it hangs");
            assert!(error.contains("time"), "{error}");
        }
        for bytes in [b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(), vec![0xff; 100_000]] {
            assert!(ask(server(bytes, false)).await.is_err());
        }
    }

    #[tokio::test]
    async fn redirects_end_and_errors_name_no_address() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let error = ask(format!("http://user:secret@{address}/"))
            .await
            .expect_err("refused");
        assert!(!error.contains("secret"), "{error}");
        let error = ask("http://user:secret@[bad/".to_owned())
            .await
            .expect_err("no address");
        assert!(!error.contains("secret"), "{error}");
        let error = ask("ftp://user:secret@host/".to_owned())
            .await
            .expect_err("no web");
        assert!(!error.contains("secret"), "{error}");
        let around = server(answer("302 Found\r\nlocation: /health", ""), false);
        assert!(ask(around).await.is_err());
    }
}
