//! The feed: a log per provider and kind, with a clock. Write first, number after commit:
//! [`publisher`] moves committed changes into it, [`page()`] reads it by position, [`polls`] notes who did.

pub mod page;
pub mod polls;
pub mod publisher;

pub use page::{FeedPage, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PageRequest, Reading, page};
pub use polls::{KeyPolls, PollWriter, Polls};
pub use publisher::{PublishedFeeds, Publisher};
