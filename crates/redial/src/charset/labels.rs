//! What to say to a label that is none: the nearest that is one.

/// The standard's names, and the labels that people use most. (The standard has 228; the
/// others differ from these by little.)
pub(super) const KNOWN: [&str; 61] = [
    "utf-8",
    "utf8",
    "ascii",
    "latin1",
    "latin2",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-3",
    "iso-8859-4",
    "iso-8859-5",
    "iso-8859-6",
    "iso-8859-7",
    "iso-8859-8",
    "iso-8859-8-i",
    "iso-8859-9",
    "iso-8859-10",
    "iso-8859-13",
    "iso-8859-14",
    "iso-8859-15",
    "iso-8859-16",
    "koi8-r",
    "koi8-u",
    "ibm866",
    "cp866",
    "macintosh",
    "windows-874",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "windows-1253",
    "windows-1254",
    "windows-1255",
    "windows-1256",
    "windows-1257",
    "windows-1258",
    "cp1250",
    "cp1251",
    "cp1252",
    "cp1253",
    "cp1254",
    "cp1255",
    "cp1256",
    "cp1257",
    "cp1258",
    "x-mac-cyrillic",
    "gbk",
    "gb2312",
    "gb18030",
    "chinese",
    "big5",
    "big5-hkscs",
    "euc-jp",
    "iso-2022-jp",
    "shift_jis",
    "sjis",
    "euc-kr",
    "korean",
    "utf-16",
    "utf-16le",
    "utf-16be",
    "x-user-defined",
];

/// What Python, iconv and Windows call them, and the standard does not.
const ELSEWHERE: [(&str, &str); 8] = [
    ("cp936", "gbk"),
    ("936", "gbk"),
    ("cp950", "big5"),
    ("cp932", "shift_jis"),
    ("cp949", "euc-kr"),
    ("cp65001", "utf-8"),
    ("ucs-2", "utf-16le"),
    ("hz", "gb18030"),
];

/// The error for `label`.
pub(super) fn unknown(label: &str) -> String {
    let asked = label.trim().to_ascii_lowercase();
    let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == asked);
    let near = || {
        let (distance, name) = KNOWN
            .iter()
            .map(|name| (distance(&plain(&asked), &plain(name)), *name))
            .min()?;
        (distance <= 2 && distance < asked.len()).then_some(name)
    };
    let advice = match elsewhere.map(|(_, name)| *name).or_else(near) {
        Some(name) => format!("did you mean {name}?"),
        None => "any label of the Encoding Standard (https://encoding.spec.whatwg.org) will do, \
                 for example gbk, gb18030, big5, shift_jis, euc-kr, windows-1252"
            .to_owned(),
    };
    format!("{label:?} is no charset; {advice}")
}

/// What remains when people's ways of writing a label are taken off.
fn plain(label: &str) -> String {
    label.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// Letters to insert, drop or change (Levenshtein). A long one is as far as can be.
fn distance(one: &str, other: &str) -> usize {
    if one.len() > 32 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.bytes().enumerate() {
            let change = corner + usize::from(a != b);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}
