//! Files and texts with a change, as tests want them.

/// `text` with `to` in the one place where it has `from`.
///
/// # Panics
/// Where `text` has no such place, or several: what the test is about would not be in it.
#[track_caller]
pub fn edited(text: &str, from: &str, to: &str) -> String {
    let places = text.matches(from).count();
    assert_eq!(places, 1, "{from:?} has to be in one place of the text to be edited:\n{text}");
    text.replace(from, to)
}

/// The provider file `text` with a feed that no test has to wait for.
#[track_caller]
pub fn with_fast_feed(text: &str) -> String {
    edited(text, "\napi: ", "\nfeed: { pace: 1000/s }\napi: ")
}
