//! Every bound on what is read here: its unit in the name, and the attack it stops.

/// A public key or a signature on the wire. Stops a stranger's message from taking memory.
pub const BLOB_BYTES: usize = 16_384;

/// All that a client says before it is authenticated: keys and signature together.
pub const OFFER_BYTES: usize = 16_384;

/// What an offer takes beside its keys: the user's name, lengths, the frame.
pub const OFFER_REST_BYTES: usize = 1_024;

/// Keys in one offer. Each costs the server a look into files.
pub const OFFER_KEYS: usize = 32;

/// A user's name. Linux allows 32 characters, directory services more.
pub const USER_BYTES: usize = 256;

/// The smallest RSA modulus taken. Smaller ones can be factored by those who have the means.
pub const RSA_MIN_BITS: u32 = 2_048;

/// The largest RSA modulus taken. Stops keys that make each check of a signature slow.
pub const RSA_MAX_BITS: u32 = 8_192;

/// authorized_keys. Stops a user's file from taking the daemon's memory and time.
pub const FILE_BYTES: usize = 1_048_576;

/// known_hosts, which is our own user's: half a million hosts.
pub const KNOWN_HOSTS_BYTES: usize = 67_108_864;

/// One line of authorized_keys or known_hosts.
pub const LINE_BYTES: usize = 65_536;

/// Patterns of one `from=` or of one line of known_hosts. Stops a line from costing more time than
/// its length: each pattern is matched against each name.
pub const PATTERNS: usize = 1_024;

/// One pattern; ssh's own limit.
pub const PATTERN_BYTES: usize = 1_022;

/// `environment=` in one line of authorized_keys; sshd's own limit.
pub const ENVIRONMENT: usize = 1_024;

/// `permitopen=`, and as many `permitlisten=`, in one line; sshd's own limit.
pub const PERMITS: usize = 4_096;

/// Reasons given for one refusal. Stops a file of lines that all name one key from filling the log.
pub const REASONS: usize = 16;

/// A private key's text.
pub const PRIVATE_KEY_BYTES: usize = 65_536;

/// Rounds of bcrypt for a private key's passphrase; ssh-keygen makes 16 or 24. Stops a key file from
/// holding up the client for hours.
pub const BCRYPT_ROUNDS: u32 = 65_536;

/// All files of one reading of ssh's settings together, those included too.
pub const CONFIG_BYTES: usize = 4_194_304;

/// Files that one reading of ssh's settings includes. Stops files that include each other twice, which
/// double at each depth.
pub const INCLUDED_FILES: usize = 1_024;

/// Depth of `Include` in ssh's settings; ssh's own limit. Stops a file that includes itself.
pub const INCLUDE_DEPTH: usize = 16;

/// `IdentityFile` for one host; ssh's own limit.
pub const IDENTITY_FILES: usize = 100;

/// A value of ssh's settings with its tokens expanded. Stops a line of tokens from growing by what
/// each stands for.
pub const EXPANDED_BYTES: usize = 65_536;
