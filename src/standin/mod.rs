//! Stand-ins of providers: small stateful servers that answer as a real FSP does, with a ledger
//! of their own that tests and the demo can compare Tributary's answers with.

pub mod starling;
