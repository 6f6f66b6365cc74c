//! Start and exit code; nothing else.

fn main() -> std::process::ExitCode {
    keyform::cli::main()
}
