# The verbs of a contributor; each is a line of cargo. `just --list` names them.

# Start everything, walk the main story once, stay up
up *arguments:
    cargo dev up {{ arguments }}

# Stop a running `up`; `just down --purge` removes its data too
down *arguments:
    cargo dev down {{ arguments }}

# Walk the main story once more beside a running `up`, as a new customer
story:
    cargo dev story

# What runs, and where
status:
    cargo dev status

# The log of a program
logs *arguments:
    cargo dev logs {{ arguments }}

# Every test of the workspace
test *arguments:
    cargo dev test {{ arguments }}

# Apps on a real node: bought, used, killed, suspended, restored (docs/REAL-NODE.md); as root, the first time with half an hour of builds
real *arguments:
    NAKHODA_REAL=1 cargo dev test --test real {{ arguments }} -- --nocapture

# The operator with 1,000 instances of 100 tenants, beside what the same API server does without it (docs/BENCHMARKS.md)
bench *arguments:
    cargo dev bench {{ arguments }}

# What a flood of logins does to everybody else (docs/BENCHMARKS.md)
bench-logins *arguments:
    cargo dev bench-logins {{ arguments }}

# Debits of wallets and the verification of large books, beside what PostgreSQL takes for the same (docs/PERFORMANCE.md)
bench-wallet *arguments:
    cargo dev bench-wallet {{ arguments }}

# Background work: how fast 100,000 pending jobs are done, and how soon a single one is begun (docs/PERFORMANCE.md)
bench-jobs *arguments:
    cargo dev bench-jobs {{ arguments }}

# Pictures of every mail and of the API's page, in target/pictures
pictures *arguments:
    cargo dev with-api e2e/pictures/run {{ arguments }}

# The API's document by tools that others wrote: linted, compiled into a client, fuzzed (docs/CONTRACT.md); --seconds 300 is the full form
contract *arguments:
    e2e/contract/prove {{ arguments }}

# What CI runs
ci:
    .ci/run

# Write charts/nakhoda-crds anew from the Rust types
crdgen:
    cargo crdgen

# Formatting and lints, as CI sees them
lint:
    cargo fmt --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# The proofs in full: every crash and error case of the end-to-end tests, with what they count
prove *arguments:
    NAKHODA_PROVE=1 cargo dev test --test '*' {{ arguments }} -- --nocapture
