//! Telemetry's API on loopback, with the calls that the output makes: boards, widgets, flows, and batches of data.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::server::{Answer, Request, Server};

/// The server and what it holds.
pub(super) struct Api {
    server: Server,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    made: u64,
    boards: BTreeMap<String, Value>,
    widgets: BTreeMap<String, Value>,
    flows: BTreeMap<String, Value>,
    /// The request that is to fail, counted down.
    fails_in: Option<usize>,
}

/// Starts it. Its key is `hunter2`.
pub(super) fn start() -> Api {
    let held = Arc::new(Mutex::new(Held::default()));
    let of_server = Arc::clone(&held);
    let server = Server::deciding(move |request| {
        let mut held = of_server.lock().expect("no test panicked with it");
        let (status, body) = held.answer(request);
        Answer::Status(status, "", body.to_string())
    });
    Api { server, held }
}

impl Api {
    pub(super) fn port(&self) -> u16 {
        self.server.port()
    }

    /// The lines of the requests after the first `from`.
    pub(super) fn lines(&self, from: usize) -> Vec<String> {
        self.server.requests()[from..].iter().map(|request| request.line.clone()).collect()
    }

    /// The `n`th request from now on fails, once.
    pub(super) fn fail_in(&self, n: usize) {
        self.held().fails_in = Some(n);
    }

    /// Whether that has happened.
    pub(super) fn has_failed(&self) -> bool {
        self.held().fails_in.is_none()
    }

    /// A flow that is there before anyone asks.
    pub(super) fn add_flow(&self, tag: &str, variant: &str) {
        let mut held = self.held();
        let id = held.id();
        held.flows
            .insert(id.clone(), json!({"id": id, "tag": tag, "variant": variant, "data": {}}));
    }

    /// A widget that somebody else put on a board.
    pub(super) fn add_widget(&self, board: &str, variant: &str) -> String {
        let mut held = self.held();
        let board =
            held.boards.values().find(|b| b["name"] == board).expect("a board")["id"].clone();
        let id = held.id();
        let widget =
            json!({"id": id, "variant": variant, "board_id": board, "column": 9, "row": 9});
        held.widgets.insert(id.clone(), widget);
        id
    }

    /// A flow by its tag.
    pub(super) fn flow(&self, tag: &str) -> Value {
        let held = self.held();
        held.flows.values().find(|flow| flow["tag"] == tag).cloned().unwrap_or_default()
    }

    /// All widgets, without their ids.
    pub(super) fn widgets(&self) -> Vec<Value> {
        let mut widgets: Vec<_> = self.held().widgets.values().cloned().collect();
        widgets.iter_mut().for_each(|widget| drop(widget["id"].take()));
        widgets
    }

    /// Changes a widget, or deletes it, as somebody else might.
    pub(super) fn meddle(&self, change: impl FnOnce(&mut BTreeMap<String, Value>)) {
        change(&mut self.held().widgets);
    }

    /// How many boards, widgets and flows there are.
    pub(super) fn counts(&self) -> [usize; 3] {
        let held = self.held();
        [held.boards.len(), held.widgets.len(), held.flows.len()]
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().expect("no test panicked with it")
    }
}

impl Held {
    fn id(&mut self) -> String {
        self.made += 1;
        format!("id/{}", self.made)
    }

    fn answer(&mut self, request: &Request) -> (u16, Value) {
        if let Some(left) = &mut self.fails_in {
            *left -= 1;
            if *left == 0 {
                self.fails_in = None;
                return (500, json!({"errors": ["boom"]}));
            }
        }
        if request.header("authorization") != Some("Basic aHVudGVyMjo=") {
            return (401, json!({"errors": ["who are you?"]}));
        }
        let (method, path) = request.line.split_once(' ').expect("a method and a path");
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let parts: Vec<String> = path.split('/').skip(1).map(decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        self.found(method, &parts, &decoded(query), &body).unwrap_or((404, json!({})))
    }

    /// `None` for what is not there.
    fn found(
        &mut self,
        method: &str,
        parts: &[&str],
        query: &str,
        body: &Value,
    ) -> Option<(u16, Value)> {
        let ok = |value: Value| Some((200, value));
        match (method, parts) {
            ("GET", ["boards"]) => {
                let name = query.strip_prefix("name=")?;
                ok(self.boards.values().filter(|board| board["name"] == name).cloned().collect())
            }
            ("POST", ["boards"]) => ok(Self::keep(self.id(), body, &mut self.boards)),
            ("GET", ["boards", id]) => {
                let mut board = self.boards.get(*id)?.clone();
                let widgets = self.widgets.values().filter(|widget| widget["board_id"] == *id);
                board["widgets"] = widgets.cloned().collect();
                ok(board)
            }
            ("DELETE", ["boards", id]) => {
                self.widgets.retain(|_, widget| widget["board_id"] != *id);
                ok(self.boards.remove(*id)?)
            }
            ("POST", ["widgets"]) => {
                let mut widget = body.clone();
                self.boards.get(body["board_id"].as_str()?)?;
                if let Some(flow) = widget.as_object_mut()?.remove("flow_id")?.as_str() {
                    self.flows.get(flow)?;
                    widget["flow_ids"] = json!([flow]);
                }
                ok(Self::keep(self.id(), &widget, &mut self.widgets))
            }
            ("GET", ["widgets", id]) => ok(self.widgets.get(*id)?.clone()),
            ("DELETE", ["widgets", id]) => ok(self.widgets.remove(*id)?),
            ("POST", ["flows"]) if self.by_tag(body["tag"].as_str()?).is_some() => {
                Some((400, json!({"errors": ["the tag is taken"]})))
            }
            ("POST", ["flows"]) => ok(Self::keep(self.id(), body, &mut self.flows)),
            ("GET", ["flows", tag]) => ok(self.by_tag(tag)?.clone()),
            ("GET", ["flows", id, "layout"]) => {
                let mut flow = self.flows.get(*id)?.clone();
                flow.as_object_mut()?.remove("data");
                ok(flow)
            }
            ("PUT", ["flows", tag, "data"]) => {
                self.by_tag(tag)?["data"] = body.clone();
                ok(json!({}))
            }
            ("POST", ["flows", tag, "error"]) => {
                self.by_tag(tag)?["error"] = body.clone();
                ok(json!({}))
            }
            ("DELETE", ["flows", id]) => ok(self.flows.remove(*id)?),
            ("PATCH", ["data"]) => {
                let (mut updated, mut skipped) = (Vec::new(), Vec::new());
                for (tag, data) in body["data"].as_object()? {
                    match self.by_tag(tag) {
                        Some(flow) => {
                            for (name, value) in data.as_object()? {
                                flow["data"][name] = value.clone();
                            }
                            updated.push(tag.clone());
                        }
                        None => skipped.push(tag.clone()),
                    }
                }
                ok(json!({"errors": [], "skipped": skipped, "updated": updated}))
            }
            _ => None,
        }
    }

    fn keep(id: String, body: &Value, all: &mut BTreeMap<String, Value>) -> Value {
        let mut kept = body.clone();
        kept["id"] = json!(id);
        all.insert(id, kept.clone());
        kept
    }

    fn by_tag(&mut self, tag: &str) -> Option<&mut Value> {
        self.flows.values_mut().find(|flow| flow["tag"] == tag)
    }
}
