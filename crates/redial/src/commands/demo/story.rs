//! A scene told to people: what is tried, what came of it in boxes, and what that means.

use redial_classic::demo::{Event, Scene, Tally};
use unicode_width::UnicodeWidthStr;

use super::boxes::{self, Cell, Paint};
use super::words::Words;

/// What is said first.
pub(super) fn opening(words: &Words) -> String {
    format!("{}\n", words.opening)
}

/// One scene.
pub(super) fn scene(scene: Scene, events: &[Event], words: &Words, paint: Paint) -> String {
    let number = 1 + Scene::ALL.iter().take_while(|s| **s != scene).count();
    let (title, trial) = (words.scene)(scene);
    let verdict = (words.verdict)(scene, &Tally::of(events));
    let title = match paint {
        Paint::Plain => title.to_owned(),
        Paint::Colour => format!("\x1b[1m{title}\x1b[0m"),
    };
    let rows = rows(events, words, paint);
    format!("\n{number}. {title}\n{trial}\n\n{rows}\n{verdict}\n")
}

fn rows(events: &[Event], words: &Words, paint: Paint) -> String {
    let columns = words.labels().map(UnicodeWidthStr::width);
    let columns = columns.into_iter().max().unwrap_or_default();
    let headers = Headers::of(events);
    let (mut sent, mut received, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    let (mut sent_bytes, mut received_bytes) = (0, 0);
    for event in events {
        match event {
            Event::Sent { taken, .. } => {
                sent.push(headers.cell(taken, sent_bytes));
                sent_bytes += taken.len();
            }
            Event::WouldBlock { .. } => {}
            Event::Received { data, .. } => {
                received.push(headers.cell(data, received_bytes));
                received_bytes += data.len();
            }
            Event::Message { data } => messages.push(Cell::bytes(data, |_| false)),
        }
    }
    if let Some(Event::WouldBlock { asked }) = events.last() {
        sent.push(Cell::missing(*asked, words.left));
    }
    let [send, recv, message] = words.labels();
    [(send, sent), (recv, received), (message, messages)]
        .map(|(label, cells)| boxes::row(label, columns, &cells, paint))
        .concat()
}

/// Where the headers stand in the stream of all that was sent: (offset, bytes).
struct Headers(Vec<(usize, usize)>);

impl Headers {
    fn of(events: &[Event]) -> Self {
        let mut at = 0;
        let mut found = Vec::new();
        for event in events {
            if let Event::Sent { taken, header, .. } = event {
                found.push((at, *header));
                at += taken.len();
            }
        }
        Headers(found)
    }

    /// A piece of the stream that begins at `offset`.
    fn cell(&self, data: &[u8], offset: usize) -> Cell {
        let is_header = |at: usize| {
            let at = offset + at;
            let holds = |(from, bytes): &(usize, usize)| (*from..from + bytes).contains(&at);
            self.0.iter().any(holds)
        };
        Cell::bytes(data, is_header)
    }
}
