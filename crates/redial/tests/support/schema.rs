//! Lines of JSON, held against docs/run.schema.json.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{finish, skip};

const SCHEMA: &str = include_str!("../../../../docs/run.schema.json");

/// Reads the schema, then lines, and says which lines do not fit.
const VALIDATOR: &str = "
import sys, json, jsonschema
schema = json.loads(sys.stdin.readline())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for line in sys.stdin:
    for error in validator.iter_errors(json.loads(line)):
        print(line, error.message, [one.message for one in error.context or []])
";

/// Each line fits; where that cannot be looked at, the test `name` is skipped.
pub(crate) fn all_fit(lines: &[u8], name: &str) {
    let has_validator = Command::new("python3")
        .args(["-c", "import jsonschema"])
        .output();
    if !has_validator.is_ok_and(|output| output.status.success()) {
        return skip(&format!("{name}: no python3-jsonschema"));
    }
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    let mut validator = Command::new("python3")
        .args(["-c", VALIDATOR])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = validator.stdin.take().unwrap();
    stdin.write_all(format!("{schema}\n").as_bytes()).unwrap();
    stdin.write_all(lines).unwrap();
    drop(stdin);
    let ran = finish(validator, Instant::now());
    let said = String::from_utf8(ran.stdout).unwrap();
    assert_eq!((ran.code, &*said), (0, ""), "{}", ran.stderr);
}
