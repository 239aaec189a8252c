//! What mediation costs, beside what else could stand in the path.
//!
//! One run measures, interleaved, the same calls going straight to a server, through nginx, through a minimal path that
//! does nothing but parse, apply one rule and keep two signed durable entries, and through `countersign` with
//! everything on. Client, proxy and server are separate processes on one machine, so only ratios within one run mean
//! anything. Numbers are printed beside the targets, never asserted: a bench that fails a build is a bench that gets
//! deleted.
//!
//! ```text
//! cargo build --profile dist && cargo bench              everything
//! cargo bench -- micro                                   single operations
//! cargo bench -- path --quick                            a minute, for continuous integration
//! ```
//!
//! Without `--bench` (that is how `cargo test --bench path` starts it) nothing is measured: the bench checks itself.

#[path = "path/mod.rs"]
mod path;

use std::process::ExitCode;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match path::run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
