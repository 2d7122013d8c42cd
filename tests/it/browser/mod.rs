//! The console in a real Chromium: every screen as it looks, and a day's work. `make browser` runs these, and installs
//! what they need.

mod day;
mod demo;
mod screens;
mod window;

/// Whoever calls the API beside the page.
fn client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().build().unwrap()
}
