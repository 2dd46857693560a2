//! Header formats against Python's `struct`: one python3 process answers the whole table.

use std::collections::BTreeSet;
use std::env;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::process::{Command, Stdio};

use redial_frame::{FormatError, HeaderFormat};

/// Reads `format TAB number` lines; answers each with the bytes in hex and the size, `number-error`
/// or `format-error`. A format that is not one integer counts as an error of the format.
const ORACLE: &str = r#"
import struct, sys
for line in sys.stdin:
    form, number = line.rstrip("\n").split("\t")
    try:
        size = struct.calcsize(form)
        values = struct.unpack(form, bytes(size))
        one = len(values) == 1 and type(values[0]) is int and not set(form) & set("Px")
    except (struct.error, SystemError):  # SystemError: Python's own defect on `0p`
        one = False
    if not one:
        print("format-error")
        continue
    try:
        packed = struct.pack(form, int(number))
        assert struct.unpack(form, packed) == (int(number),)
        print(packed.hex(), size)
    except (struct.error, OverflowError):
        print("number-error")
"#;

#[test]
fn every_format_packs_every_boundary_value_as_python_does() {
    let numbers = boundary_numbers();
    let mut table = String::new();
    for format in formats() {
        // What we refuse, Python must refuse; one number is enough to see that.
        let tried = if HeaderFormat::parse(&format).is_ok() {
            numbers.len()
        } else {
            1
        };
        for number in numbers.iter().take(tried) {
            table += &format!("{format}\t{number}\n");
        }
    }
    let Some(answers) = ask_python(&table) else {
        say_skipped("no python3 is installed to compare with");
        return;
    };
    let mut accepted = BTreeSet::new();
    let mut compared = 0;
    for (line, answer) in table.lines().zip(answers.lines()) {
        let (format, number) = line.split_once('\t').unwrap();
        if HeaderFormat::parse(format).is_ok() {
            accepted.insert(format);
        }
        assert_eq!(
            ours(format, number.parse().unwrap()),
            answer,
            "for {line:?}"
        );
        compared += 1;
    }
    assert_eq!(
        compared,
        table.lines().count(),
        "python3 answered too little"
    );
    // Ten letters after six orders, n and N after two; each plain and with `1` and `01`.
    assert_eq!(accepted.len(), (10 * 6 + 2 * 2) * 3);
}

/// What the oracle would answer.
fn ours(format: &str, number: i128) -> String {
    let Ok(format) = HeaderFormat::parse(format) else {
        return "format-error".into();
    };
    let Ok(packed) = format.pack(number) else {
        return "number-error".into();
    };
    assert_eq!(format.unpack(packed.as_ref()), Ok(number));
    assert!(format.is_signed() || number >= 0);
    assert!(number <= i128::from(format.max_length()));
    let hex: String = packed
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{hex} {}", format.size())
}

/// Every order before every printable character but white space, plain and with counts, and more.
fn formats() -> Vec<String> {
    let mut formats = Vec::new();
    for order in ["", "@", "=", "<", ">", "!"] {
        for letter in ('!'..='~').filter(|c| !c.is_ascii_digit() && !"@=<>!".contains(*c)) {
            for count in ["", "0", "1", "01", "2", "10"] {
                formats.push(format!("{order}{count}{letter}"));
            }
        }
        for odd in [
            "", "1", "II", "IB", "Bx", "xB", "1I1", "0I0I", "-1I", "1.0I",
        ] {
            formats.push(format!("{order}{odd}"));
        }
    }
    formats
}

/// Both ends of every size, one before and one past them, and what lies around zero.
fn boundary_numbers() -> BTreeSet<i128> {
    let mut numbers = BTreeSet::from([-1, 0, 1]);
    for bits in [8, 16, 32, 64] {
        for end in [-(1_i128 << (bits - 1)), 1 << (bits - 1), 1 << bits] {
            numbers.extend([end - 1, end, end + 1, -end]);
        }
    }
    numbers.extend([
        0x0123_4567_89ab_cdef,
        0x0123_4567,
        0x0123,
        i128::MAX,
        i128::MIN,
    ]);
    numbers
}

/// Says that the vectors were not compared: on the real stderr, since libtest swallows what a
/// passing test prints, and in the list of skips that `cargo xtask test` collects.
fn say_skipped(reason: &str) {
    let line = format!("python_struct vectors: {reason}\n");
    let _ = write!(io::stderr(), "skipped: {line}");
    if let Some(list) = env::var_os("REDIAL_SKIPS") {
        let mut list = OpenOptions::new()
            .append(true)
            .create(true)
            .open(list)
            .expect("the list of skips can be written");
        list.write_all(line.as_bytes())
            .expect("the list of skips can be written");
    }
}

