//! A port as its clients see it: who is served, who waits, whose connection is closed.

use axum::routing::{get, post};
use futures::FutureExt as _;
use raft_groups::mutants::plant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::gateway::http::request_body::Budget;
use crate::gateway::http::response_body;

/// Far more than the buffers of a connection hold.
const LONG_ANSWER: usize = 48 << 20;
/// Longer than anything here takes that works, and shorter than [`DRAIN`].
const SOON: Duration = Duration::from_secs(3);

/// An answer, and what is left of the memory for it.
fn paid(body: Vec<u8>) -> (Response<Body>, Budget) {
    let budget = Budget::new(64 << 20);
    (response_body::paid(Response::new(Body::from(body)), &budget), budget)
}

async fn start(most: usize) -> (SocketAddr, StopSignal, JoinHandle<()>) {
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "late"
    };
    let app = Router::new()
        .route("/", get(|| async { "here" }))
        .route("/slow", get(slow))
        .route("/long", get(|| async { paid(vec![7; LONG_ANSWER]).0 }))
        .route("/eat", post(|body: Bytes| async move { body.len().to_string() }));
    let port = Port::bind(([127, 0, 0, 1], 0).into(), "--listen").await.expect("a free port");
    let (address, stop) = (port.address, StopSignal::new());
    (address, stop.clone(), port.serve(app, ConnectionLimit::new(most), stop, Duration::ZERO))
}

async fn say(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the port is open");
    stream.write_all(text.as_bytes()).await.expect("it reads");
    stream
}

async fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    let read = tokio::time::timeout(SOON, stream.read_to_string(&mut text)).await;
    assert!(read.is_ok(), "no answer in time, but {text:?}");
    text
}

