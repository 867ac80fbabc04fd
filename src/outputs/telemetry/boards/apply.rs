//! A board made, or mended.

use std::fmt;

use super::Error;
use super::api::{Api, Ids, Present, escaped};
use super::layout::{Flow, Layout, Widget};
use crate::report::table;

/// What was done for a board.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Whether the board was not there.
    pub is_new: bool,
    /// How many widgets were added.
    pub added: usize,
    /// How many widgets were replaced because they differed.
    pub mended: usize,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widgets = |count: usize| table::count(count as u64, "widget");
        match *self {
            Self { is_new: true, added, .. } => write!(f, "made, {}", widgets(added)),
            Self { added: 0, mended: 0, .. } => f.write_str("as it should be"),
            Self { added, mended: 0, .. } => write!(f, "{} added", widgets(added)),
            Self { added: 0, mended, .. } => write!(f, "{} mended", widgets(mended)),
            Self { added, mended, .. } => {
                write!(f, "{} added, {} mended", widgets(added), widgets(mended))
            }
        }
    }
}

/// Makes what is missing of a board, and mends what differs.
pub(in crate::outputs::telemetry) fn apply(
    api: &Api<'_>,
    layout: &Layout,
    name: &str,
    prefix: &str,
) -> Result<Applied, Error> {
    let mut made = Vec::new();
    match api.find_board(name)? {
        Some(id) => mend(api, layout, &id, prefix),
        // A board that is half made would look like one that somebody has changed.
        None => create(api, layout, name, prefix, &mut made)
            .map_err(|error| take_back(api, made, error)),
    }
}

/// Makes a board. What was made is in `made`, also when it goes wrong.
fn create(
    api: &Api<'_>,
    layout: &Layout,
    name: &str,
    prefix: &str,
    made: &mut Vec<String>,
) -> Result<Applied, Error> {
    let board = api.make_board(layout, name)?.id;
    made.push(format!("/boards/{}", escaped(&board)));
    for widget in &layout.widgets {
        add(api, widget, &board, prefix, made)?;
    }
    Ok(Applied { is_new: true, added: layout.widgets.len(), mended: 0 })
}

/// Makes a widget and its flow. A flow that is there is left as it is: it may have newer data than the template.
fn add(
    api: &Api<'_>,
    widget: &Widget,
    board: &str,
    prefix: &str,
    made: &mut Vec<String>,
) -> Result<String, Error> {
    let flow = match &widget.flow {
        Some(flow) => Some(see_to_flow(api, flow, &widget.variant, prefix, made)?),
        None => None,
    };
    let widget = api.make_widget(widget, board, flow.as_deref())?.id;
    made.push(path_of(&widget));
    Ok(widget)
}

fn see_to_flow(
    api: &Api<'_>,
    flow: &Flow,
    variant: &str,
    prefix: &str,
    made: &mut Vec<String>,
) -> Result<String, Error> {
    let tag = format!("{prefix}{}", flow.tag);
    if let Some(found) = api.flow(&tag)? {
        if found.variant != variant {
            let (found, wanted) = (found.variant, variant.to_owned());
            return Err(Error::OtherVariant { tag, found, wanted });
        }
        return Ok(found.id);
    }
    let id = api.make_flow(&tag, variant)?.id;
    made.push(format!("/flows/{}", escaped(&id)));
    if !flow.data.is_null() {
        api.fill(&tag, &flow.data)?;
    }
    Ok(id)
}

/// Compares a board with the template, widget by widget. Each step leaves the board whole, so what was mended before
/// one that fails stays mended.
fn mend(api: &Api<'_>, layout: &Layout, id: &str, prefix: &str) -> Result<Applied, Error> {
    let mut present = Standing::of(api, api.board(id)?)?;
    let mut applied = Applied::default();
    let tag_of = |widget: &Widget| widget.flow.as_ref().map(|flow| format!("{prefix}{}", flow.tag));
    let mut missing = Vec::new();
    for widget in &layout.widgets {
        let tag = tag_of(widget);
        if present.take(|other| other.tag == tag && other.widget.looks_like(widget)).is_none() {
            missing.push((widget, tag));
        }
    }
    for (widget, tag) in missing {
        let old = present.take(|other| match &tag {
            Some(_) if other.tag == tag => other.widget.variant == widget.variant,
            // Its flow is gone, or it never had one.
            _ => other.tag.is_none() && other.widget.begins_like(widget),
        });
        let mut made = Vec::new();
        // The new one first: there is never a hole.
        let done = add(api, widget, id, prefix, &mut made).and_then(|_| match &old {
            Some(old) => api.delete(&path_of(&old.id)),
            None => Ok(()),
        });
        done.map_err(|error| take_back(api, made, error))?;
        *(if old.is_some() { &mut applied.mended } else { &mut applied.added }) += 1;
    }
    Ok(applied)
}

/// Deletes what was made, the last first.
fn take_back(api: &Api<'_>, made: Vec<String>, error: Error) -> Error {
    let mut is_answered = true;
    let mut is_left = |path: &String| {
        let deleted = if is_answered { api.delete(path) } else { return true };
        // Where nobody answers any more, none of the others needs to be waited for.
        is_answered = !matches!(deleted, Err(Error::Http(_)));
        deleted.is_err()
    };
    let left: Vec<_> = made.into_iter().rev().filter(|path| is_left(path)).collect();
    if left.is_empty() {
        return error;
    }
    Error::LeftBehind { left: format!("`{}`", left.join("`, `")), source: Box::new(error) }
}

fn path_of(widget: &str) -> String {
    format!("/widgets/{}", escaped(widget))
}

/// A widget that is there.
struct There {
    id: String,
    widget: Widget,
    /// The tag of its flow.
    tag: Option<String>,
}

/// The widgets that are there and have no counterpart yet.
struct Standing(Vec<There>);

impl Standing {
    fn of(api: &Api<'_>, present: Present) -> Result<Self, Error> {
        let Present { layout, ids } = present;
        let there = layout.widgets.into_iter().zip(ids).map(|(widget, ids)| {
            let Ids { id, .. } = ids.clone();
            let flow = ids.flow().map(|flow| api.flow_by_id(flow)).transpose()?.flatten();
            Ok(There { id, widget, tag: flow.map(|flow| flow.tag) })
        });
        there.collect::<Result<_, Error>>().map(Self)
    }

    fn take(&mut self, is_it: impl Fn(&There) -> bool) -> Option<There> {
        let place = self.0.iter().position(is_it)?;
        Some(self.0.remove(place))
    }
}