/// Python's answers, or `None` if there is no python3.
fn ask_python(table: &str) -> Option<String> {
    let started = Command::new("python3")
        .args(["-c", ORACLE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut python = match started {
        Ok(python) => python,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => panic!("python3: {error}"),
    };
    let mut stdin = python.stdin.take().expect("stdin is piped");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(table.as_bytes()));
        python.wait_with_output().expect("python3 can be awaited")
    });
    assert!(output.status.success(), "python3: {}", output.status);
    Some(String::from_utf8(output.stdout).expect("the answers are ASCII"))
}

#[test]
fn a_text_that_is_no_single_integer_is_refused_and_the_message_says_what_is_accepted() {
    use FormatError::{NativeOnly, NoLetter, NotAnInteger, NotOne};
    let cases = [
        ("", NoLetter),
        (">", NoLetter),
        ("@1", NoLetter),
        ("f", NotAnInteger('f')),
        (">d", NotAnInteger('d')),
        ("s", NotAnInteger('s')),
        ("?", NotAnInteger('?')),
        ("x", NotAnInteger('x')),
        ("P", NotAnInteger('P')),
        ("hello", NotAnInteger('e')),
        ("u32", NotAnInteger('u')),
        ("I>", NotAnInteger('>')),
        (">>I", NotAnInteger('>')),
        (" >I", NotAnInteger(' ')),
        ("> I", NotAnInteger(' ')),
        (">I ", NotAnInteger(' ')),
        ("é", NotAnInteger('é')),
        ("長", NotAnInteger('長')),
        ("I\0", NotAnInteger('\0')),
        ("\0", NotAnInteger('\0')),
        ("٣I", NotAnInteger('٣')),
        ("-1I", NotAnInteger('-')),
        ("=n", NativeOnly('n')),
        ("<N", NativeOnly('N')),
        (">n", NativeOnly('n')),
        ("!N", NativeOnly('N')),
        ("0I", NotOne),
        ("2I", NotOne),
        ("99999999999999999999999999I", NotOne),
        ("II", NotOne),
        ("I1I", NotOne),
        ("I1", NotOne),
        ("=In", NotOne),
        (">HH", NotOne),
    ];
    for (text, expected) in cases {
        assert_eq!(HeaderFormat::parse(text), Err(expected), "for {text:?}");
        let message = expected.to_string();
        assert!(
            message.contains("one letter of `b B h H i I l L q Q n N`"),
            "{message}"
        );
        assert!(message.contains("`@ = < > !` or nothing"), "{message}");
    }
}

#[test]
fn the_canonical_text_reads_back_as_the_same_format() {
    let cases = [
        ("I", "@I"),
        ("@I", "@I"),
        ("=I", "=I"),
        ("<I", "<I"),
        (">I", ">I"),
        ("!I", ">I"),
        ("1i", "@i"),
        (">001q", ">q"),
        ("n", "@n"),
    ];
    for (text, canonical) in cases {
        let format: HeaderFormat = text.parse().unwrap();
        assert_eq!(format.to_string(), canonical, "for {text:?}");
        assert_eq!(canonical.parse(), Ok(format));
    }
}

#[test]
fn the_constants_are_what_their_names_say() {
    let constants = [
        (HeaderFormat::U8, ">B"),
        (HeaderFormat::U16_BE, ">H"),
        (HeaderFormat::U16_LE, "<H"),
        (HeaderFormat::U32_BE, ">I"),
        (HeaderFormat::U32_LE, "<I"),
        (HeaderFormat::U64_BE, ">Q"),
        (HeaderFormat::U64_LE, "<Q"),
        (HeaderFormat::NATIVE_INT, "i"),
    ];
    for (constant, text) in constants {
        assert_eq!(HeaderFormat::parse(text), Ok(constant));
    }
}

#[test]
fn integers_out_of_range_and_wrong_sizes_are_told() {
    let error = HeaderFormat::parse("<b").unwrap().pack(128).unwrap_err();
    assert_eq!(
        error.to_string(),
        "128 is outside the range of `<b`, -128 to 127"
    );
    let error = HeaderFormat::U32_BE.unpack(&[0; 5]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`>I` is read from exactly 4 bytes, not from 5"
    );
}
