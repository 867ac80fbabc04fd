mod server;
mod tls;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::decode::decode;
use crate::sink::Collected;
use server::{answer, serve};

fn http(options: serde_json::Value) -> Http {
    let http: Http = decode(&options).expect("options");
    assert_eq!(http.conflicts(), []);
    http
}

fn context(folder: &Path) -> Context {
    Context {
        job: "job".into(),
        now_ms: 5,
        deadline: Instant::now() + Duration::from_secs(60),
        directory: Arc::from(folder),
        environment: Arc::from([]),
    }
}

fn collect(options: serde_json::Value) -> (Result<(), Error>, Collected) {
    let sink = Sink::new("job".into(), Vec::new(), 5);
    let result = http(options).collect(&context(Path::new("/")), &sink);
    (result, sink.seal().expect("open"))
}

fn failure(options: serde_json::Value) -> String {
    chain(&collect(options).0.expect_err("a failure"))
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

fn told(collected: &Collected) -> Vec<String> {
    let batch = &collected.batch;
    batch.points().iter().map(|p| format!("{} {}", batch.text(p.key), batch.value(p))).collect()
}

const GZIP: &str = "content-encoding: gzip\r\n";

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(content).expect("compressed");
    gz.finish().expect("compressed")
}

fn value_at(path: &str) -> serde_json::Value {
    json!({"values": {"v": path}})
}

