//! A host's SSH server: one key is let in, and commands run in the host's process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg, ChannelReadHalf, MethodKind, MethodSet};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::unix::pipe;

use crate::helper::{Helper, Program};

/// Messages of a channel that may wait before its connection waits: a program that does not read its input must not
/// stall the others of its connection.
const CHANNEL_BUFFER: usize = 4096;
/// How long the output of a program that has ended may take to arrive before its status is sent. Longer only where
/// something that it left behind holds its output open.
const OUTPUT_GRACE: Duration = Duration::from_secs(1);

/// The settings of a host's server.
pub(crate) fn config(key: PrivateKey) -> Arc<Config> {
    Arc::new(Config {
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: Duration::from_millis(100),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![key],
        channel_buffer_size: CHANNEL_BUFFER,
        inactivity_timeout: None,
        nodelay: true,
        ..Config::default()
    })
}

/// A line of `known_hosts` (sshd(8)) for a server that is not at port 22.
pub(crate) fn known_host(address: std::net::SocketAddr, public: &str) -> String {
    format!("[{}]:{} {public}\n", address.ip(), address.port())
}

/// Serves connections until the task is aborted.
pub(crate) async fn serve(
    listener: TcpListener,
    config: Arc<Config>,
    user_key: Arc<PublicKey>,
    helper: Arc<Helper>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: others end and give theirs back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let connection = Connection {
            user_key: Arc::clone(&user_key),
            helper: Arc::clone(&helper),
            channels: HashMap::new(),
        };
        let config = Arc::clone(&config);
        tokio::spawn(async move {
            // Without it each small answer waits for the one before; a connection works all the same.
            let _ = stream.set_nodelay(true);
            // A connection that breaks is the client's to report.
            if let Ok(session) = russh::server::run_stream(config, stream, connection).await {
                let _ = session.await;
            }
        });
    }
}

struct Connection {
    user_key: Arc<PublicKey>,
    helper: Arc<Helper>,
    /// Open channels that run nothing yet.
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let known = user == "root" && key.public_key.key_data() == self.user_key.key_data();
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(open) = self.channels.remove(&channel) else {
            return session.channel_failure(channel);
        };
        session.channel_success(channel)?;
        let helper = Arc::clone(&self.helper);
        let command = command.to_vec();
        tokio::spawn(async move { run(open, &helper, &command).await });
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.remove(&channel);
        Ok(())
    }
}

/// Runs a command on a channel: its streams, its status, and its end when the channel closes.
async fn run(channel: Channel<Msg>, helper: &Helper, command: &[u8]) {
    let (mut input, output) = channel.split();
    let Ok(program) = helper.run(command).await else {
        // The client sees a command that could not be run; if the connection is gone, nobody sees anything.
        let _ = output.exit_status(255).await;
        let _ = output.close().await;
        return;
    };
    let Program {
        stdin,
        mut stdout,
        mut stderr,
        mut ended,
    } = program;
    let mut out = output.make_writer();
    let mut err = output.make_writer_ext(Some(1));
    let copied = async {
        // An output that the client no longer takes ends with the channel.
        let _ = tokio::join!(
            tokio::io::copy(&mut stdout, &mut out),
            tokio::io::copy(&mut stderr, &mut err)
        );
    };
    tokio::pin!(copied);
    let fed = feed(&mut input, stdin);
    tokio::pin!(fed);
    let mut all_copied = false;
    let status = loop {
        tokio::select! {
            status = &mut ended => break status,
            () = &mut copied, if !all_copied => all_copied = true,
            // As sshd does without a terminal: its streams are closed, and it goes on as it likes.
            () = &mut fed => return,
        }
    };
    if !all_copied {
        all_copied = tokio::time::timeout(OUTPUT_GRACE, &mut copied)
            .await
            .is_ok();
    }
    // From here on every failure means that the client is gone.
    let _ = output.exit_status(status.unwrap_or(255)).await;
    if !all_copied {
        tokio::select! {
            () = &mut copied => {}
            () = &mut fed => {}
        }
    }
    let _ = output.eof().await;
    let _ = output.close().await;
}

/// Feeds a program's input; ends when the channel does.
async fn feed(input: &mut ChannelReadHalf, stdin: pipe::Sender) {
    let mut stdin = Some(stdin);
    while let Some(message) = input.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                let Some(pipe) = &mut stdin else { continue };
                if pipe.write_all(&data).await.is_err() {
                    // The program reads no more; what still comes is dropped.
                    stdin = None;
                }
            }
            ChannelMsg::Eof => stdin = None,
            ChannelMsg::Close => return,
            _ => {}
        }
    }
}
