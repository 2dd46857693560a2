//! The Debian package, by dpkg-deb(1): files, and what makes the front's user and starts the service.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::tool;

const DESCRIPTION: &str = "\
run commands on other machines; a line that drops is dialled again
 redial runs commands on other machines over Unix sockets, TLS with the SSH keys
 that people have, or any program's stdio. If the line drops it dials again, and
 nothing is lost: every byte of output, stdin and the exit status. Jobs outlive
 their client and the server's own programs.";

/// Run by dpkg, see deb-postinst(5) and its like.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Packs a tree of files; where the package is.
///
/// # Errors
/// There is no dpkg, or the tree cannot be read.
pub(super) fn build(
    root: &Path,
    tree: &Path,
    out: &Path,
    version: &str,
) -> anyhow::Result<PathBuf> {
    let arch = tool("dpkg", |it| it.arg("--print-architecture"))?;
    let arch = String::from_utf8(arch).context("dpkg's architecture")?;
    let arch = arch.trim();
    let symbols = tool("objdump", |it| {
        it.arg("-T").arg(tree.join("usr/bin/redial"))
    })?;
    let glibc = newest_glibc(&String::from_utf8_lossy(&symbols)).context("no glibc is needed")?;
    let kib = size(tree)?.div_ceil(1_024);
    let control = format!(
        "Package: redial\nVersion: {version}-1\nArchitecture: {arch}\n\
         Maintainer: the redial developers <redial@localhost>\nInstalled-Size: {kib}\n\
         Depends: libc6 (>= {glibc}), libgcc-s1, passwd\nSection: net\nPriority: optional\n\
         Description: {DESCRIPTION}\n"
    );
    let about = tree.join("DEBIAN");
    fs::create_dir(&about).context("cannot make DEBIAN")?;
    fs::write(about.join("control"), control)?;
    fs::write(about.join("conffiles"), "/etc/redial/config.toml\n")?;
    for script in SCRIPTS {
        let (from, to) = (root.join("dist/debian").join(script), about.join(script));
        fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
    }
    let package = out.join(format!("redial_{version}-1_{arch}.deb"));
    tool("dpkg-deb", |it| {
        it.args(["--root-owner-group", "-Zxz", "--build"])
            .arg(tree)
            .arg(&package)
    })?;
    Ok(package)
}

/// Of the symbols that are taken from it, as objdump(1) lists them.
fn newest_glibc(symbols: &str) -> Option<String> {
    let number = |text: &str| -> Option<(u32, u32)> {
        let mut parts = text.split('.').map(|part| part.parse().ok());
        Some((parts.next()??, parts.next()??))
    };
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|rest| {
        let end = rest.find(|it: char| !it.is_ascii_digit() && it != '.');
        number(&rest[..end.unwrap_or(rest.len())])
    });
    let (major, minor) = versions.max()?;
    Some(format!("{major}.{minor}"))
}

fn size(dir: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let about = entry.metadata()?;
        sum += if about.is_dir() {
            size(&entry.path())?
        } else {
            about.len()
        };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_that_is_needed_is_found_by_number() {
        let symbols = "0 DF *UND* 0 (GLIBC_2.9)  a\n0 DF *UND* 0 (GLIBC_2.34) b\n\
                       0 DF *UND* 0 (GLIBC_2.3.4) c\n0 DF *UND* 0 (GCC_3.0) d\n";
        assert_eq!(newest_glibc(symbols).as_deref(), Some("2.34"));
        assert_eq!(newest_glibc("0 DF *UND* 0 (GCC_3.0) d\n"), None);
    }
}
