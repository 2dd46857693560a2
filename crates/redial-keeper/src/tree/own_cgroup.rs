//! Where this process's own cgroup v2 is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The directory, from /proc/self/mountinfo and
/// /proc/self/cgroup (proc(5), cgroups(7)).
pub(super) fn own_directory(mounts: &[u8], own: &[u8]) -> Option<PathBuf> {
    let own = own
        .split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(b"0::"))?;
    for line in mounts.split(|&byte| byte == b'\n') {
        let fields: Vec<_> = line.split(|&byte| byte == b' ').collect();
        let separator = fields
            .iter()
            .position(|field| *field == b"-")
            .unwrap_or(fields.len());
        if fields.get(separator + 1) != Some(&&b"cgroup2"[..]) {
            continue;
        }
        let (root, point) = (unescape(fields.get(3)?), unescape(fields.get(4)?));
        // A container may have mounted but a part, which ours must lie in.
        let own = Path::new(OsStr::from_bytes(own));
        let root = Path::new(OsStr::from_bytes(&root));
        if let Ok(below) = own.strip_prefix(root) {
            let up = below.components().any(|part| part == Component::ParentDir);
            let point = Path::new(OsStr::from_bytes(&point));
            return (!up).then(|| point.join(below));
        }
    }
    None
}

/// mountinfo writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..3).filter(|_| byte == b'\\');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(code) => {
                plain.push(code);
                rest = &after[3..];
            }
            None => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(mounts: &str, own: &str) -> Option<String> {
        own_directory(mounts.as_bytes(), own.as_bytes()).map(|path| {
            path.to_str()
                .expect("text")
                .trim_end_matches('/')
                .to_owned()
        })
    }

    #[test]
    fn our_directory_is_found_on_unified_hybrid_and_partly_mounted_hosts() {
        let unified = "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            40 31 0:37 / /sys/fs/cgroup/systemd rw shared:5 - cgroup cgroup rw,name=systemd\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw shared:6 - cgroup2 cgroup2 rw\n";
        let part = "9 8 0:26 /box /odd\\040place rw - cgroup2 cgroup2 rw\n";
        for (mounts, own, wanted) in [
            (
                unified,
                "0::/user.slice/a\n",
                Some("/sys/fs/cgroup/user.slice/a"),
            ),
            (unified, "0::/\n", Some("/sys/fs/cgroup")),
            (
                hybrid,
                "4:memory:/x\n0::/y\n",
                Some("/sys/fs/cgroup/unified/y"),
            ),
            (part, "0::/box/in\n", Some("/odd place/in")),
            (part, "0::/elsewhere\n", None),
            (unified, "0::/../outside\n", None),
            (unified, "4:memory:/x\n", None),
            ("", "0::/\n", None),
        ] {
            assert_eq!(found(mounts, own).as_deref(), wanted, "{own}");
        }
    }
}
