//! Bodies that are no JSON, or not that of which they are the beginning.

use super::answer::{HALF, NAN};
use super::{Board, Lie};

impl Board {
    /// Puts lies into the text of a body, and what stood for characters that JSON does not have.
    pub fn change_text(&mut self, path: &str, body: &mut Vec<u8>) {
        let written = |mark: &str| mark.replace('\u{1}', "\\u0001");
        for (mark, becomes) in
            [(format!("\"{}\"", written(NAN)), "NaN"), (written(HALF), "\\ud83d"), (written(NAN), "NaN")]
        {
            replace(body, mark.as_bytes(), becomes.as_bytes());
        }
        for lie in self.lies.kinds.clone() {
            match lie {
                Lie::ByteOrderMark if self.tells(lie, path) => {
                    body.splice(..0, *b"\xEF\xBB\xBF");
                }
                Lie::Truncated if body.len() > 2 && self.tells(lie, path) => body.truncate(body.len() / 2),
                _ => {}
            }
        }
    }
}

fn replace(body: &mut Vec<u8>, mark: &[u8], becomes: &[u8]) {
    let mut from = 0;
    while let Some(at) = body[from..].windows(mark.len()).position(|part| part == mark) {
        body.splice(from + at..from + at + mark.len(), becomes.iter().copied());
        from += at + becomes.len();
    }
}
