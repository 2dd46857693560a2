//! What is said in each language. A verdict speaks of what happened this time, so that it is
//! true whatever the kernel did.

mod chinese;
mod english;

use redial_classic::demo::{Scene, Tally};

use crate::args::Language;

/// One language.
pub(super) struct Words {
    /// What is said first.
    pub(super) opening: &'static str,
    /// The labels of the rows: what was sent, received, found by headers.
    send: &'static str,
    recv: &'static str,
    message: &'static str,
    /// Stands in the box of bytes that `send` did not take.
    pub(super) left: &'static str,
    /// A scene's title, and what is tried in it.
    pub(super) scene: fn(Scene) -> (&'static str, &'static str),
    /// What came of it.
    pub(super) verdict: fn(Scene, &Tally) -> String,
}

impl Words {
    /// The labels of the rows, in the rows' order.
    pub(super) fn labels(&self) -> [&'static str; 3] {
        [self.send, self.recv, self.message]
    }
}

/// The words of a language.
pub(super) fn of(language: Language) -> &'static Words {
    match language {
        Language::En => &english::WORDS,
        Language::Zh => &chinese::WORDS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(language: Language, scene: Scene, tally: &Tally) -> String {
        (of(language).verdict)(scene, tally)
    }

    fn tally(sends: usize, receives: usize) -> Tally {
        Tally {
            sends,
            receives,
            boundaries_kept: sends == receives,
            bytes_kept: sends == receives,
            ..Tally::default()
        }
    }

    #[test]
    fn a_verdict_is_true_also_when_the_kernel_acts_otherwise() {
        use Language::{En, Zh};
        for (scene, usual, unusual, said) in [
            (Scene::Glued, tally(5, 1), tally(5, 5), ["by luck", "碰巧"]),
            (Scene::Pieces, tally(1, 7), tally(1, 1), ["by luck", "碰巧"]),
            (Scene::Datagrams, tally(5, 5), tally(5, 3), ["lost", "丢了"]),
        ] {
            for (language, said) in [(En, said[0]), (Zh, said[1])] {
                let usually = verdict(language, scene, &usual);
                assert!(!usually.contains(said), "{usually}");
                let text = verdict(language, scene, &unusual);
                assert!(text.contains(said), "{text}");
            }
        }
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        use unicode_width::UnicodeWidthStr;
        for language in [Language::En, Language::Zh] {
            let words = of(language);
            for scene in Scene::ALL {
                let (title, trial) = (words.scene)(scene);
                let framed = Tally {
                    messages: 12,
                    messages_kept: true,
                    ..tally(12, 3)
                };
                for tally in [tally(12, 3), tally(12, 12), framed] {
                    let text = [
                        words.opening,
                        title,
                        trial,
                        &verdict(language, scene, &tally),
                    ]
                    .join("\n");
                    assert!(text.lines().all(|line| line.width() <= 80), "{text}");
                }
            }
        }
    }
}
