//! Text of hosts that do not speak UTF-8: streams decoded and encoded by the Encoding
//! Standard (WHATWG), at any cut, and what the other charset does not have counted.

mod labels;
#[cfg(test)]
mod tests;

use encoding_rs::{Decoder, DecoderResult, Encoder, EncoderResult, Encoding};
use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE};

/// What stands for a character that the host's charset does not have.
const UNMAPPABLE: &str = "?";

/// A charset of the Encoding Standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Charset(&'static Encoding);

impl Charset {
    /// The charset of this label: any of the standard's, in any case.
    ///
    /// # Errors
    ///
    /// A text that suggests one.
    pub(crate) fn parse(label: &str) -> Result<Self, String> {
        // Labels of charsets that the standard has given up decode to nothing at all.
        Encoding::for_label_no_replacement(label.as_bytes())
            .map(Charset)
            .ok_or_else(|| labels::unknown(label))
    }

    /// Its name in the standard.
    pub(crate) fn name(self) -> &'static str {
        self.0.name()
    }

    /// The whole of `text` in this charset.
    ///
    /// # Errors
    ///
    /// The first character that it does not have.
    pub(crate) fn encode(self, text: &str) -> Result<Vec<u8>, char> {
        let (mut writer, mut bytes) = (Writer::new(self), Vec::new());
        writer.write(text, &mut bytes);
        writer.finish(&mut bytes);
        writer.first_lost.map_or(Ok(bytes), Err)
    }
}

/// What to say of that which was replaced (stdin, stdout, stderr), if anything was.
pub(crate) fn losses(charset: Charset, [stdin, stdout, stderr]: [u64; 3]) -> Option<String> {
    let name = charset.name();
    let mut said = Vec::new();
    if stdin > 0 {
        said.push(format!("{stdin} of stdin cannot be written in {name}"));
    }
    for (stream, count) in [("stdout", stdout), ("stderr", stderr)] {
        if count > 0 {
            said.push(format!("{count} of {stream} cannot be read as {name}"));
        }
    }
    (!said.is_empty()).then(|| format!("characters replaced: {}", said.join(", ")))
}

/// Bytes of a stream, in pieces of any length, to text.
pub(crate) struct Decoding {
    decoder: Decoder,
    /// Sequences that were no characters; each is one U+FFFD.
    replaced: u64,
}

impl Decoding {
    pub(crate) fn new(charset: Charset) -> Self {
        Decoding {
            // A byte order mark is the command's, and stays.
            decoder: charset.0.new_decoder_without_bom_handling(),
            replaced: 0,
        }
    }

    /// Adds what `bytes` say; a character cut at their end waits for the next.
    pub(crate) fn decode(&mut self, bytes: &[u8], text: &mut String) {
        self.run(bytes, text, false);
    }

    /// The stream ends: a character that is still cut was none. Call it once.
    pub(crate) fn finish(&mut self, text: &mut String) {
        self.run(&[], text, true);
    }

    /// How much was replaced.
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced
    }

    fn run(&mut self, mut bytes: &[u8], text: &mut String, last: bool) {
        loop {
            let room = self
                .decoder
                .max_utf8_buffer_length_without_replacement(bytes.len());
            text.reserve(room.unwrap_or(bytes.len()).max(16));
            let decoder = &mut self.decoder;
            let (result, read) = decoder.decode_to_string_without_replacement(bytes, text, last);
            bytes = &bytes[read..];
            match result {
                DecoderResult::InputEmpty => return,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => {
                    text.push(char::REPLACEMENT_CHARACTER);
                    self.replaced += 1;
                }
            }
        }
    }
}

/// UTF-8 of a stream, in pieces of any length, to bytes of a charset.
pub(crate) struct Recoding {
    utf8: Decoding,
    writer: Writer,
}

impl Recoding {
    pub(crate) fn new(charset: Charset) -> Self {
        Recoding {
            utf8: Decoding::new(Charset(UTF_8)),
            writer: Writer::new(charset),
        }
    }

    /// What `bytes` are in the charset; a character cut at their end waits for the next.
    pub(crate) fn recode(&mut self, bytes: &[u8]) -> Vec<u8> {
        let (mut text, mut recoded) = (String::new(), Vec::new());
        self.utf8.decode(bytes, &mut text);
        self.writer.write(&text, &mut recoded);
        recoded
    }

    /// The stream ends. Call it once.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let (mut text, mut recoded) = (String::new(), Vec::new());
        self.utf8.finish(&mut text);
        self.writer.write(&text, &mut recoded);
        self.writer.finish(&mut recoded);
        recoded
    }

    /// Characters that became a question mark, and what was no UTF-8.
    pub(crate) fn replaced(&self) -> u64 {
        // What was no UTF-8 is a U+FFFD first, which a charset may have.
        self.writer.lost.max(self.utf8.replaced)
    }
}

/// Text to bytes of a charset.
struct Writer {
    form: Form,
    lost: u64,
    first_lost: Option<char>,
}

/// The standard has no encoder for UTF-16, since forms on the web are never sent in it.
enum Form {
    Utf16(fn(u16) -> [u8; 2]),
    Other(Encoder),
}

impl Writer {
    fn new(charset: Charset) -> Self {
        let form = if charset.0 == UTF_16LE {
            Form::Utf16(u16::to_le_bytes)
        } else if charset.0 == UTF_16BE {
            Form::Utf16(u16::to_be_bytes)
        } else {
            Form::Other(charset.0.new_encoder())
        };
        Writer {
            form,
            lost: 0,
            first_lost: None,
        }
    }

    fn write(&mut self, text: &str, bytes: &mut Vec<u8>) {
        self.run(text, bytes, false);
    }

    /// Some charsets (ISO-2022-JP) end in a certain state.
    fn finish(&mut self, bytes: &mut Vec<u8>) {
        self.run("", bytes, true);
    }

    fn run(&mut self, mut text: &str, bytes: &mut Vec<u8>, last: bool) {
        let encoder = match &mut self.form {
            Form::Utf16(order) => {
                bytes.extend(text.encode_utf16().flat_map(&*order));
                return;
            }
            Form::Other(encoder) => encoder,
        };
        loop {
            let room = encoder.max_buffer_length_from_utf8_without_replacement(text.len());
            bytes.reserve(room.unwrap_or(text.len()).max(16));
            let (result, read) =
                encoder.encode_from_utf8_to_vec_without_replacement(text, bytes, last);
            text = &text[read..];
            match result {
                EncoderResult::InputEmpty => return,
                EncoderResult::OutputFull => {}
                EncoderResult::Unmappable(character) => {
                    self.first_lost.get_or_insert(character);
                    self.lost += 1;
                    bytes.reserve(16);
                    // It is ASCII, which every charset has, and there is room.
                    let _ = encoder
                        .encode_from_utf8_to_vec_without_replacement(UNMAPPABLE, bytes, false);
                }
            }
        }
    }
}
