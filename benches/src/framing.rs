//! Contestants in framing: redial-frame and tokio-util's `LengthDelimitedCodec`, four bytes of
//! length, big-endian.
//!
//! All are given the same slices and must give the same payloads; a codec copies each slice into
//! its buffer first, since that is how it takes bytes. `work` is run here for the time it takes,
//! and by callgrind, as a program of its own, for its instructions.

use std::hint::black_box;

use anyhow::ensure;
use bytes::{Bytes, BytesMut};
use redial_frame::{FrameCodec, FrameError, Framing, Header, HeaderFormat};
use tokio_util::codec::{Encoder as _, LengthDelimitedCodec};

/// The wire is at least so long, in bytes; rounds go over it again.
const WIRE: usize = 1 << 20;
/// The codecs' buffers before they grow, in bytes.
const BUFFER: usize = 64 * 1024;
/// What a TCP segment carries in an Ethernet frame, in bytes.
pub(crate) const SEGMENT: usize = 1_448;

/// tokio-util, by the version that the build is locked to.
pub(crate) fn peer_version() -> String {
    let mut lines = include_str!("../../Cargo.lock").lines();
    let found = lines.any(|line| line == r#"name = "tokio-util""#);
    let version = lines.next().filter(|_| found).unwrap_or_default();
    format!(
        "tokio-util {}",
        version.replace("version = ", "").replace('"', "")
    )
}

/// A contestant at work.
type Round<'a> = Box<dyn FnMut() -> anyhow::Result<usize> + 'a>;

/// Who frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framer {
    /// tokio-util's `LengthDelimitedCodec`.
    TokioUtil,
    /// `redial_frame::FrameCodec`, behind the same traits.
    Codec,
    /// `redial_frame::Decoder` and `Framing::encode`: no codec, no `bytes`.
    Plain,
    /// `redial_frame::Pieces` and `Framing::header`: no payload is copied.
    Borrowed,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// Decode what arrives in pieces of whole frames, as many as fit in [`SEGMENT`] bytes, or one.
    Whole,
    /// Decode what arrives in pieces of [`SEGMENT`] bytes.
    Pieces,
    /// Encode into a buffer that is emptied whenever it holds 64 KiB.
    Encode,
}

/// A contestant and its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) framer: Framer,
    pub(crate) task: Task,
    /// Length of each payload, in bytes.
    pub(crate) payload: usize,
}

impl Framer {
    pub(crate) const ALL: [Framer; 4] = [
        Framer::TokioUtil,
        Framer::Codec,
        Framer::Plain,
        Framer::Borrowed,
    ];
}

impl Work {
    /// Words that [`Work::read`] understands.
    pub(crate) fn words(&self) -> [String; 3] {
        [
            format!("{:?}", self.framer),
            format!("{:?}", self.task),
            self.payload.to_string(),
        ]
    }

    /// # Errors
    /// These are no words of [`Work::words`].
    pub(crate) fn read(words: &[&str]) -> Result<Self, String> {
        let framers = Framer::ALL.iter();
        let works = framers.flat_map(|&framer| {
            let tasks = [Task::Whole, Task::Pieces, Task::Encode];
            tasks.map(|task| Work {
                framer,
                task,
                payload: 0,
            })
        });
        let [_, _, payload] = words else {
            return Err("framing takes three words".to_owned());
        };
        let payload = payload.parse().map_err(|_| format!("`{payload}`"))?;
        works
            .map(|work| Work { payload, ..work })
            .find(|work| work.words().iter().eq(words))
            .ok_or_else(|| format!("nobody frames so: {}", words.join(" ")))
    }

    /// How many frames are in a round.
    pub(crate) fn frames(&self) -> usize {
        WIRE.div_ceil(self.payload + 4)
    }

    /// Does it so many rounds.
    ///
    /// # Errors
    /// A frame is missing or differs.
    pub(crate) fn run(&self, rounds: usize) -> anyhow::Result<()> {
        let payload = vec![b'x'; self.payload];
        let mut wire = Vec::new();
        for _ in 0..self.frames() {
            framing().encode(&payload, &mut wire)?;
        }
        let piece = match self.task {
            Task::Whole => (SEGMENT / (self.payload + 4)).max(1) * (self.payload + 4),
            Task::Pieces | Task::Encode => SEGMENT,
        };
        let pieces: Vec<&[u8]> = wire.chunks(piece).collect();
        let expected = match self.task {
            Task::Encode => wire.len(),
            _ => wire.len() - 4 * self.frames(),
        };
        let mut round = self.round(&payload, &pieces);
        for _ in 0..rounds {
            let bytes = round()?;
            ensure!(bytes == expected, "{self:?}: {bytes} bytes, not {expected}");
        }
        Ok(())
    }

