//! Options together, as administrators write them, and redial's own, which sshd does not know.

use super::cases::Case;

/// Several options, and several lines, of which one has to count.
pub(crate) fn listed() -> Vec<Case> {
    [options(), lines(), own()].concat()
}

fn options() -> Vec<Case> {
    [
        r#"command="echo a",from="127.0.0.1" {key}"#,
        r#"from="127.0.0.1",command="echo a" {key}"#,
        r#"from="10.0.0.1",command="echo a" {key}"#,
        r#"from="127.0.0.1"pty {key}"#,
        r#"from="127.0.0.1" pty {key}"#,
        r#"from='127.0.0.1' {key}"#,
        r#"from=127.0.0.1 {key}"#,
        r#"expiry-time="{soon}",command="echo a" {key}"#,
        r#"expiry-time="{soonZ}",expiry-time="{pastZ}" {key}"#,
        r#"expiry-time="{soonZ}",from="127.0.0.1",restrict,pty {key}"#,
        r#"restrict,command="echo $A",environment="A=1" {key}"#,
        r#"environment="A=1",restrict {key}"#,
        r#"environment="A=$B",environment="B=2" {key}"#,
        r#"environment="A='x y'" {key}"#,
        r#"environment="A=\" {key}"#,
        r#"environment="A=a\\b",command="printf '%s\n' \"$A\"" {key}"#,
        r#"environment="a=1" {key}"#,
        r#"environment="_=1" {key}"#,
        r#"environment="1A=1" {key}"#,
        r#"environment="A=é" {key}"#,
        r#"Command="echo a",Environment="A=1" {key}"#,
        r#"command="echo \"$A\"",environment="A=a  b" {key}"#,
        r#"command="echo a; echo b" {key}"#,
        r#"command="exit 0" {key}"#,
        r#"command="echo a # b" {key}"#,
        r#"command=" echo a" {key}"#,
        r#"command="echo a " {key}"#,
        r#"command="echo é" {key}"#,
        r#"command="echo a",no-such {key}"#,
        r#"permitopen="web:80",permitopen="web:80" {key}"#,
        r#"permitopen="web:80",restrict {key}"#,
        r#"permitopen="*:80" {key}"#,
        r#"permitopen="" {key}"#,
        r#"permitlisten="0.0.0.0:1" {key}"#,
        r#"permitlisten="[::]:*" {key}"#,
        r#"no-port-forwarding,permitopen="a:1" {key}"#,
        "pty,restrict,pty {key}",
        "restrict,restrict {key}",
        "no-pty,no-pty {key}",
        "agent-forwarding,restrict,x11-forwarding {key}",
        "user-rc,no-user-rc {key}",
        "verify-required,no-touch-required {key}",
        " restrict {key}",
        "restrict  \t {key}",
    ]
    .map(Case::new)
    .into()
}

fn lines() -> Vec<Case> {
    [
        "from=\"10.0.0.1\",command=\"echo a\" {key}\n{key}",
        "expiry-time=\"{past}\",command=\"echo a\" {key}\ncommand=\"echo b\" {key}",
        "restrict {key}\n{key}",
        "{key}\nrestrict,command=\"echo b\" {key}",
        "command=\"echo a\",no-such {key}\n{key}",
        "command=\"echo a {key}\n{key}",
        "from=\"127.0.0.1\",from=\"*\" {key}\ncommand=\"echo b\" {key}",
        "\n\n#{key}\n \t\n{key}",
    ]
    .map(Case::new)
    .into()
}

fn own() -> Vec<Case> {
    [
        "allow-argv=\"true *\" {key}",
        "env=\"A,B_*\" {key}",
        "max-jobs=\"4\" {key}",
        "max-time=\"1h\" {key}",
        "memory=\"64M\" {key}",
        "cpu=\"0.5\" {key}",
        "pids=\"50\" {key}",
        "read-only {key}",
        "restrict,read-only {key}",
        "from=\"127.0.0.1\",max-jobs=\"1\",env=\"A\" {key}",
    ]
    .map(|lines| Case::new(lines).own("an option of redial's"))
    .into()
}
