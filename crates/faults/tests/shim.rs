//! The line itself: what it passes, and when it stops.

use std::time::Duration;

use hostler_faults::{Plan, Shim, Transferred, Way};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A host that sends back what it gets, and closes when its sender does.
async fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _cut_on_purpose = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    address
}

/// Sends 100 bytes, closes, and reads all that comes back: how many, and whether it ended well.
async fn hundred(shim: &Shim) -> (usize, bool) {
    let mut stream = TcpStream::connect(shim.address).await.expect("connect");
    let _cut_on_purpose = stream.write_all(&[b'x'; 100]).await;
    let _cut_on_purpose = stream.shutdown().await;
    let mut back = Vec::new();
    let ended = stream.read_to_end(&mut back).await;
    (back.len(), ended.is_ok())
}

#[tokio::test]
async fn exactly_so_many_bytes_pass() {
    let shim = Shim::start(echo().await, |_| Plan::PASS)
        .await
        .expect("shim");
    for way in [
        Way::Pass,
        Way::Delay(Duration::from_millis(1)),
        Way::Rate(2000),
    ] {
        shim.replan(move |_| Plan::up(way));
        assert_eq!(hundred(&shim).await, (100, true), "{way:?}");
        shim.replan(move |_| Plan::down(way));
        assert_eq!(hundred(&shim).await, (100, true), "{way:?}");
    }
    for bytes in [0, 1, 37, 99] {
        let count = usize::try_from(bytes).expect("small");
        shim.replan(move |_| Plan::up(Way::HalfClose(bytes)));
        assert_eq!(hundred(&shim).await, (count, true));
        shim.replan(move |_| Plan::down(Way::HalfClose(bytes)));
        assert_eq!(hundred(&shim).await, (count, true));
        shim.replan(move |_| Plan::down(Way::Cut(bytes)));
        assert_eq!(hundred(&shim).await.0, count);
        assert_eq!(shim.transferred()[0].down, bytes);
        shim.replan(move |_| Plan::up(Way::Cut(bytes)));
        hundred(&shim).await;
        assert_eq!(shim.transferred()[0].up, bytes);
        shim.replan(move |_| Plan::down(Way::Reset(bytes)));
        assert!(!hundred(&shim).await.1, "a reset is an error");
    }
}

#[tokio::test]
async fn a_blackhole_tells_nobody_and_plans_go_by_the_connection() {
    let shim = Shim::start(echo().await, |number| match number {
        0 => Plan::down(Way::Blackhole(10)),
        _ => Plan::PASS,
    })
    .await
    .expect("shim");
    let mut lost = TcpStream::connect(shim.address).await.expect("connect");
    lost.write_all(&[b'x'; 100]).await.expect("write");
    let mut ten = [0; 10];
    lost.read_exact(&mut ten).await.expect("ten bytes");
    assert_eq!(hundred(&shim).await, (100, true), "the second one passes");
    let mut more = [0; 1];
    let waited = tokio::time::timeout(Duration::from_millis(200), lost.read(&mut more)).await;
    assert!(waited.is_err(), "no byte and no end");
    assert_eq!(shim.transferred()[0], Transferred { up: 100, down: 10 });
    drop(lost);
    while shim.open() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
