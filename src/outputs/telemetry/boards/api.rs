//! Telemetry's calls for boards, widgets and flows.

use std::time::Instant;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json, json};

use super::super::Telemetry;
use super::Error;
use super::layout::{Layout, Widget};
use crate::outputs::http::{self, Answer, Method, Post};
use crate::outputs::{Body, Surroundings};

/// Telemetry, asked until a deadline.
pub(in crate::outputs::telemetry) struct Api<'a> {
    pub(in crate::outputs::telemetry) telemetry: &'a Telemetry,
    pub(in crate::outputs::telemetry) surroundings: &'a Surroundings,
    pub(in crate::outputs::telemetry) deadline: Instant,
}

/// What has an id.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Made {
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
}

/// A board in a list.
#[derive(Debug, Deserialize)]
struct Listed {
    #[serde(deserialize_with = "id")]
    id: String,
    name: String,
}

/// A board as it is.
#[derive(Debug)]
pub(super) struct Present {
    /// Its looks and its widgets; their flows are told elsewhere.
    pub(super) layout: Layout,
    /// The ids of each of the widgets, and of their flows.
    pub(super) ids: Vec<Ids>,
}

/// The ids of a widget.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Ids {
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
    #[serde(default)]
    flow_ids: Option<Vec<String>>,
    #[serde(default)]
    flow_id: Option<String>,
}

/// A flow as it is.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct FlowFound {
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
    pub(super) tag: String,
    #[serde(default)]
    pub(super) variant: String,
    #[serde(default)]
    pub(super) data: Json,
}

/// An id. An empty one would lead to all of its kind.
fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    if id.is_empty() { Err(D::Error::custom("an id is empty")) } else { Ok(id) }
}

impl Ids {
    /// The flow that the widget shows.
    pub(super) fn flow(&self) -> Option<&str> {
        let first = self.flow_ids.as_ref().and_then(|ids| ids.first());
        first.or(self.flow_id.as_ref()).map(String::as_str)
    }
}

