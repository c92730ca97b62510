# The short names of what one does here.

# Everything that must hold, on real systems.
check:
    ./scripts/test

# A small company, played for sixty days, then live.
demo:
    cargo run -- demo

# The real systems for tests: eval "$(just systems)", later `just systems-down`.
systems:
    @tools/systems/install
    @tools/systems/up

systems-down:
    tools/systems/down

# The quick look while one works.
look:
    cargo fmt --check
    cargo clippy --all-targets --quiet -- -D warnings
    cargo test --quiet
