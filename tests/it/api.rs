//! Every way in which HTTP goes wrong, on a real socket: what the client makes of it, and how often
//! it asks.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyform::api::{Client, Options};
use keyform::audit::Ended;
use keyform::keyset::{ApiVersion, KeysetId, Secret};
use keyform::ports::{Api, ApiError, ApiErrorKind, Body, LedgerError, Notes};
use zeroize::Zeroizing;

const KEY: &str = "the-api-key-of-this-test";

/// What the server does with one request.
#[derive(Clone)]
enum Act {
    /// Sends these bytes and closes.
    Say(Vec<u8>),
    /// Closes after reading the request.
    Cut,
    /// Closes with a reset.
    Reset,
    /// Closes before reading.
    Slam,
    /// Says nothing for this long.
    Silence(Duration),
    /// One byte at a time, for ever (bounded by the client's patience).
    Drip,
    /// A head, then spaces without end.
    Flood,
    /// Answers and keeps the connection, then closes it while it is idle.
    KeepThenClose(Vec<u8>),
}

fn answer(status: &str, headers: &str, body: &str) -> Act {
    Act::Say(
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )
}

fn json(status: &str, body: &str) -> Act {
    answer(status, "Content-Type: application/json\r\n", body)
}

/// Plays one act per request, the last one for all that follow. Ends with its test's process; every
/// wait is bounded.
struct Server {
    endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(acts: Vec<Act>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let script = Arc::new(Mutex::new((VecDeque::from(acts), requests.clone())));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let script = script.clone();
                std::thread::spawn(move || serve(stream, &script));
            }
        });
        Server { endpoint, requests }
    }
    fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("not poisoned").clone()
    }
    fn client(&self) -> Client {
        client(&self.endpoint, Duration::from_millis(700))
    }
}

/// A log that nobody reads.
struct Unread;
#[async_trait::async_trait]
impl Notes for Unread {
    async fn request(&self, _: &str, _: &str, _: Option<&Body>) -> Result<u64, LedgerError> {
        Ok(0)
    }
    async fn answer(&self, _: u64, _: Ended, _: Option<String>) {}
}

fn client(endpoint: &str, timeout: Duration) -> Client {
    let key = Secret::parse(Zeroizing::new(KEY.to_owned())).expect("a key");
    let mut options = Options::new(endpoint.to_owned(), ApiVersion::default(), key);
    options.timeout = timeout;
    options.tries = 3;
    options.first_pause = Duration::from_millis(10);
    options.notes = Some(Arc::new(Unread));
    Client::new(options).expect("a client")
}

type Script = Mutex<(VecDeque<Act>, Arc<Mutex<Vec<String>>>)>;

fn serve(mut stream: TcpStream, script: &Script) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let _ = stream.set_write_timeout(Some(Duration::from_secs(5)));
    let Some(act) = script.lock().expect("not poisoned").0.front().cloned() else { return };
    let request = match act {
        Act::Slam => Some("slammed".to_owned()),
        // Closing while bytes are unread makes the kernel send a reset.
        Act::Reset => (stream.read(&mut [0; 1]).unwrap_or(0) == 1).then(|| "reset".to_owned()),
        _ => request(&mut stream),
    };
    let Some(request) = request else { return };
    {
        let mut script = script.lock().expect("not poisoned");
        script.1.lock().expect("not poisoned").push(request);
        if script.0.len() > 1 {
            script.0.pop_front();
        }
    }
    match &act {
        Act::Say(bytes) => drop(stream.write_all(bytes)),
        Act::Cut | Act::Slam | Act::Reset => {}
        Act::Silence(time) => std::thread::sleep(*time),
        Act::Drip => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
            for _ in 0..100 {
                if stream.write_all(b" ").is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Act::Flood => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
            for _ in 0..1600 {
                if stream.write_all(chunk.as_bytes()).is_err() {
                    break;
                }
            }
        }
        Act::KeepThenClose(bytes) => {
            let _ = stream.write_all(bytes);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// One whole request as text; `None` for a connection on which none came.
fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer).ok()?;
        if n == 0 {
            return None;
        }
        bytes.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|l| {
            l.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned)
        });
        if body.len() >= length.and_then(|l| l.parse().ok()).unwrap_or(0) {
            return Some(text.into_owned());
        }
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

