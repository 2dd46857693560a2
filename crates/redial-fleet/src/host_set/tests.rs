//! Sets as people write them.

use super::*;

/// Groups that contain each other, too.
struct Some5;

impl Groups for Some5 {
    fn group(&self, source: Option<&str>, name: &str) -> Result<String, String> {
        match (source, name) {
            (None, "web") => Ok("web[1-3],@old".to_owned()),
            (None, "old") => Ok("web9".to_owned()),
            (Some("dc"), "web") => Ok("@rack1".to_owned()),
            (Some("dc"), "rack1") => Ok("r1n[1-2]".to_owned()),
            (None, "ring") => Ok("@ring".to_owned()),
            (None, "many") => Ok(["@few"; 200].join(",")),
            (None, "few") => Ok(["@old"; 200].join(",")),
            (None, "odd") => Ok("a[1".to_owned()),
            (None, "rack1" | "rack2") => Ok(format!("{name}n[1-2]")),
            _ => Err("there is no such group".to_owned()),
        }
    }

    fn all(&self, source: Option<&str>) -> Result<String, String> {
        match source {
            None => Ok("@web,db[1-2],dbx".to_owned()),
            Some(_) => Err("there is no such source".to_owned()),
        }
    }
}

fn parse(text: &str) -> Result<HostSet, HostSetError> {
    HostSet::parse(text, &Some5)
}

fn folded(text: &str) -> String {
    parse(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .to_string()
}

#[test]
fn expressions_mean_what_clusters_users_know() {
    for (text, expected) in [
        ("", ""),
        ("web01", "web01"),
        ("web[01-06/2]", "web[01,03,05]"),
        ("web[1-3,5]", "web[1-3,5]"),
        ("a[1-3]!a2", "a[1,3]"),
        ("a[1-5]&a[3-9]", "a[3-5]"),
        ("a[1-3]^a[2-4]", "a[1,4]"),
        ("a!b!c,d", "a,d"),
        (" a , b ", "a,b"),
        ("a[9-11]", "a[9-11]"),
        ("a[09-11]", "a[09-11]"),
        ("a01,a1", "a[1,01]"),
        ("a[1-2]5", "a[15,25]"),
        ("a5[1-2]", "a[51-52]"),
        ("[1-3]", "[1-3]"),
        ("n[1-2]-[01-02]", "n[1-2]-[01-02]"),
        ("n1-1,n1-2,n2-1,n2-2,n3-1", "n[1-2]-[1-2],n3-1"),
        ("10.0.0.[1-3]", "10.0.0.[1-3]"),
        ("ada@web[1-2]:7334", "ada@web[1-2]:7334"),
        ("[2001:db8::1],[::1]:22", "[2001:db8::1],[::1]:22"),
        ("a[1-3]!a[1-3]", ""),
    ] {
        let folded = folded(text);
        assert_eq!(folded, expected, "{text}");
        assert_eq!(parse(&folded), parse(text), "{text}");
    }
}

#[test]
fn groups_and_masks_are_asked_for() {
    for (text, expected) in [
        ("@web", "web[1-3,9]"),
        ("@web!@old", "web[1-3]"),
        ("@dc:web", "r1n[1-2]"),
        ("@rack[1-2]", "rack[1-2]n[1-2]"),
        ("@*", "db[1-2],dbx,web[1-3,9]"),
        ("db?", "db[1-2],dbx"),
        ("*!web*", "db[1-2],dbx"),
        ("w*[1-2]", "web[1-2]"),
    ] {
        assert_eq!(folded(text), expected, "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, at, reason) in [
        ("web[1-", 3, "not closed"),
        ("web1]", 4, "not opened"),
        ("a[[1]", 2, "within brackets"),
        ("a,,b", 2, "a host is missing"),
        ("a!", 2, "a host is missing"),
        ("web[1-x]", 4, "not a number"),
        ("web[1,x]", 6, "not a number"),
        ("web[]", 4, "a number is missing"),
        ("web[3-1]", 4, "ends before it begins"),
        ("web[01-3]", 4, "as many digits"),
        ("web[1-3/0]", 4, "a step of nothing"),
        ("web[1/2]", 4, "a step without a range"),
        ("web[-1]", 4, "a number is missing"),
        ("a[1-2][3-4]", 6, "follow each other"),
        ("wéb 1", 3, "no blanks"),
        ("a[1-9000000000]", 2, "1,000,000"),
        ("a[1-2000]-[1-2000]", 0, "1,000,000"),
        ("x,a[1-1000000]", 2, "1,000,000"),
        ("a[123456789012345678]", 2, "17 digits"),
        ("a,@nope", 2, "no such group"),
        ("@ring", 0, "nested"),
        ("@many", 0, "more than 10000 groups"),
        ("@odd", 0, "not closed"),
        ("@", 0, "name of a group"),
        ("@x:*", 0, "no such source"),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.at(), at, "{text}: {error}");
        assert!(error.to_string().contains(reason), "{text}: {error}");
    }
    let said = HostSet::parse("web[1-", &NoGroups).unwrap_err().to_string();
    assert_eq!(
        said,
        "a bracket that is not closed at character 4, at '[1-' in 'web[1-'"
    );
    assert!(HostSet::parse("@web", &NoGroups).is_err());
    assert!(HostSet::parse("web*", &NoGroups).is_err());
}

#[test]
fn names_come_in_order_and_are_found() {
    let set = parse("n[2,10]-[1-2],b,a[08-11]").unwrap();
    let names: Vec<String> = set.iter().collect();
    let expected = [
        "a08", "a09", "a10", "a11", "b", "n2-1", "n2-2", "n10-1", "n10-2",
    ];
    assert_eq!(names, expected);
    assert_eq!(set.len(), names.len() as u64);
    assert!(names.iter().all(|name| set.contains(name)));
    for other in ["a8", "a12", "bb", "n2-3", "n2", "n2-1-1", ""] {
        assert!(!set.contains(other), "{other}");
    }
    assert_eq!(names.iter().collect::<HostSet>(), set);
}

#[test]
fn a_million_hosts_are_a_few_ranges() {
    let set = parse("web[0-999999]").unwrap();
    assert_eq!(set.len(), MAX_HOSTS);
    assert_eq!(set.to_string(), "web[0-999999]");
    assert_eq!(set.iter().last().as_deref(), Some("web999999"));
}