    /// One round, in bytes of payload decoded or of frames encoded. Codecs and buffers last from
    /// round to round, as they do for a connection.
    fn round<'a>(&self, payload: &'a [u8], pieces: &'a [&[u8]]) -> Round<'a> {
        let (frames, buffer) = (self.frames(), BytesMut::with_capacity(BUFFER));
        match (self.task, self.framer) {
            (Task::Encode, Framer::TokioUtil) => {
                let (mut codec, payload) = (tokio_util(), Bytes::copy_from_slice(payload));
                encode(frames, buffer, move |out| {
                    codec.encode(payload.clone(), out)
                })
            }
            (Task::Encode, Framer::Codec) => {
                let mut codec = FrameCodec::new(framing());
                encode(frames, buffer, move |out| codec.encode(payload, out))
            }
            (Task::Encode, Framer::Plain) => {
                let (framing, buffer) = (framing(), Vec::with_capacity(BUFFER));
                encode(frames, buffer, move |out| framing.encode(payload, out))
            }
            (Task::Encode, Framer::Borrowed) => {
                encode(frames, Gathered::new(framing()), move |out| {
                    out.add(payload)
                })
            }
            (_, Framer::Borrowed) => decode_borrowed(pieces),
            (_, Framer::TokioUtil) => decode(tokio_util(), buffer, pieces),
            (_, Framer::Codec) => decode(FrameCodec::new(framing()), buffer, pieces),
            (_, Framer::Plain) => decode_plain(pieces),
        }
    }
}

fn framing() -> Framing {
    // As one that a user has set: nobody may know it when compiling.
    black_box(Framing::new(HeaderFormat::U32_BE))
}

fn tokio_util() -> LengthDelimitedCodec {
    black_box(LengthDelimitedCodec::new())
}

fn decode<'a, C>(mut codec: C, mut buffer: BytesMut, pieces: &'a [&[u8]]) -> Round<'a>
where
    C: tokio_util::codec::Decoder<Item = BytesMut> + 'a,
    C::Error: std::error::Error + Send + Sync + 'static,
{
    Box::new(move || {
        let mut bytes = 0;
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while let Some(payload) = codec.decode(&mut buffer)? {
                bytes += black_box(&payload[..]).len();
            }
        }
        Ok(bytes)
    })
}

fn decode_plain<'a>(pieces: &'a [&[u8]]) -> Round<'a> {
    let mut decoder = redial_frame::Decoder::new(framing());
    Box::new(move || {
        let mut bytes = 0;
        for mut piece in pieces.iter().copied() {
            while let Some(payload) = decoder.decode(&mut piece)? {
                bytes += black_box(payload).len();
            }
        }
        Ok(bytes)
    })
}

fn decode_borrowed<'a>(pieces: &'a [&[u8]]) -> Round<'a> {
    let mut decoder = redial_frame::Pieces::new(framing());
    Box::new(move || {
        let mut bytes = 0;
        for mut piece in pieces.iter().copied() {
            while let Some(payload) = decoder.next(&mut piece)? {
                bytes += black_box(payload).bytes.len();
            }
        }
        Ok(bytes)
    })
}

/// Headers, each with its payload, as a vectored write takes them.
struct Gathered<'a> {
    framing: Framing,
    frames: Vec<(Header, &'a [u8])>,
    bytes: usize,
}

impl<'a> Gathered<'a> {
    fn new(framing: Framing) -> Self {
        let frames = Vec::with_capacity(BUFFER / 4);
        Gathered {
            framing,
            frames,
            bytes: 0,
        }
    }

    fn add(&mut self, payload: &'a [u8]) -> Result<(), FrameError> {
        let header = self.framing.header(payload.len())?;
        self.bytes += header.as_ref().len() + payload.len();
        self.frames.push((header, payload));
        Ok(())
    }
}

impl Buffer for Gathered<'_> {
    fn empty(&mut self) {
        black_box(&self.frames);
        self.frames.clear();
        self.bytes = 0;
    }

    fn size(&self) -> usize {
        self.bytes
    }
}

fn encode<'a, B, E>(
    frames: usize,
    mut out: B,
    mut one: impl FnMut(&mut B) -> Result<(), E> + 'a,
) -> Round<'a>
where
    B: Buffer + 'a,
    E: std::error::Error + Send + Sync + 'static,
{
    Box::new(move || {
        let mut bytes = 0;
        for _ in 0..frames {
            one(&mut out)?;
            if out.size() >= BUFFER {
                bytes += out.size();
                out.empty();
            }
        }
        bytes += out.size();
        out.empty();
        Ok(bytes)
    })
}

trait Buffer {
    /// Somebody has looked at it; it is used again.
    fn empty(&mut self);

    fn size(&self) -> usize;
}

impl Buffer for BytesMut {
    fn empty(&mut self) {
        black_box(&self[..]);
        self.clear();
    }

    fn size(&self) -> usize {
        self.len()
    }
}

impl Buffer for Vec<u8> {
    fn empty(&mut self) {
        black_box(&self[..]);
        self.clear();
    }

    fn size(&self) -> usize {
        self.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contestant_does_all_of_its_work() {
        for framer in Framer::ALL {
            for task in [Task::Whole, Task::Pieces, Task::Encode] {
                for payload in [0, 64, 1_024, 65_536] {
                    let work = Work {
                        framer,
                        task,
                        payload,
                    };
                    work.run(2).unwrap();
                    let words = work.words();
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    assert_eq!(Work::read(&words), Ok(work));
                }
            }
        }
        assert!(Work::read(&["Nobody", "Whole", "64"]).is_err());
    }

    #[test]
    fn the_peers_version_is_known() {
        let version = peer_version();
        assert!(version.starts_with("tokio-util 0."), "{version}");
    }
}
