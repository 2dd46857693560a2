//! Packing against Python's `struct`: formats and numbers made from a seed, one python3 process
//! that answers for all of them.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use redial_classic::packing::{PackError, Packing};

const CASES: usize = 5_000;

/// Reads a format and numbers, divided by tabs; answers with the bytes in hex and what they are
/// unpacked to, padding filled with ones; or with what is wrong.
const ORACLE: &str = r#"
import struct, sys
for line in sys.stdin:
    form, *numbers = line.rstrip("\n").split("\t")
    numbers = [int(number) for number in numbers if number]
    try:
        size = struct.calcsize(form)
    except (struct.error, UnicodeEncodeError):
        print("format")
        continue
    if len(struct.unpack(form, bytes(size))) != len(numbers):
        try:
            struct.pack(form, *numbers)
        except struct.error:
            print("count")
        continue
    try:
        packed = struct.pack(form, *numbers)
    except (struct.error, OverflowError):
        print("number")
        continue
    print(packed.hex(), struct.unpack(form, packed), struct.unpack(form, b"\xff" * size))
"#;

#[test]
fn generated_formats_pack_and_unpack_as_python_does() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = since.as_nanos() as u64;
    println!("seed {seed}");
    let mut random = Random(seed);
    let cases: Vec<(String, Vec<i128>)> = (0..CASES).map(|_| case(&mut random)).collect();
    let mut asked = String::new();
    for (format, numbers) in &cases {
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        asked += &format!("{format}\t{}\n", numbers.join("\t"));
    }
    let Some(answers) = ask_python(&asked) else {
        return skip("generated_formats_pack_and_unpack_as_python_does: no python3");
    };
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers.len(), CASES, "seed {seed}");
    let mut kinds = [0; 2];
    for ((format, numbers), answer) in cases.iter().zip(answers) {
        let ours = ours(format, numbers);
        assert_eq!(ours, answer, "seed {seed}: {format:?} {numbers:?}");
        kinds[usize::from(ours.contains('('))] += 1;
    }
    assert!(kinds.iter().all(|&count| count > CASES / 10), "{kinds:?}");
}

/// What Python would answer.
fn ours(format: &str, numbers: &[i128]) -> String {
    let packing: Packing = match format.parse() {
        Ok(packing) => packing,
        Err(_) => return "format".to_owned(),
    };
    let packed = match packing.pack(numbers) {
        Ok(packed) => packed,
        Err(PackError::Count { .. }) => return "count".to_owned(),
        Err(_) => return "number".to_owned(),
    };
    let hex: String = packed.iter().map(|byte| format!("{byte:02x}")).collect();
    let ones = vec![0xff; packing.size()];
    let [back, ones] = [&packed, &ones].map(|bytes| tuple(&packing.unpack(bytes).unwrap()));
    format!("{hex} {back} {ones}")
}

fn tuple(numbers: &[i128]) -> String {
    let all: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    match all.as_slice() {
        [one] => format!("({one},)"),
        all => format!("({})", all.join(", ")),
    }
}

/// A format of a few letters, mostly good, and mostly as many numbers as it takes.
fn case(random: &mut Random) -> (String, Vec<i128>) {
    let mut format = random.choose(&["", "@", "=", "<", ">", "!"]).to_owned();
    for _ in 0..random.below(5) {
        format += random.choose(&["", "", "", "1", "3", "0", "02", " ", "\x0b", "\x0c"]);
        format += random.choose(&[
            "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "n", "N", "x", "b", "h", "i", "q",
        ]);
    }
    if random.below(20) == 0 {
        format += random.choose(&["7", "z", ">", "3 i", "é", "!"]);
    }
    let taken = format.parse().map_or(1, |packing: Packing| packing.count());
    let count = match random.below(20) {
        0 => taken + 1,
        1 => taken.saturating_sub(1),
        _ => taken,
    };
    let numbers = (0..count).map(|_| number(random)).collect();
    (format, numbers)
}

/// Near a power of two, or small.
fn number(random: &mut Random) -> i128 {
    if random.below(3) > 0 {
        return i128::from(random.below(128));
    }
    let bits = [7, 8, 15, 16, 31, 32, 63, 64][random.below(8) as usize];
    let near = (1_i128 << bits) - i128::from(random.below(3));
    match random.below(2) {
        0 => near,
        _ => -near,
    }
}

/// xorshift64* (Vigna 2016).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % bound
    }

    fn choose<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Python's answers, or `None` if there is no python3.
fn ask_python(table: &str) -> Option<String> {
    let started = Command::new("python3")
        .args(["-c", ORACLE])
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut python = match started {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        started => started.unwrap(),
    };
    let mut stdin = python.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(table.as_bytes()));
        python.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "python3: {}", output.status);
    Some(String::from_utf8(output.stdout).unwrap())
}

/// For the table of `cargo xtask test`.
fn skip(what: &str) {
    eprintln!("skipped: {what}");
    if let Some(path) = std::env::var_os("REDIAL_SKIPS") {
        let list = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path);
        writeln!(list.unwrap(), "{what}").unwrap();
    }
}
