//! The events as JSON lines. What they mean is told by `redial demo sticky --help`.

use redial_classic::demo::{Event, Scene, Tally};
use serde::Serialize;

/// Longer data is counted only, in bytes: nobody reads a line of 400 KB.
const SHOWN_BYTES: usize = 64;

/// One scene: its name, its events, its summary, a line each.
///
/// # Errors
///
/// None that is known: there is no map with odd keys in it.
pub(super) fn scene(scene: Scene, events: &[Event]) -> serde_json::Result<String> {
    let name = scene.name();
    let transport = match scene {
        Scene::Datagrams | Scene::ShortDatagrams => "udp",
        _ => "tcp",
    };
    let opening = Line::Scene {
        scene: name,
        transport,
    };
    let tally = Tally::of(events);
    let lines = [opening].into_iter().chain(events.iter().map(line));
    let mut text = String::new();
    for line in lines.chain([summary(name, &tally)]) {
        text += &serde_json::to_string(&line)?;
        text.push('\n');
    }
    Ok(text)
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Scene {
        scene: &'a str,
        transport: &'a str,
    },
    Sent {
        asked: usize,
        header: usize,
        #[serde(flatten)]
        data: Data<'a>,
    },
    WouldBlock {
        asked: usize,
    },
    Received {
        room: usize,
        #[serde(flatten)]
        data: Data<'a>,
    },
    Message {
        #[serde(flatten)]
        data: Data<'a>,
    },
    Summary {
        scene: &'a str,
        sends: usize,
        receives: usize,
        messages: usize,
        bytes_sent: usize,
        bytes_received: usize,
        boundaries_kept: bool,
        bytes_kept: bool,
        messages_kept: bool,
    },
}

#[derive(Serialize)]
struct Data<'a> {
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

fn line(event: &Event) -> Line<'_> {
    match event {
        Event::Sent {
            asked,
            taken,
            header,
        } => Line::Sent {
            asked: *asked,
            header: *header,
            data: data(taken),
        },
        Event::WouldBlock { asked } => Line::WouldBlock { asked: *asked },
        Event::Received { room, data: came } => Line::Received {
            room: *room,
            data: data(came),
        },
        Event::Message { data: found } => Line::Message { data: data(found) },
    }
}

fn data(data: &[u8]) -> Data<'_> {
    let shown = Some(data).filter(|data| data.len() <= SHOWN_BYTES);
    let hex = |data: &[u8]| data.iter().map(|byte| format!("{byte:02x}")).collect();
    Data {
        bytes: data.len(),
        hex: shown.map(hex),
        text: shown.and_then(|data| std::str::from_utf8(data).ok()),
    }
}

fn summary<'a>(scene: &'a str, tally: &Tally) -> Line<'a> {
    Line::Summary {
        scene,
        sends: tally.sends,
        receives: tally.receives,
        messages: tally.messages,
        bytes_sent: tally.bytes_sent,
        bytes_received: tally.bytes_received,
        boundaries_kept: tally.boundaries_kept,
        bytes_kept: tally.bytes_kept,
        messages_kept: tally.messages_kept,
    }
}
