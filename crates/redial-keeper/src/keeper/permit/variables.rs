//! Which variables may be set from afar.

use redial_auth::authorized_keys::{Options, VariableNames};

use super::ORIGINAL;

/// All that a restricted key may set: how its output looks, not what is run.
const HARMLESS: [&[u8]; 5] = [b"LANG", b"LANGUAGE", b"TZ", b"NO_COLOR", b"COLORTERM"];

/// A shell's own, which it sets at every `cd`, and looks at only if they are true.
const SHELLS_OWN: [&[u8]; 2] = [b"PWD", b"OLDPWD"];

/// Variables through which an environment becomes a program: what loaders, shells and
/// interpreters run or load because of it. Of each of these families, all.
const DANGEROUS_FAMILIES: [&[u8]; 24] = [
    b"LD_",
    b"_RLD",
    b"DYLD_",
    b"MALLOC_",
    b"BASH_",
    b"PYTHON",
    b"PERL",
    b"RUBY",
    b"NODE_",
    b"LUA_",
    b"PHP",
    b"GIT_",
    b"JAVA_",
    b"RESOLV_",
    b"ERL_",
    b"GTK_",
    b"QT_",
    b"GIO_",
    b"DOTNET_",
    b"CORECLR_",
    b"COR_",
    b"CAML_",
    b"npm_config_",
    b"NPM_CONFIG_",
];

/// And these.
pub(super) const DANGEROUS: [&[u8]; 56] = [
    b"GLIBC_TUNABLES",
    b"GCONV_PATH",
    b"GETCONF_DIR",
    b"HOSTALIASES",
    b"LOCALDOMAIN",
    b"LOCPATH",
    b"NIS_PATH",
    b"NLSPATH",
    b"RES_OPTIONS",
    b"TZDIR",
    b"PATH_LOCALE",
    b"OPENSSL_CONF",
    b"OPENSSL_ENGINES",
    b"OPENSSL_MODULES",
    b"SSLKEYLOGFILE",
    b"ENV",
    b"SHELLOPTS",
    b"BASHOPTS",
    b"PS4",
    b"PROMPT_COMMAND",
    b"IFS",
    b"CDPATH",
    b"GLOBIGNORE",
    b"ZDOTDIR",
    b"FPATH",
    b"NULLCMD",
    b"READNULLCMD",
    b"TMPPREFIX",
    b"TERMINFO",
    b"TERMINFO_DIRS",
    b"TERMPATH",
    b"TERMCAP",
    b"CLASSPATH",
    b"_JAVA_OPTIONS",
    b"JDK_JAVA_OPTIONS",
    b"TCLLIBPATH",
    b"GEM_HOME",
    b"GEM_PATH",
    b"BUNDLE_GEMFILE",
    b"GUILE_LOAD_PATH",
    b"R_PROFILE",
    b"R_PROFILE_USER",
    b"R_ENVIRON",
    b"R_ENVIRON_USER",
    b"AWKPATH",
    b"AWKLIBPATH",
    b"MAKEFLAGS",
    b"GNUMAKEFLAGS",
    b"VIMINIT",
    b"EXINIT",
    b"EMACSLOADPATH",
    b"RSYNC_RSH",
    b"SSH_ASKPASS",
    b"MANPAGER",
    b"LESSOPEN",
    b"LESSCLOSE",
];

/// What decides which program a word means, and which settings it obeys: no wildcard means these, and where
/// a line says what is run, it is not for its key to change that.
const GUIDING: [&[u8]; 24] = [
    b"PATH",
    b"HOME",
    b"SHELL",
    b"USER",
    b"LOGNAME",
    b"PAGER",
    b"EDITOR",
    b"VISUAL",
    b"TMPDIR",
    b"MAKEFILES",
    b"TAR_OPTIONS",
    b"LESS",
    b"LESSKEYIN",
    b"SUDO_EDITOR",
    b"SUDO_ASKPASS",
    b"BROWSER",
    b"RUSTC_WRAPPER",
    b"DOCKER_HOST",
    b"KUBECONFIG",
    b"GNUPGHOME",
    b"CARGO_HOME",
    b"ANSIBLE_CONFIG",
    b"CC",
    b"LESSKEY",
];
/// And of these families, all.
const GUIDING_FAMILIES: [&[u8]; 3] = [b"SSH_", b"XDG_", b"SYSTEMD_"];

/// Whether a line that names variables lets this one be set: but not what turns an environment into a
/// program, and for a restricted key no file in a locale's place.
pub(super) fn may_by(
    names: &VariableNames,
    name: &[u8],
    value: &[u8],
    options: &Options,
    restricted: bool,
) -> bool {
    let guides = GUIDING.contains(&name) || GUIDING_FAMILIES.iter().any(|it| name.starts_with(it));
    // Some program somewhere runs what a variable of any name says (TAR_OPTIONS): where a line says what is
    // run, each is to be thought of.
    let is_named = match (guides, options.policy.argv.is_some()) {
        (true, _) => names.spell_out(name) && options.command.is_none(),
        (false, true) => names.spell_out(name),
        (false, false) => names.has(name),
    };
    if SHELLS_OWN.contains(&name) {
        return true;
    }
    let is_locale = HARMLESS.contains(&name) || name.starts_with(b"LC_");
    is_named && may_set(name, value, restricted && is_locale)
}

pub(super) fn may_set(name: &[u8], value: &[u8], restricted: bool) -> bool {
    if SHELLS_OWN.contains(&name) {
        return true;
    }
    if restricted {
        let harmless = HARMLESS.contains(&name) || name.starts_with(b"LC_");
        return harmless && names_no_file(name, value);
    }
    // Some shells take functions from variables of any name that ends so (CVE-2014-6271).
    let function = name.ends_with(b"()") || name.ends_with(b"%%");
    !function
        && name != ORIGINAL
        && !DANGEROUS.contains(&name)
        && !DANGEROUS_FAMILIES.iter().any(|it| name.starts_with(it))
}

/// Locales and time zones are files to a C library, and of any path if one is given. `%` begins
/// what printf(3) obeys in a catalogue's place.
fn names_no_file(name: &[u8], value: &[u8]) -> bool {
    let up = value.windows(2).any(|pair| pair == b"..");
    let from_root = matches!(value.first(), Some(b'/' | b':'));
    // Europe/Berlin.
    let slash = name != b"TZ" && value.contains(&b'/');
    !up && !from_root && !slash && !value.contains(&b'%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_or_time_zone_of_a_restricted_key_is_a_name_and_no_file() {
        for (name, value, may) in [
            ("LC_ALL", "C.UTF-8", true),
            ("LC_ALL", "/tmp/x", false),
            ("LANGUAGE", "de:../../x", false),
            ("TZ", "Europe/Berlin", true),
            ("TZ", ":/etc/shadow", false),
            ("TZ", "/tmp/x", false),
            ("TZ", "x/../../y", false),
            ("LANG", "%n", false),
        ] {
            let may_set = may_set(name.as_bytes(), value.as_bytes(), true);
            assert_eq!(may_set, may, "{name}={value}");
        }
    }
}
