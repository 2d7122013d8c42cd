//! The spans of a trace: which there are, what they may carry, and how one process goes on with what another
//! began. What a span carries is listed here and nowhere else: no secret, no amount, no name and no account is
//! among it.
//!
//! Where nobody exports traces, the target [`TARGET`] is off: a span is then a comparison, and nothing is built.

mod context;
mod spans;

pub use context::{carried, current, go_on_from, link_to, trace_id};
pub use spans::{
    Ordered, Published, answered, came_to, commit_page, fsp_answered, fsp_request, look_up, place_order,
    placed, publish, read_page, read_partition, read_stream, request, send_payment, sync_run, take_step,
};

/// The target of every span of a trace, by which filters let it through or not.
pub const TARGET: &str = "tributary::traces";