fn get(client: &Client) -> Result<u64, ApiError> {
    run(client.apps_page(1)).map(|page| page.total)
}

fn post(client: &Client) -> Result<(), ApiError> {
    run(client.post_keyset(&Body::new())).map(|_| ())
}

const PAGE: &str = r#"{"apps":[],"total":0,"page":1,"limit":100}"#;
/// What must never be repeated in an error: it could be a secret.
const CANARY: &str = "sec-c-CANARYCANARYCANARYCANARYCANARY";

#[test]
fn the_key_and_the_version_are_headers_of_every_request() {
    let server = Server::new(vec![json("200 OK", PAGE)]);
    assert_eq!(get(&server.client()).expect("an answer"), 0);
    let request = server.requests().remove(0).to_ascii_lowercase();
    assert!(request.starts_with("get /v2/apps?page=1&limit=100 http/1.1\r\n"));
    assert!(request.contains(&format!("\r\nauthorization: {KEY}\r\n")));
    assert!(request.contains("\r\npubnub-version: 2026-03-23\r\n"));
    assert!(request.contains("\r\ncontent-type: application/json\r\n"));
    assert_eq!(request.matches(KEY).count(), 1);
}

#[test]
fn a_get_is_tried_again_where_that_may_help() {
    let error = |status: &str| {
        json(status, r#"{"statusCode":500,"error":"InternalError","message":["again"]}"#)
    };
    for fault in [
        error("500 Internal Server Error"),
        error("503 Service Unavailable"),
        error("429 Too Many Requests"),
        Act::Cut,
        Act::Slam,
        Act::Reset,
    ] {
        let server = Server::new(vec![fault, json("200 OK", PAGE)]);
        assert_eq!(get(&server.client()).expect("the second try is answered"), 0);
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn a_get_that_stays_broken_is_given_up_after_its_tries() {
    for (fault, says) in [
        (json("500 Internal Server Error", "{}"), "500"),
        (
            answer("502 Bad Gateway", "Content-Type: text/html\r\n", "<html>bad gateway</html>"),
            "502: no error of the Admin API in the answer (text/html",
        ),
        (Act::Cut, "no complete answer"),
        (Act::Silence(Duration::from_secs(2)), "no complete answer: out of time"),
        (Act::Drip, "no complete answer: out of time"),
        (
            Act::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"apps\"".to_vec()),
            "no complete answer",
        ),
        (
            Act::Say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec()),
            "no complete answer",
        ),
        (Act::Say(b"no http at all\r\n\r\n".to_vec()), "no complete answer"),
        (
            Act::Say(format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(5000)).into_bytes()),
            "no complete answer",
        ),
    ] {
        let server = Server::new(vec![fault]);
        let error = get(&server.client()).expect_err("it stays broken").to_string();
        assert!(
            error.starts_with("GET /v2/apps?page=1&limit=100: ")
                && error.contains(says)
                && error.ends_with("(after 3 tries)"),
            "{error}"
        );
        assert_eq!(server.requests().len(), 3, "{says}");
    }
}

