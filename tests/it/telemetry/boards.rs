//! Boards of Telemetry: made, mended, taken back, dumped.

use serde_json::{Value, json};

use super::api::{Api, start};
use crate::workspace::Workspace;

/// A board as the Telemetry project's `boarddump` prints it.
fn template() -> Value {
    let widget = |flow: Value, variant: &str, row: u32| {
        json!({"flow": flow, "variant": variant, "column": 1, "row": row, "width": 4, "height": 2,
               "in_board_index": 0, "background": "default"})
    };
    json!({
        "name": "as it was dumped", "theme": "dark", "display_board_name": true,
        "aspect_ratio": "HDTV", "font_family": "normal", "font_size": "normal",
        "widget_background": "", "widget_margins": 3, "widget_padding": 8,
        "widgets": [
            widget(json!({"tag": "dice_0", "data": {"value": 1, "label": "Dice"}}), "value", 1),
            widget(json!({"tag": "load", "data": null}), "gauge", 3),
            widget(Value::Null, "box", 5),
        ]
    })
}

fn workspace(api: &Api) -> Workspace {
    let workspace = Workspace::new(&format!(
        "agent: {{run_metrics: false, hostname: h}}
outputs:
  - telemetry:
      url: 'http://127.0.0.1:{}'
      api_key: hunter2
      tag: 'a_{{key}}'
      boards: [{{name: 'Our board', prefix: a_, template: board.json}}]
jobs: [{{id: dice, random: {{key: dice, seed: 1}}}}]
",
        api.port()
    ));
    workspace.write("board.json", template().to_string());
    workspace
}

fn bodies(workspace: &Workspace) -> usize {
    workspace.files("daemon/spool").iter().filter(|name| name.ends_with(".body")).count()
}

#[test]
fn a_run_makes_the_board_first_and_the_next_changes_nothing() {
    let api = start();
    let workspace = workspace(&api);
    workspace.run(&["run", "--once"]).exit(0).silent();
    assert_eq!(api.counts(), [1, 3, 2]);
    let flow = api.flow("a_dice_0");
    assert_eq!((&flow["variant"], &flow["data"]["label"]), (&json!("value"), &json!("Dice")));
    assert!(flow["data"]["value"].is_number(), "{flow}");
    let before = api.lines(0);
    let made = before.iter().position(|line| line == "POST /boards").expect("it was made");
    let sent = before.iter().position(|line| line == "PATCH /data").expect("it was sent");
    assert!(made < sent, "{before:?}");
    workspace.run(&["run", "--once"]).exit(0).silent();
    let later = api.lines(before.len());
    let writes = later.iter().filter(|line| !line.starts_with("GET"));
    assert_eq!(writes.collect::<Vec<_>>(), ["PATCH /data"]);
}

#[test]
fn what_differs_is_mended_and_what_is_not_the_boards_own_stays() {
    let api = start();
    let workspace = workspace(&api);
    workspace.run(&["board", "apply"]).exit(0).prints("board `Our board`: made, 3 widgets");
    workspace.run(&["board", "apply"]).exit(0).prints("board `Our board`: as it should be");
    let mut as_made = api.widgets();
    let theirs = api.add_widget("Our board", "value");
    api.meddle(|widgets| {
        let moved = widgets.values_mut().find(|widget| widget["variant"] == "gauge");
        moved.expect("a gauge")["column"] = json!(7);
        widgets.retain(|_, widget| widget["variant"] != "box");
    });
    workspace
        .run(&["board", "apply"])
        .exit(0)
        .prints("board `Our board`: 1 widget added, 1 widget mended");
    api.meddle(|widgets| drop(widgets.remove(&theirs).expect("it stays")));
    let mut mended = api.widgets();
    for widgets in [&mut as_made, &mut mended] {
        widgets.sort_by_key(ToString::to_string);
    }
    assert_eq!(mended, as_made);
    assert_eq!(api.counts(), [1, 3, 2]);
}

#[test]
fn wherever_it_fails_all_is_taken_back_and_the_datapoints_wait() {
    // As many requests as it takes to make the board.
    for request in 1.. {
        let api = start();
        let workspace = workspace(&api);
        api.fail_in(request);
        let told = workspace.run(&["run", "--once"]);
        assert!(api.has_failed(), "the run made fewer requests than {request}");
        if !told.stderr().contains("board `Our board`") {
            assert!(request > 10, "{request}: {}", told.stderr());
            break;
        }
        told.exit(4).says("500");
        assert_eq!((api.counts(), bodies(&workspace)), ([0, 0, 0], 1), "at request {request}");
        workspace.run(&["run", "--once"]).exit(0).silent();
        assert_eq!((api.counts(), bodies(&workspace)), ([1, 3, 2], 0), "after request {request}");
    }
}

#[test]
fn a_refused_key_is_no_absent_board_and_a_template_that_is_none_is_named() {
    let api = start();
    let workspace = workspace(&api);
    let config = std::fs::read_to_string(workspace.path("collector.yaml")).expect("it is there");
    workspace.write("collector.yaml", config.replace("hunter2", "wrong-key"));
    let told = workspace.run(&["board", "apply"]).exit(3).says("401").stderr();
    assert!(!told.contains("wrong-key"), "{told}");
    assert_eq!(api.lines(0), ["GET /boards?name=Our%20board"]);

    workspace.write("collector.yaml", config);
    workspace.write("board.json", "{\"widgets\": 3}");
    workspace.run(&["check", "--connect"]).exit(3).prints("board.json");
    workspace.run(&["run", "--once"]).exit(4).says("board.json");
    assert_eq!(bodies(&workspace), 1);
}

#[test]
fn a_flow_of_another_kind_is_nobodys_to_replace() {
    let api = start();
    api.add_flow("a_load", "table");
    let workspace = workspace(&api);
    workspace.run(&["board", "apply"]).exit(3).says("`a_load` is a `table`");
    assert_eq!(api.counts(), [0, 0, 1]);
}

#[test]
fn a_dumped_board_is_a_template_for_others() {
    let api = start();
    let workspace = workspace(&api);
    workspace.run(&["board", "apply", "Our board"]).exit(0);
    let dumped = workspace.run(&["board", "dump", "Our board"]).exit(0).stdout();
    let mut dumped: Value = serde_json::from_str(&dumped).expect("JSON");
    assert_eq!(dumped["name"], "Our board");
    dumped["name"] = template()["name"].clone();
    let mut expected = template();
    // Telemetry keeps no empty text, and holds nothing where nothing was.
    for board in [&mut expected, &mut dumped] {
        board["widgets"].as_array_mut().expect("widgets").sort_by_key(|w| w["row"].as_u64());
    }
    assert_eq!(dumped, expected);
    workspace.run(&["board", "dump", "Nobody's"]).exit(3).says("there is no board `Nobody's`");
    workspace.run(&["board", "apply", "Our bord"]).exit(2).says("did you mean `Our board`?");
}
