//! One integration binary: the real stack, a scripted server behind it, and an audit of the whole log at the end of
//! every test.
#![expect(clippy::tests_outside_test_module, reason = "this whole crate is tests")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests say so by failing"
)]

mod aarm_r1;
mod aarm_r2;
mod aarm_r2_kept;
mod aarm_r4;
mod aarm_r5;
mod aarm_r7;
mod architecture;
mod attacks;
mod audit;
mod batches;
mod config;
mod console;
mod console_oidc;
mod console_scale;
mod demo;
mod examples;
mod export;
mod faults;
mod hang_up;
mod harness;
mod identity;
mod instance;
mod kills;
mod kinds;
mod log_faults;
mod path;
mod pins;
mod policy_commands;
mod policy_signed;
mod receipts;
mod redirects;
mod reload;
mod requirements;
mod results;
mod rounds;
mod scripted;
mod search;
mod secrets;
mod stdio;
mod telemetry;
