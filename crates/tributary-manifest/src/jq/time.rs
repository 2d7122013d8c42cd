//! Times in filters: `parse_time`.

use jaq_core::native::{Filter as NativeFilter, bome, v};
use jaq_core::{DataT, Error, RunPtr};
use jaq_json::Val;

use crate::time::normalized;

/// The filter `parse_time`: a time in one of the usual forms as RFC 3339.
pub fn filters<D: for<'a> DataT<V<'a> = Val>>() -> [NativeFilter<RunPtr<D>>; 1] {
    [("parse_time", v(0), |cv| {
        let time = match &cv.1 {
            Val::TStr(bytes) => std::str::from_utf8(bytes).ok().and_then(normalized),
            _ => None,
        };
        bome(time.map(Val::from).ok_or_else(|| Error::str(format!("{} is no time", cv.1))))
    })]
}
