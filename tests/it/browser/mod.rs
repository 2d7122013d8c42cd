//! The console in a real Chromium: every screen as it looks, and a day's work. `make browser` runs these, and installs
//! what they need.

mod day;
mod demo;
mod screens;
mod sign_on;
mod window;

/// Approves the order `invoice-17`, at the page.
async fn approve(window: &window::Window) {
    window.go("/console/payments").await;
    window.follow("invoice-17").await;
    window.press("Approve").await;
    window.until("This cannot be undone.").await;
    window.photograph("to-approve").await;
    window.press("Approve").await;
    window.until("You have approved it.").await;
}

/// Whoever calls the API beside the page.
pub fn client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().build().unwrap()
}
