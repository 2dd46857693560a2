//! Fuzz harnesses: each takes any bytes and panics if the code under it breaks its word.
//!
//! To add one: the function in a module here, a line in [`TARGETS`], a thin target in
//! `fuzz_targets/` with its `[[bin]]` in Cargo.toml, and some small inputs in `corpus/NAME/`.
//! Ordinary tests replay the corpus (`tests/replay.rs`) and complain about what was forgotten. To
//! fuzz: `cargo +nightly fuzz run NAME --features libfuzzer`.

pub mod auth;
pub mod frame;
pub mod proto;

/// A fuzz harness.
pub type Harness = fn(&[u8]);

/// Every target: its name, which is also that of its file and its corpus, and its harness.
pub const TARGETS: &[(&str, Harness)] = &[
    ("auth_authorized_keys", auth::authorized_keys),
    ("auth_known_hosts", auth::known_hosts),
    ("auth_proof", auth::proof),
    ("auth_ssh_config", auth::ssh_config),
    ("frame_decoder", frame::frame_decoder),
    ("frame_format", frame::frame_format),
    (
        "proto_authenticate",
        proto::authenticate::proto_authenticate,
    ),
    ("proto_client", proto::proto_client),
    ("proto_server", proto::proto_server),
];
