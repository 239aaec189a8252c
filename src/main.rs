//! The `countersign` command.

/// Calls and events are allocated on one thread and freed on another, hundreds of times each.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    countersign::cli::main()
}
