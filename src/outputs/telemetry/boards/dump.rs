//! A board as the template of others.

use super::Error;
use super::api::{Api, Present};
use super::layout::{Flow, Layout};

/// The board of that name; the tags of its flows without `prefix`.
pub(in crate::outputs::telemetry) fn dump(
    api: &Api<'_>,
    name: &str,
    prefix: &str,
) -> Result<Layout, Error> {
    let id = api.find_board(name)?.ok_or_else(|| Error::Absent(name.to_owned()))?;
    let Present { mut layout, ids } = api.board(&id)?;
    for (widget, ids) in layout.widgets.iter_mut().zip(&ids) {
        let flow = ids.flow().map(|flow| api.flow_by_id(flow)).transpose()?.flatten();
        if let Some(flow) = flow {
            // A layout has no data in some versions.
            let data = if flow.data.is_null() {
                api.flow(&flow.tag)?.map(|flow| flow.data).unwrap_or_default()
            } else {
                flow.data
            };
            let tag = flow.tag.strip_prefix(prefix).unwrap_or(&flow.tag).to_owned();
            widget.flow = Some(Flow { tag, data });
        }
    }
    Ok(layout)
}
