//! Stand-ins of providers: small stateful servers that answer as the real one does, with a ledger
//! of their own that tests and the demo can compare Tributary's answers with.
//!
//! [`kit`] holds what they have in common; a module each holds what makes a provider itself. [`bank`] has no server:
//! it sends files.

pub mod airwallex;
pub mod bank;
pub mod gocardless;
pub mod kit;
pub mod mercury;
pub mod mollie;
pub mod obie;
pub mod paypal;
pub mod paystack;
pub mod revolut;
pub mod square;
pub mod starling;
pub mod stripe;
pub mod wise;
pub mod xendit;

/// The providers on the [`kit`], by [`kit::Fsp::name`].
pub static PROVIDERS: &[&dyn kit::Fsp] = &[
    &airwallex::Airwallex,
    &gocardless::GoCardless,
    &mercury::Mercury,
    &mollie::Mollie,
    &square::Square,
    &paypal::PayPal,
    &paystack::Paystack,
    &revolut::Revolut,
    &obie::Obie,
    &starling::Starling,
    &stripe::Stripe,
    &wise::Wise,
    &xendit::Xendit,
];
