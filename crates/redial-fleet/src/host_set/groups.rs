//! Where groups come from.

/// Says what `@group` means, in the same notation.
pub trait Groups {
    /// What is in the group `name` of a source, or of the usual one.
    ///
    /// # Errors
    ///
    /// For people: there is none of this name, or nobody can say.
    fn group(&self, source: Option<&str>, name: &str) -> Result<String, String>;

    /// All hosts of a source, or of the usual one: `@*`, and what `web*` is matched with.
    ///
    /// # Errors
    ///
    /// As [`Groups::group`].
    fn all(&self, source: Option<&str>) -> Result<String, String>;

    /// The source whose hosts alone a pattern is matched with, because all their names begin as it does and
    /// they are not among the others.
    fn apart(&self, mask: &str) -> Option<&str> {
        let _ = mask;
        None
    }
}

/// There are none.
#[derive(Debug, Clone, Copy)]
pub struct NoGroups;

impl Groups for NoGroups {
    fn group(&self, _: Option<&str>, _: &str) -> Result<String, String> {
        Err("there are no groups here".to_owned())
    }

    fn all(&self, _: Option<&str>) -> Result<String, String> {
        Err("there is no list of all hosts here".to_owned())
    }
}