#[test]
fn a_request_carries_query_headers_and_credentials() {
    let server = serve(|_, wire| wire.write_all(&answer("200 OK", "", r#"{"v": 1.5}"#)));
    let (result, collected) = collect(json!({
        "url": server.url("/p?a=1"), "query": {"limit": 10, "q": "x y"},
        "headers": {"X-One": "1"}, "auth": {"basic": {"user": "u", "password": "hunter2"}},
        "mapping": value_at("/v"),
    }));
    result.expect("collected");
    assert_eq!(told(&collected), ["v 1.5"]);
    let request = server.requests().remove(0);
    assert!(request.starts_with("GET /p?a=1&limit=10&q=x%20y HTTP/1.1\r\n"), "{request}");
    for line in ["x-one: 1\r\n", "authorization: Basic dTpodW50ZXIy\r\n", "user-agent: collector/"]
    {
        assert!(request.contains(line), "{request}");
    }
}

#[test]
fn json_is_posted() {
    let server = serve(|_, wire| wire.write_all(&answer("201 Created", "", "7")));
    let (result, collected) = collect(json!({
        "url": server.url("/"), "method": "POST", "json": {"b": 1, "a": [2]},
        "auth": {"header": {"name": "X-Key", "value": "k".repeat(9000)}}, "format": "value",
    }));
    result.expect("collected");
    assert_eq!(told(&collected), ["value 7"]);
    let request = server.requests().remove(0);
    assert!(
        request.starts_with("POST / ") && request.contains("content-type: application/json\r\n")
    );
    assert!(request.ends_with("\r\n\r\n{\"b\":1,\"a\":[2]}"), "{request}");
}

#[test]
fn other_formats_are_mapped_and_gzip_is_understood() {
    let server = serve(|received, wire| {
        let gz = gzip(b"a,b\n1,2\n");
        match received.path.as_str() {
            "/csv" => wire.write_all(&answer("200 OK", "", "a,b\n1,2\n")),
            "/gz" => wire.write_all(&answer("200 OK", GZIP, gz)),
            "/cut" => wire.write_all(&answer("200 OK", GZIP, &gz[..gz.len() - 9])),
            _ => wire.write_all(&answer("200 OK", "", "load: 0.5")),
        }
    });
    let csv = json!({"url": server.url("/csv"), "format": "csv", "mapping": value_at("b")});
    assert_eq!(told(&collect(csv).1), ["v 2"]);
    let regex = json!({"url": server.url("/"), "format": "regex",
        "mapping": {"pattern": "load: (?<load>.*)", "values": {"load": "load"}}});
    assert_eq!(told(&collect(regex).1), ["load 0.5"]);
    let gz = json!({"url": server.url("/gz"), "format": "csv", "mapping": value_at("b")});
    assert_eq!(told(&collect(gz).1), ["v 2"]);
    let cut = json!({"url": server.url("/cut"), "format": "csv", "mapping": value_at("b")});
    assert!(failure(cut).contains("the answer broke off"));
}

#[test]
fn pages_are_followed_by_link_header() {
    let server = serve(|received, wire| {
        let (link, body) = match received.path.as_str() {
            "/list?page=1" => ("link: </list?page=2>; rel=\"next\"\r\n", r#"[{"v": 1}, {"v": 2}]"#),
            _ => ("link: </list?page=1>; rel=\"prev\"\r\n", r#"[{"v": 3}]"#),
        };
        wire.write_all(&answer("200 OK", link, body))
    });
    let (result, collected) = collect(json!({
        "url": server.url("/list"), "query": {"page": 1}, "pages": {"next": "link_header"},
        "mapping": {"each": "", "values": {"v": "/v"}},
    }));
    result.expect("collected");
    assert_eq!(told(&collected), ["v 1", "v 2", "v 3"]);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn pages_are_followed_by_pointer_until_the_bound() {
    let server = serve(|received, wire| {
        let page: u32 = received.path.trim_start_matches("/?p=").parse().unwrap_or(0);
        let body = format!(r#"{{"v": {page}, "next": "?p={}"}}"#, page + 1);
        wire.write_all(&answer("200 OK", "", body))
    });
    let (result, collected) = collect(json!({
        "url": server.url("/"), "pages": {"next": "/next", "max": 3}, "mapping": value_at("/v"),
    }));
    let error = chain(&result.expect_err("not all was read"));
    assert!(error.contains("there are more than 3 pages (`pages.max`)"), "{error}");
    assert_eq!(told(&collected), ["v 0", "v 1", "v 2"]);
}

#[test]
fn pages_in_a_circle_or_elsewhere_end_with_an_error_and_keep_what_was_there() {
    let elsewhere = serve(|_, wire| wire.write_all(&answer("200 OK", "", r#"{"v": 9}"#)));
    let target = elsewhere.url("/?token=hunter2");
    let server = serve(move |received, wire| {
        let next = match received.path.as_str() {
            "/circle" => json!("/circle#again"),
            "/number" => json!(7),
            "/last" => json!(null),
            _ => json!(target),
        };
        wire.write_all(&answer("200 OK", "", json!({"v": 1, "next": next}).to_string()))
    });
    for (path, reason) in [
        ("/circle", "the next page is one that was there before"),
        ("/away", "the next page is on another host"),
        ("/number", "expected the URL of a page, found a number"),
        ("/last", ""),
    ] {
        let (result, collected) = collect(json!({
            "url": server.url(path), "pages": {"next": "$.next"}, "mapping": value_at("/v"),
        }));
        assert_eq!(told(&collected), ["v 1"]);
        let error = result.err().map(|error| chain(&error)).unwrap_or_default();
        assert!(error.contains(reason) && error.is_empty() == reason.is_empty(), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn credentials_stay_on_their_host() {
    let away = serve(|received, wire| {
        let next = if received.path == "/there" { json!("/next") } else { json!(null) };
        wire.write_all(&answer("200 OK", "", json!({"v": 1, "next": next}).to_string()))
    });
    let target = away.url("/there");
    let server = serve(move |received, wire| {
        let location = if received.path == "/a" { "b/../c" } else { &target };
        wire.write_all(&answer("302 Found", &format!("location: {location}\r\n"), ""))
    });
    let (result, collected) = collect(json!({
        "url": server.url("/a"), "headers": {"X-Key": "hunter2"}, "auth": {"bearer": "hunter3"},
        "pages": {"next": "/next"}, "mapping": value_at("/v"),
    }));
    result.expect("collected");
    assert_eq!(told(&collected), ["v 1", "v 1"]);
    let home = server.requests();
    assert!(home[1].starts_with("GET /c ") && home[1].contains("hunter2"), "{}", home[1]);
    for request in away.requests() {
        assert!(!request.contains("hunter"), "{request}");
    }
    assert_eq!(away.requests().len(), 2);
}

#[test]
fn a_post_is_redirected_as_its_status_says() {
    let server = serve(|received, wire| match received.path.as_str() {
        "/see" => wire.write_all(&answer("303 See Other", "location: /done\r\n", "")),
        "/again" => wire.write_all(&answer("307 Temporary", "location: /done\r\n", "")),
        _ => wire.write_all(&answer("200 OK", "", "1")),
    });
    for path in ["/see", "/again"] {
        let options =
            json!({"url": server.url(path), "method": "POST", "body": "text", "format": "value"});
        collect(options).0.expect("collected");
    }
    let requests = server.requests();
    assert!(
        requests[1].starts_with("GET /done ") && !requests[1].contains("text"),
        "{}",
        requests[1]
    );
    assert!(requests[3].starts_with("POST /done ") && requests[3].ends_with("\r\n\r\ntext"));
}

#[test]
fn what_is_posted_stays_on_its_host() {
    let away = serve(|received, wire| {
        let next = if received.path == "/list" { json!("/next") } else { json!(null) };
        wire.write_all(&answer("200 OK", "", json!({"v": 1, "next": next}).to_string()))
    });
    let target = away.url("");
    let server = serve(move |received, wire| {
        let (status, path) = received.path.split_at(4);
        let headers = format!("location: {target}{path}\r\n");
        wire.write_all(&answer(&format!("{} Moved", &status[1..]), &headers, ""))
    });
    for (path, posted) in [
        ("/307/again", json!({"body": "hunter2"})),
        ("/308/again", json!({"json": {"password": "hunter2"}})),
        ("/303/list", json!({"body": "hunter2", "pages": {"next": "/next"}})),
    ] {
        let mut options = posted;
        options["url"] = json!(server.url(path));
        options["method"] = json!("POST");
        options["mapping"] = value_at("/v");
        let error = failure(options);
        assert!(error.contains("what is posted is for the host of `url` alone"), "{error}");
    }
    let requests = away.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].starts_with("GET /list "), "{}", requests[0]);
}

#[test]
fn a_secret_in_json_is_posted_and_not_shown() {
    let server = serve(|received, wire| {
        wire.write_all(&answer("403 Forbidden", "", format!("no: {}", &received.text)))
    });
    let http = http(json!({
        "url": server.url("/"), "method": "POST", "mapping": value_at("/v"),
        "json": {"user": "u", "token": {"env": "PW"}, "n": [{"file": "/x"}]},
    }));
    for (secret, value) in http.secrets().into_iter().zip(["a\"b", "x"]) {
        secret.resolve(value);
    }
    let sink = Sink::new("job".into(), Vec::new(), 5);
    let error = http.collect(&context(Path::new("/")), &sink).expect_err("forbidden");
    assert!(chain(&error).contains("status 403"), "{}", chain(&error));
    let body = r#"{"user":"u","token":"a\"b","n":["x"]}"#;
    assert!(server.requests()[0].ends_with(body), "{}", server.requests()[0]);
}

#[test]
fn redirects_are_bounded() {
    let server =
        serve(|_, wire| wire.write_all(&answer("301 Moved", "location: /\r\n", "moved for good")));
    let options = json!({"url": server.url("/"), "redirects": 2, "mapping": value_at("/v")});
    assert!(failure(options).contains("more than 2 redirects"));
    assert_eq!(server.requests().len(), 3);
    let options = json!({"url": server.url("/"), "redirects": 0, "mapping": value_at("/v")});
    assert!(failure(options).contains("status 301: moved for good"));
    let wrong = serve(|_, wire| wire.write_all(&answer("302 F", "location: ftp://h/\r\n", "")));
    let options = json!({"url": wrong.url("/"), "mapping": value_at("/v")});
    assert!(failure(options).contains("a URL must begin with `http://` or `https://`"));
}

#[test]
fn another_status_is_an_error_that_shows_the_answer_without_secrets() {
    let server = serve(|received, wire| {
        let body = format!("<h1>no\n\tway</h1> {} {}", received.text, "x".repeat(10_000));
        wire.write_all(&answer("403 Forbidden", "", body))
    });
    let (result, collected) = collect(json!({
        "url": server.url("/p?key=hunter2"), "query": {"token": "hunter3"},
        "auth": {"bearer": "hunter4"}, "headers": {"X-Key": "hunter5"}, "mapping": value_at("/v"),
    }));
    let error = chain(&result.expect_err("a failure"));
    let start = format!("`{}`: status 403: <h1>no way</h1> GET /p?", server.url("/p"));
    assert!(error.starts_with(&start), "{error}");
    assert!(error.len() < start.len() + 250, "{error}");
    for secret in ["hunter2", "hunter3", "hunter4", "hunter5"] {
        assert!(server.requests()[0].contains(secret) && !error.contains(secret), "{error}");
    }
    assert!(collected.batch.is_empty());
}

#[test]
fn every_form_of_a_secret_is_struck_out_of_an_answer() {
    let server = serve(|received, wire| {
        let (_, posted) = received.text.split_once("\r\n\r\n").unwrap_or_default();
        wire.write_all(&answer("403 Forbidden", "", format!("{} <{posted}>", received.path)))
    });
    let http = http(json!({
        "url": server.url("/p"), "method": "POST", "query": {"q": "a b/hunter2", "pin": {"env": "PIN"}},
        "body": "user=hunter3\npassword=hunter4", "mapping": value_at("/v"),
    }));
    http.secrets()[1].resolve("7");
    let sink = Sink::new("job".into(), Vec::new(), 5);
    let error = chain(&http.collect(&context(Path::new("/")), &sink).expect_err("forbidden"));
    let told = "status 403: /p?q=[redacted]&pin=[redacted] <[redacted] [redacted]>";
    assert!(server.requests()[0].contains("a%20b%2Fhunter2&pin=7"), "{}", server.requests()[0]);
    assert!(error.ends_with(told), "{error}");
}

#[test]
fn an_expected_status_is_no_error() {
    let server = serve(|_, wire| wire.write_all(&answer("404 Not Found", "", r#"{"v": 1}"#)));
    let options =
        json!({"url": server.url("/"), "expect_status": [200, 404], "mapping": value_at("/v")});
    assert_eq!(told(&collect(options).1), ["v 1"]);
}

#[test]
fn with_probes_alone_any_status_is_a_datapoint() {
    let server = serve(|_, wire| wire.write_all(&answer("503 Unavailable", "", "later")));
    let (result, collected) =
        collect(json!({"url": server.url("/"), "probe": ["status", "latency"]}));
    result.expect("watched");
    let told = told(&collected);
    assert_eq!(told[0], "http_status 503");
    assert!(told[1].starts_with("http_latency_seconds 0."), "{told:?}");

    let options = json!({"url": server.url("/"), "probe": ["status"], "mapping": value_at("/v")});
    let (result, collected) = collect(options);
    assert!(chain(&result.expect_err("no values")).contains("status 503: later"));
    assert_eq!(collected.batch.len(), 1);
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    let server = serve(|received, wire| {
        if received.path == "/middle" {
            wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"v\":")?;
            wire.flush()?;
        }
        // Until the client hangs up.
        wire.read_exact(&mut [0])
    });
    for path in ["/start", "/middle"] {
        let options = json!({"url": server.url(path), "timeout": 0.2, "mapping": value_at("/v")});
        let error = failure(options);
        assert!(error.contains("no complete answer within 0.2 s"), "{error}");
    }
    let http = http(json!({"url": server.url("/"), "mapping": value_at("/v")}));
    let deadline = Instant::now() + Duration::from_millis(100);
    let sink = Sink::new("job".into(), Vec::new(), 5);
    let result = http.collect(&Context { deadline, ..context(Path::new("/")) }, &sink);
    assert!(chain(&result.expect_err("late")).contains("no complete answer within 0.1 s"));
}

#[test]
fn a_broken_answer_is_an_error() {
    let server = serve(|received, wire| {
        let text: &[u8] = match received.path.as_str() {
            "/short" => b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"v\": 1}",
            "/chunk" => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            "/noise" => b"\x00\x01\x02 no http at all \r\n\r\n",
            "/head" => &[b'h'; 100_000],
            _ => b"",
        };
        wire.write_all(text)?;
        Err(io::ErrorKind::BrokenPipe.into())
    });
    for path in ["/short", "/chunk", "/noise", "/head", "/nothing"] {
        let error = failure(json!({"url": server.url(path), "mapping": value_at("/v")}));
        let told = error.contains("the request failed") || error.contains("the answer broke off");
        assert!(told && error.contains(path), "{error}");
    }
    let nobody = json!({"url": "http://127.0.0.1:1/", "mapping": value_at("/v")});
    assert!(failure(nobody).contains("refused"));
}

#[test]
fn long_headers_are_read() {
    let server = serve(|received, wire| {
        let length = if received.path == "/long" { 40_000 } else { 80_000 };
        let headers = format!("x-long: {}\r\n", "x".repeat(length));
        wire.write_all(&answer("200 OK", &headers, "1"))
    });
    let get = json!({"url": server.url("/long"), "format": "value"});
    assert_eq!(told(&collect(get).1), ["value 1"]);
    assert_eq!(server.requests().len(), 2);
    let post = json!({"url": server.url("/long"), "method": "POST", "format": "value"});
    assert_eq!(told(&collect(post).1), ["value 1"]);
    assert_eq!(server.requests().len(), 3);
    let error = failure(json!({"url": server.url("/longer"), "format": "value"}));
    assert!(error.contains("the request failed"), "{error}");
}

#[test]
fn a_gigabyte_is_cut() {
    let server = serve(|received, wire| {
        let mib = vec![b' '; 1 << 20];
        if received.path == "/bomb" {
            return wire.write_all(&answer("200 OK", GZIP, gzip(&mib.repeat(64))));
        }
        wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")?;
        (0..1024).try_for_each(|_| wire.write_all(&mib))
    });
    for path in ["/", "/bomb"] {
        let options =
            json!({"url": server.url(path), "max_bytes": 1_000_000, "mapping": value_at("/v")});
        let error = failure(options);
        assert!(error.contains("longer than 1000000 bytes (`max_bytes`)"), "{error}");
    }
}

#[test]
fn an_answer_of_another_form_is_an_error() {
    let server = serve(|_, wire| wire.write_all(&answer("200 OK", "", "<html>hello</html>")));
    let error = failure(json!({"url": server.url("/x?y"), "mapping": value_at("/v")}));
    let start = format!("`{}`: the answer is not JSON: expected value at line 1", server.url("/x"));
    assert!(error.starts_with(&start), "{error}");
}

#[test]
fn a_check_says_what_it_found() {
    let server = serve(|_, wire| wire.write_all(&answer("200 OK", "", r#"{"v": 1, "w": {}}"#)));
    let http = http(json!({"url": server.url("/"), "mapping": {"values": {"v": "/v", "w": "/w"}}}));
    let error = http.check(&context(Path::new("/"))).expect_err("one value is none");
    let told = chain(&error);
    assert!(told.contains("status 200, 1 datapoints, 1 refused (`w`: "), "{told}");
    let http = self::http(json!({"url": server.url("/"), "mapping": value_at("/v")}));
    let found = http.check(&context(Path::new("/"))).expect("all of it is there");
    assert_eq!(found, "status 200, 1 datapoints");
    assert_eq!(http.default_target().as_deref(), Some("127.0.0.1"));
}

#[test]
fn secrets_are_listed_and_an_unresolved_one_is_an_error() {
    let http = http(json!({
        "url": "http://127.0.0.1:1/", "query": {"a": {"env": "A"}}, "headers": {"b": {"env": "B"}},
        "auth": {"bearer": {"env": "C"}}, "method": "POST", "body": {"env": "D"}, "mapping": value_at("/v"),
    }));
    let names: Vec<_> = http.secrets().iter().map(|secret| format!("{secret:?}")).collect();
    assert_eq!(names, ["{env: B}", "{env: A}", "{env: C}", "{env: D}"]);
    let sink = Sink::new("job".into(), Vec::new(), 5);
    let error = http.collect(&context(Path::new("/")), &sink).expect_err("unresolved");
    assert!(chain(&error).contains("has no value yet"), "{}", chain(&error));
}

#[test]
fn a_header_that_cannot_be_sent_is_named_without_its_value() {
    let options = json!({"url": "http://127.0.0.1:1/", "headers": {"X-Key": "hunter2\n"}, "mapping": value_at("/v")});
    let error = failure(options);
    assert!(error.contains("`x-key`") && !error.contains("hunter2"), "{error}");
}

#[test]
fn combinations_that_cannot_work_are_conflicts() {
    let conflicts = |options: serde_json::Value| -> Vec<String> {
        let http: Http = decode(&options).expect("options");
        http.conflicts().iter().map(|p| crate::decode::Path(&p.path).to_string()).collect()
    };
    assert_eq!(conflicts(json!({"url": "http://h/"})), ["mapping"]);
    assert_eq!(conflicts(json!({"url": "http://h/", "probe": ["certificate"]})), ["probe"]);
    assert_eq!(
        conflicts(json!({"url": "http://h/", "format": "value", "json": 1, "body": "b"})),
        ["body", "json", "body"]
    );
    assert_eq!(
        conflicts(
            json!({"url": "http://h/", "format": "csv", "pages": {"next": "/n"}, "mapping": value_at("a")})
        ),
        ["pages"]
    );
    assert!(conflicts(json!({"url": "http://h/", "format": "value"})).is_empty());
}

#[test]
fn mistakes_are_found_where_they_are() {
    let problems = decode::<Http>(&json!({
        "url": "ftp://h", "method": "PUT", "headers": {"a b": "c", "Content-Length": "1"},
        "auth": {"basic": {"usr": "u"}}, "expect_status": [200, 42], "pages": {"next": "next", "max": 0},
        "probe": ["statsu"], "timeout": "soon",
    }))
    .expect_err("mistakes");
    let told: Vec<String> = problems
        .iter()
        .map(|p| format!("{}: {} {:?}", crate::decode::Path(&p.path), p.message, p.hint))
        .collect();
    for place in [
        "url",
        "method",
        "auth.basic",
        "expect_status[1]",
        "pages.next",
        "pages.max",
        "probe[0]",
        "timeout",
    ] {
        assert!(told.iter().any(|t| t.starts_with(place)), "{place} in {told:#?}");
    }
}

#[test]
fn a_mistake_inside_a_map_of_one_key_is_told_once() {
    for (auth, place) in [
        (json!({"bearer": 12345678}), "auth.bearer"),
        (json!({"bearer": {"env": null}}), "auth.bearer.env"),
    ] {
        let options = json!({"url": "http://h/", "auth": auth});
        let problems = decode::<Http>(&options).expect_err("a mistake");
        let places = problems.iter().map(|p| crate::decode::Path(&p.path).to_string());
        assert_eq!(places.collect::<Vec<_>>(), [place], "{problems:?}");
    }
    let problems = decode::<Http>(&json!({"url": "http://h/", "auth": {}})).expect_err("a mistake");
    let hint = problems[0].hint.as_deref().unwrap_or_default();
    assert_eq!(hint, "expected a map with a single key: `basic`, `bearer`, `token`, `header`");
}

#[test]
fn the_effective_options_show_no_secret() {
    let effective = (crate::find("http").expect("registered").effective)(
        &json!({"url": "https://h/p?key=hunter2", "query": {"k": "hunter3"}, "headers": {"X": "hunter4"},
                "mapping": value_at("/v")}),
    );
    let text = effective.expect("options").to_string();
    assert!(!text.contains("hunter"), "{text}");
    assert!(
        text.contains("https://h/p?[redacted]") && text.contains("\"timeout\":\"30s\""),
        "{text}"
    );
}