impl Api<'_> {
    /// The id of the board of that name, if there is one.
    pub(super) fn find_board(&self, name: &str) -> Result<Option<String>, Error> {
        let path = format!("/boards?name={}", escaped(name));
        let boards: Option<Vec<Listed>> = self.get(&path)?;
        let found = boards.into_iter().flatten().find(|board| board.name == name);
        Ok(found.map(|board| board.id))
    }

    /// A board with its widgets.
    pub(super) fn board(&self, id: &str) -> Result<Present, Error> {
        let path = format!("/boards/{}", escaped(id));
        let strange = |_| Error::Unreadable {
            request: format!("GET {path}"),
            said: "the server answered a board without what boards have".to_owned(),
        };
        let mut board: Map<String, Json> = self.must_get(&path)?;
        let mut widgets = match board.remove("widgets") {
            Some(Json::Array(widgets)) => widgets,
            // Some versions name the widgets only.
            _ => {
                let ids = board.remove("widget_ids").unwrap_or_default();
                let ids: Option<Vec<String>> = serde_json::from_value(ids).map_err(strange)?;
                let widget = |id: &String| self.must_get(&format!("/widgets/{}", escaped(id)));
                ids.iter().flatten().map(widget).collect::<Result<_, Error>>()?
            }
        };
        let ids = serde_json::from_value(Json::Array(widgets.clone())).map_err(strange)?;
        // What a widget says of its flow is told by the flow.
        for widget in widgets.iter_mut().filter_map(Json::as_object_mut) {
            widget.remove("flow");
        }
        board.insert("widgets".to_owned(), widgets.into());
        let layout = serde_json::from_value(board.into()).map_err(strange)?;
        Ok(Present { layout, ids })
    }

    /// A flow by its id; `None` when it is gone.
    pub(super) fn flow_by_id(&self, id: &str) -> Result<Option<FlowFound>, Error> {
        self.get(&format!("/flows/{}/layout", escaped(id)))
    }

    /// A flow by its tag; `None` when there is none.
    pub(super) fn flow(&self, tag: &str) -> Result<Option<FlowFound>, Error> {
        self.get(&format!("/flows/{}", escaped(tag)))
    }

    /// Makes a board without widgets.
    pub(super) fn make_board(&self, layout: &Layout, name: &str) -> Result<Made, Error> {
        let empty = Layout { name: name.to_owned(), widgets: Vec::new(), ..layout.clone() };
        let mut board = json!(empty);
        if let Some(board) = board.as_object_mut() {
            board.remove("widgets");
        }
        self.send(Method::Post, "/boards", &board)
    }

    /// Makes a flow without data.
    pub(super) fn make_flow(&self, tag: &str, variant: &str) -> Result<Made, Error> {
        self.send(Method::Post, "/flows", &json!({"tag": tag, "variant": variant, "data": null}))
    }

    /// Gives a flow its data.
    pub(super) fn fill(&self, tag: &str, data: &Json) -> Result<(), Error> {
        let path = format!("/flows/{}/{}", escaped(tag), self.telemetry.resource());
        let (request, answer) = self.ask(Method::Put, &path, data)?;
        accepted(&request, &answer)
    }

    /// Says at a flow that something is wrong.
    pub(in crate::outputs::telemetry) fn tell_error(
        &self,
        tag: &str,
        error: &Json,
    ) -> Result<(), Error> {
        let path = format!("/flows/{}/error", escaped(tag));
        let (request, answer) = self.ask(Method::Post, &path, error)?;
        accepted(&request, &answer)
    }

    /// Makes a widget.
    pub(super) fn make_widget(
        &self,
        widget: &Widget,
        board: &str,
        flow: Option<&str>,
    ) -> Result<Made, Error> {
        let Widget { variant, column, row, width, height, in_board_index, background, .. } = widget;
        let made = json!({
            "id": "",
            "variant": variant,
            "board_id": board,
            "flow_id": flow,
            "column": column,
            "row": row,
            "width": width,
            "height": height,
            "in_board_index": in_board_index,
            "background": background,
        });
        self.send(Method::Post, "/widgets", &made)
    }

    /// Deletes what is at a path. What is gone already is deleted.
    pub(super) fn delete(&self, path: &str) -> Result<(), Error> {
        let url = self.telemetry.base()?.below(path)?.uri().to_string();
        let (auth, Self { telemetry, surroundings, deadline }) = (self.telemetry.auth(), self);
        let answer =
            http::Question { http: &telemetry.http, surroundings, url: &url, auth: Some(&auth) }
                .delete(*deadline)?;
        match answer.status {
            404 => Ok(()),
            _ => accepted(&format!("DELETE {path}"), &answer),
        }
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Error> {
        let url = self.telemetry.base()?.below(path)?.uri().to_string();
        let (auth, Self { telemetry, surroundings, deadline }) = (self.telemetry.auth(), self);
        let answer =
            http::Question { http: &telemetry.http, surroundings, url: &url, auth: Some(&auth) }
                .get(*deadline)?;
        match answer.status {
            404 => Ok(None),
            _ => read(&format!("GET {path}"), &answer).map(Some),
        }
    }

    fn must_get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.get(path)?.ok_or_else(|| Error::Refused {
            request: format!("GET {path}"),
            said: "the server answered 404".to_owned(),
            after: None,
        })
    }

    fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        content: &Json,
    ) -> Result<T, Error> {
        let (request, answer) = self.ask(method, path, content)?;
        read(&request, &answer)
    }

    fn ask(&self, method: Method, path: &str, content: &Json) -> Result<(String, Answer), Error> {
        let url = self.telemetry.base()?.below(path)?.uri().to_string();
        let body = Body::Memory(content.to_string().into_bytes());
        let post = Post {
            method,
            headers: vec![("Content-Type", "application/json")],
            auth: Some(self.telemetry.auth()),
            ..Post::new(&self.telemetry.http, self.surroundings, &url, &body)
        };
        let request = format!("{} {path}", method.as_str());
        Ok((request, http::post(&post, self.deadline)?))
    }
}

fn accepted(request: &str, answer: &Answer) -> Result<(), Error> {
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    let (said, after) = (answer.describe(), answer.retry_after);
    Err(Error::Refused { request: request.to_owned(), said, after })
}

fn read<T: DeserializeOwned>(request: &str, answer: &Answer) -> Result<T, Error> {
    accepted(request, answer)?;
    let read = serde_json::from_str(&answer.text).ok().filter(|_| answer.is_whole);
    read.ok_or_else(|| {
        let whole = if answer.is_whole { "" } else { " (too long, or it broke off)" };
        let said = format!("{}{whole}", answer.describe());
        Error::Unreadable { request: request.to_owned(), said }
    })
}

/// A name as it stands in a path.
pub(super) fn escaped(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}