#[test]
fn what_another_try_cannot_mend_is_asked_once() {
    let said = |status: &str, name: &str| {
        json(status, &format!(r#"{{"statusCode":0,"error":"{name}","message":["one","two"]}}"#))
    };
    for (fault, says) in [
        (said("400 Bad Request", "BadRequest"), "400 BadRequest: one; two"),
        (said("401 Unauthorized", "Unauthorized"), "401 Unauthorized: one; two"),
        (said("403 Forbidden", "Forbidden"), "403 Forbidden: one; two"),
        (said("404 Not Found", "NotFound"), "404 NotFound: one; two"),
        (
            answer("200 OK", "Content-Type: text/html\r\n", "<html></html>"),
            "this is not JSON at line 1, column 1",
        ),
        (json("200 OK", r#"{"apps":[{"id":1}],"total":1}"#), "not an answer of the Admin API"),
        (Act::Flood, "the answer is longer than 16 MiB"),
        (
            Act::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n".to_vec()),
            "the answer is longer than 16 MiB",
        ),
    ] {
        let server = Server::new(vec![fault]);
        let error = get(&client(&server.endpoint, Duration::from_secs(10)))
            .expect_err("it is an error")
            .to_string();
        assert!(error.contains(says), "{error}");
        assert_eq!(server.requests().len(), 1, "{says}");
    }
}

#[test]
fn the_content_type_does_not_matter_where_the_content_is_right() {
    let server = Server::new(vec![answer("200 OK", "Content-Type: text/plain\r\n", PAGE)]);
    assert_eq!(get(&server.client()).expect("it is JSON"), 0);
}

#[test]
fn a_redirect_is_not_followed_and_the_key_goes_nowhere_else() {
    let other = Server::new(vec![json("200 OK", PAGE)]);
    let server = Server::new(vec![answer(
        "302 Found",
        &format!("Location: {}/v2/apps\r\n", other.endpoint),
        "",
    )]);
    let error = get(&server.client()).expect_err("it is an error").to_string();
    assert!(error.contains("302"), "{error}");
    assert!(other.requests().is_empty());
}

#[test]
fn a_post_is_sent_once_whatever_comes_back() {
    for fault in [
        Act::Cut,
        Act::Reset,
        Act::Silence(Duration::from_secs(2)),
        Act::Drip,
        json("500 Internal Server Error", "{}"),
        answer("429 Too Many Requests", "Retry-After: 0\r\n", "{}"),
        answer("503 Service Unavailable", "Retry-After: 0\r\n", "{}"),
        Act::Say(b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{\"keyset\"".to_vec()),
        Act::Flood,
    ] {
        let server = Server::new(vec![fault]);
        let error = post(&server.client()).expect_err("it is an error");
        assert!(!error.certainly_not_done(), "it may have been carried out: {error}");
        assert_eq!(server.requests().len(), 1, "{error}");
    }
    for status in [
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "409 Conflict",
        "422 Unprocessable",
    ] {
        let server = Server::new(vec![json(status, "{}")]);
        let error = post(&server.client()).expect_err("it is an error");
        assert!(error.certainly_not_done(), "{error}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn fifty_posts_on_connections_that_are_cut_are_fifty_requests() {
    for fault in [Act::Cut, Act::Reset] {
        let server = Server::new(vec![fault]);
        let client = server.client();
        for _ in 0..50 {
            post(&client).expect_err("it is cut");
        }
        assert_eq!(server.requests().len(), 50);
    }
}

#[test]
fn an_idle_connection_that_was_closed_costs_nothing_and_doubles_nothing() {
    let keep = format!("HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n{PAGE}", PAGE.len())
        .into_bytes();
    let server = Server::new(vec![Act::KeepThenClose(keep)]);
    let client = server.client();
    run(async {
        for _ in 0..10 {
            client.post_keyset(&Body::new()).await.map(|_| ()).expect("answered");
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
    });
    assert_eq!(server.requests().len(), 10);
}

#[test]
fn a_connection_that_is_refused_never_left() {
    let port =
        TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let error = post(&client(&format!("http://127.0.0.1:{port}"), Duration::from_secs(1)))
        .expect_err("nobody listens");
    assert!(
        error.certainly_not_done() && matches!(error.kind, ApiErrorKind::NotSent(_)),
        "{error}"
    );
}

#[test]
fn retry_after_is_kept_by_all_requests() {
    let date =
        "Date: Mon, 23 Nov 2026 00:00:00 GMT\r\nRetry-After: Mon, 23 Nov 2026 00:00:01 GMT\r\n";
    for wait in ["Retry-After: 1\r\n", date] {
        let server =
            Server::new(vec![answer("429 Too Many Requests", wait, "{}"), json("200 OK", PAGE)]);
        let begun = Instant::now();
        let client = client(&server.endpoint, Duration::from_secs(5));
        run(async {
            let first = client.post_keyset(&Body::new()).await;
            assert!(first.is_err(), "a POST is not repeated");
            // Another request, which the server has not answered yet, waits too.
            client.apps_page(1).await.map(|_| ()).expect("answered");
        });
        assert!(begun.elapsed() >= Duration::from_millis(950), "{wait}");
        assert_eq!(server.requests().len(), 2);
    }
}

#[test]
fn an_error_that_quotes_a_key_or_a_secret_is_told_without_them() {
    let body = format!(
        r#"{{"error":"Bad {KEY}","message":["the key {KEY} is revoked","could not save {CANARY}","a plain word"]}}"#
    );
    let server = Server::new(vec![json("403 Forbidden", &body)]);
    let client = server.client();
    for error in [get(&client).expect_err("refused"), post(&client).expect_err("refused")] {
        let said = format!("{error} {error:?} {:?}", error.help());
        assert!(!said.contains(KEY) && !said.contains("CANARY"), "{said}");
        assert!(said.contains("403") && said.contains("a plain word"), "{said}");
    }
    let typed =
        answer("500 Internal Server Error", &format!("Content-Type: x/{KEY}\r\n"), "no JSON");
    let said = get(&Server::new(vec![typed]).client()).expect_err("it stays broken").to_string();
    assert!(!said.contains(KEY), "{said}");
}

/// What is logged, in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_key_and_no_answer_is_logged_at_the_noisiest_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let page = PAGE.replacen('{', &format!(r#"{{"new":"{CANARY}","#), 1);
    let refusal = format!(r#"{{"error":"Bad","message":["{CANARY}"]}}"#);
    let server = Server::new(vec![
        json("500 Internal Server Error", &refusal),
        json("200 OK", &page),
        json("201 Created", CANARY),
        Act::Cut,
    ]);
    tracing::subscriber::with_default(subscriber, || {
        let client = server.client();
        assert_eq!(get(&client).expect("the second try is answered"), 0);
        post(&client).expect("answered");
        post(&client).expect_err("cut");
    });
    let said = String::from_utf8_lossy(&log.0.lock().expect("not poisoned")).into_owned();
    assert!(
        said.contains("answered") && said.contains("not answered") && said.contains("trying again"),
        "the log is caught: {said}"
    );
    assert!(!said.contains(KEY) && !said.contains("CANARY"), "{said}");
}

#[test]
fn no_error_repeats_what_an_answer_held() {
    let body = format!(r#"{{"apps":[{{"id":"1","name":{{"secretKey":"{CANARY}"}}}}],"total":1}}"#);
    for act in [
        json("200 OK", &body),
        json("200 OK", CANARY),
        answer("500 Internal Server Error", "", CANARY),
        json("403 Forbidden", CANARY),
    ] {
        let server = Server::new(vec![act]);
        let error = get(&server.client()).expect_err("it is an error");
        assert!(!format!("{error} {error:?}").contains("CANARY"), "{error:?}");
        assert!(!format!("{error} {error:?}").contains(KEY));
    }
}

#[test]
fn a_patch_answered_about_another_keyset_is_an_error() {
    let body = r#"{"id":"2","appId":"1","publishKey":"pub-c-1","subscribeKey":"sub-c-1"}"#;
    let server = Server::new(vec![json("200 OK", body)]);
    let id = KeysetId::parse("1").expect("an id");
    let error = run(server.client().patch_keyset(&id, &Body::new()))
        .map(|_| ())
        .expect_err("it is about another one");
    assert!(error.to_string().contains("another id"), "{error}");
}

#[test]
fn only_safe_endpoints_are_taken() {
    let made = |endpoint: &str| {
        let key = Secret::parse(Zeroizing::new(KEY.to_owned())).expect("a key");
        Client::new(Options::new(endpoint.to_owned(), ApiVersion::default(), key)).is_ok()
    };
    for good in [
        "https://admin-api.pubnub.com",
        "https://admin-api.pubnub.com/",
        "http://127.0.0.1:8080",
        "http://localhost:1",
        "http://[::1]:1",
    ] {
        assert!(made(good), "{good}");
    }
    for bad in [
        "http://admin-api.pubnub.com",
        "http://127.0.0.1.example.com",
        "https://user@host",
        "https://host/path",
        "https://host?q",
        "ftp://host",
        "host",
        "",
    ] {
        assert!(!made(bad), "{bad}");
    }
}

/// Answers `good` requests on one connection, then reads one more and cuts. Counts whole requests.
fn keep_alive_then_cut(good: usize, reset: bool) -> (String, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let seen = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = seen.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let count = count.clone();
            std::thread::spawn(move || {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                for _ in 0..good {
                    if request(&mut stream).is_none() {
                        return;
                    }
                    count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    let _ = stream.write_all(
                        format!(
                            "HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n{PAGE}",
                            PAGE.len()
                        )
                        .as_bytes(),
                    );
                }
                if reset {
                    if stream.read(&mut [0; 1]).unwrap_or(0) == 1 {
                        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    }
                } else if request(&mut stream).is_some() {
                    count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
            });
        }
    });
    (endpoint, seen)
}

#[test]
fn posts_on_reused_connections_that_are_cut_are_sent_once() {
    for reset in [false, true] {
        let (endpoint, seen) = keep_alive_then_cut(1, reset);
        let client = client(&endpoint, Duration::from_secs(2));
        let mut failed = 0;
        run(async {
            for _ in 0..50 {
                if client.post_keyset(&Body::new()).await.is_err() {
                    failed += 1
                }
            }
        });
        assert_eq!(failed, 25, "every second one is on the reused connection: reset {reset}");
        assert_eq!(seen.load(std::sync::atomic::Ordering::SeqCst), 50, "reset {reset}");
    }
}

#[test]
fn too_many_requests_without_retry_after_stops_the_others_too() {
    let server = Server::new(vec![answer("429 Too Many Requests", "", "{}"), json("200 OK", PAGE)]);
    let key = Secret::parse(Zeroizing::new(KEY.to_owned())).expect("a key");
    let mut options = Options::new(server.endpoint.clone(), ApiVersion::default(), key);
    options.first_pause = Duration::from_millis(400);
    options.notes = Some(Arc::new(Unread));
    let client = Client::new(options).expect("a client");
    run(async {
        client.post_keyset(&Body::new()).await.map(|_| ()).expect_err("429");
        let begun = Instant::now();
        client.apps_page(1).await.map(|_| ()).expect("answered");
        assert!(begun.elapsed() >= Duration::from_millis(200), "sent after {:?}", begun.elapsed());
    });
}

#[test]
fn a_longer_wait_holds_those_who_wait_already() {
    // 1: 429 for 1 s; 2: in flight meanwhile, 429 for 3 s; 3: waits since the first.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let begun = Instant::now();
    let times: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let log = times.clone();
    std::thread::spawn(move || {
        for (n, mut stream) in listener.incoming().flatten().enumerate() {
            let log = log.clone();
            std::thread::spawn(move || {
                if request(&mut stream).is_none() {
                    return;
                }
                log.lock().expect("not poisoned").push(begun.elapsed());
                let said = match n {
                    0 => {
                        std::thread::sleep(Duration::from_millis(200));
                        "HTTP/1.1 429 X\r\nRetry-After: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}".to_owned()
                    }
                    1 => {
                        std::thread::sleep(Duration::from_millis(600));
                        "HTTP/1.1 429 X\r\nRetry-After: 3\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}".to_owned()
                    }
                    _ => format!(
                        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{PAGE}",
                        PAGE.len()
                    ),
                };
                let _ = stream.write_all(said.as_bytes());
            });
        }
    });
    let client = client(&endpoint, Duration::from_secs(10));
    let body = Body::new();
    run(async {
        let third = async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            client.apps_page(1).await.map(|_| ())
        };
        let (a, b, c) =
            futures_util::join!(client.post_keyset(&body), client.post_keyset(&body), third);
        assert!(a.is_err() && b.is_err());
        c.expect("answered");
    });
    let at = times.lock().expect("not poisoned")[2];
    assert!(at >= Duration::from_millis(3400), "the third was sent after {at:?}");
}