#[tokio::test]
async fn a_crowd_that_says_nothing_keeps_nobody_out() {
    let (address, _stop, _served) = start(4).await;
    let mut crowd = Vec::new();
    for number in 0..40 {
        crowd.push(say(address, ["", "GET / HT", "GET / HTTP/1.1\r\nhost: x\r\n"][number % 3]).await);
        if number % 10 == 9 {
            let served = say(address, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
            assert!(answer(served).await.ends_with("here"), "after {number}");
        }
    }
    // The first have been sent home.
    assert_eq!(answer(crowd.remove(0)).await, "");
}

#[tokio::test]
async fn who_is_served_stays_though_others_come() {
    let (address, _stop, _served) = start(2).await;
    let slow = say(address, "GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(say(address, "").await);
    }
    assert!(answer(slow).await.ends_with("late"));
}

#[tokio::test(start_paused = true)]
async fn who_takes_a_long_answer_by_drops_loses_the_connection() {
    let limit = ConnectionLimit::new(4);
    let guard = limit.admit().expect("there is room");
    let flowing = watch_answer(guard.slot.clone(), LONG);
    for _ in 0..5 {
        flowing.fetch_add(LEAST, Ordering::Relaxed);
        tokio::time::sleep(LOOK_EVERY).await;
    }
    assert!(guard.slot.wait_for_close().now_or_never().is_none());
    tokio::time::sleep(LOOK_EVERY * 2).await;
    assert!(guard.slot.wait_for_close().now_or_never().is_some());
    let limit = ConnectionLimit::new(4);
    let guard = limit.admit().expect("there is room");
    drop(watch_answer(guard.slot.clone(), LONG));
    tokio::time::sleep(LOOK_EVERY * 3).await;
    assert!(guard.slot.wait_for_close().now_or_never().is_none(), "it has all of its answer");
    let crawls = async || {
        let limit = ConnectionLimit::new(4);
        let guard = limit.admit().expect("there is room");
        let large = watch_answer(guard.slot.clone(), 64 << 20);
        for _ in 0..3 {
            large.fetch_add(LEAST, Ordering::Relaxed);
            tokio::time::sleep(LOOK_EVERY).await;
        }
        guard.slot.wait_for_close().now_or_never().is_none()
    };
    assert!(!crawls().await, "so much would take an hour");
    let _planted = plant(Mutant::SendsForHours);
    assert!(crawls().await, "the bug is not planted");
}

/// The kernel takes 1.4 MB at a time, however steadily the client reads.
#[tokio::test(start_paused = true)]
async fn who_reads_steadily_and_fast_enough_is_served_however_seldom_the_kernel_takes_more() {
    let lump = 1_400_000;
    for (size, rate, is_served) in
        [(36 << 20, 100_000, true), (18 << 20, 60_000, true), (9 << 20, 50_000, true), (36 << 20, 50_000, false)]
    {
        let limit = ConnectionLimit::new(4);
        let guard = limit.admit().expect("there is room");
        let sent = watch_answer(guard.slot.clone(), size);
        for _ in 0..size / lump {
            sent.fetch_add(lump, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(lump * 1000 / rate)).await;
        }
        assert_eq!(guard.slot.wait_for_close().now_or_never().is_none(), is_served, "{rate} bytes a second of {size}");
    }
}

/// Time passes as soon as nobody has anything to do: the answer is stuck by then.
#[tokio::test(start_paused = true)]
async fn who_does_not_read_a_long_answer_never_gets_all_of_it_and_who_reads_slowly_does() {
    let (address, _stop, _served) = start(4).await;
    for (pause, is_stuck) in [(LOOK_EVERY * 8, true), (LOOK_EVERY / 2, false)] {
        let mut stream = say(address, "GET /long HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        stream.read_u8().await.expect("the answer begins");
        let (mut piece, mut read) = (vec![0; 4 << 20], 0);
        loop {
            tokio::time::sleep(pause).await;
            match stream.read(&mut piece).await {
                Ok(more @ 1..) => read += more,
                // What is under way when the connection is cut may come as a reset.
                Ok(0) | Err(_) => break,
            }
        }
        assert_eq!(read < LONG_ANSWER, is_stuck, "{read} bytes came");
    }
}

#[test]
fn each_answer_that_holds_memory_is_watched() {
    for size in [0, 1, ANSWER_PIECE - 1, ANSWER_PIECE, ANSWER_PIECE + 1, 4 * ANSWER_PIECE, 4 << 20] {
        let (answer, budget) = paid(vec![0; size]);
        let holds = budget.taken(64 << 20).is_err();
        assert_eq!(long_size(answer.body()).is_some(), holds, "{size}");
    }
}

#[test]
fn newcomers_wait_no_longer_than_who_is_here_does() {
    assert_eq!(pause_after(Duration::from_micros(900)), None, "nobody waits");
    assert_eq!(pause_after(Duration::from_millis(3)), Some(Duration::from_millis(3)));
    assert_eq!(pause_after(Duration::from_secs(3)), Some(LONGEST_PAUSE), "they are taken in the end");
}

#[tokio::test]
async fn requests_that_are_sent_at_once_are_served_a_few_at_a_time() {
    let at_a_time = std::thread::available_parallelism().map_or(1, usize::from);
    let (now, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (counts, keeps) = (now.clone(), most.clone());
    let counted = move || {
        let (now, most) = (counts.clone(), keeps.clone());
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, Ordering::SeqCst);
            "counted"
        }
    };
    let app = Router::new().route("/", get(|| async { "here" })).route("/counted", get(counted));
    let port = Port::bind(([127, 0, 0, 1], 0).into(), "--listen").await.expect("a free port");
    let address = port.address;
    let _served = port.serve(app, ConnectionLimit::new(1_000), StopSignal::new(), Duration::ZERO);
    let head = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n{more}\r\n");
    let at_once = head("/", "") + &head("/counted", "").repeat(4) + &head("/counted", "connection: close\r\n");
    let crowd = (0..4 * at_a_time).map(|_| async { answer(say(address, &at_once).await).await });
    for answers in futures::future::join_all(crowd).await {
        assert_eq!(answers.matches("counted").count(), 5);
    }
    assert!(most.load(Ordering::SeqCst) <= at_a_time as u64, "{most:?} were served at once");
}

#[tokio::test]
async fn who_sends_no_more_is_answered_still() {
    let (address, _stop, _served) = start(4).await;
    for path in ["/", "/slow"] {
        let mut asked = say(address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        asked.shutdown().await.expect("it is open");
        assert!(answer(asked).await.starts_with("HTTP/1.1 200"), "{path}");
    }
    let mut silent = say(address, "").await;
    silent.shutdown().await.expect("it is open");
    assert_eq!(answer(silent).await, "", "it waits for nothing");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let (address, _stop, _served) = start(4).await;
    let flood: String = (0..HEADERS + 1).map(|number| format!("x-{number}: y\r\n")).collect();
    let many = say(address, &format!("GET / HTTP/1.1\r\nhost: x\r\n{flood}\r\n")).await;
    assert!(answer(many).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn stopping_waits_for_who_is_served_and_for_nobody_else() {
    let (address, stop, served) = start(16).await;
    let _silent = (say(address, "").await, say(address, "GET / HTTP/1.1\r\nhos").await);
    let mut idle = say(address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    idle.read_u8().await.expect("it is answered, and stays open");
    let slow = say(address, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.give();
    assert!(answer(slow).await.ends_with("late"));
    tokio::time::timeout(SOON, served).await.expect("nobody else is waited for").expect("no panic");
}

#[tokio::test]
async fn a_port_that_ends_refuses_newcomers_while_a_request_is_under_way() {
    let (address, stop, served) = start(4).await;
    let slow = say(address, "GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    // The request has begun once a later connection was served.
    let later = say(address, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer(later).await.ends_with("here"));
    stop.give();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let refused = TcpStream::connect(address).await.expect_err("the port takes nobody");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(answer(slow).await.ends_with("late"));
    served.await.expect("it ends");
}
