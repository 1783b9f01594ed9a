# Sourced by the other scripts: paths, and functions for messages.
#
# From the environment, all optional:
#   PG_CONFIG         the pg_config of the Postgres to build for (Debian's PostgreSQL 15 by default)
#   CARGO_TARGET_DIR  where cargo builds (target/ by default)
#   TMPDIR            where the private Postgres is staged (/tmp by default)
#   HYDRA_FAULTS      if set, builds, stages and tests the build that fails on request (feature `faults`)
# shellcheck shell=bash
set -euo pipefail

# The user postgres has to be able to read the staged files, whatever the umask of the caller is.
umask 022

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

cargo_pgrx_version=0.18.1
cargo_pgrx_home=${CARGO_HOME:-$HOME/.cargo}/opt/cargo-pgrx-$cargo_pgrx_version

# The versions of Postgres that the extension is for.
# shellcheck disable=SC2034 # used by the scripts that source this one
pg_versions=(15 16 17 18)
default_pg_major=15
default_pg_config=/usr/lib/postgresql/$default_pg_major/bin/pg_config
# Not the pg_config in PATH, which may belong to the client library only.
export PG_CONFIG=${PG_CONFIG:-$default_pg_config}

# With these set, cargo-pgrx needs no `cargo pgrx init` and no directory in the home directory. Every cargo command has to
# see the same values, or it compiles the bindings again.
export PGRX_PG_CONFIG_PATH=$PG_CONFIG
# Otherwise cargo-pgrx passes a linker flag to cargo for everything that it builds, and `cargo test` could use none of it.
# build.rs sets that flag for the library of the extension only.
export CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND=1
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$checkout/target}

# Progress goes to standard error: standard output is for results.
say() { printf '==> %s\n' "$*" >&2; }
fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

am_root() { [[ $(id -u) == 0 ]]; }

# Runs a command as the user of our Postgres servers. Under root that is postgres, because Postgres refuses to run as root.
as_server_user() {
    if am_root; then
        # Not `su`, which would start a login shell. In /, because that user may have no access to the current directory.
        (cd / && exec runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

# One directory for each user and checkout, with all that the user postgres has to read; it cannot read /root, for example.
stage_directory() {
    local key base=${TMPDIR:-/tmp}
    key=$(printf '%s' "$checkout" | cksum | cut -d' ' -f1)
    if am_root && id postgres >/dev/null 2>&1 && ! as_server_user test -x "$base"; then
        base=/tmp
    fi
    printf '%s/hydra-webhooks.%s.%s' "${base%/}" "$(id -un)" "$key"
}
stage=$(stage_directory)${HYDRA_FAULTS:+.faults}

# The Python with the packages of the verifiers (tests/verifiers), and the directory of their npm packages.
export HYDRA_PYTHON=$stage/venv/bin/python
export HYDRA_NODE_MODULES=$stage/npm/node_modules
# The same for clients of MCP (tests/mcp/clients): of two major versions of one Python package, and of npm.
export HYDRA_MCP_CLIENTS=$stage/mcp-clients

make_stage_directory() {
    mkdir -p "$stage"
    # Its name can be guessed and everybody can write to /tmp: files that another user created there must not be run.
    [[ -O $stage && ! -L $stage ]] || fail "$stage belongs to another user; set TMPDIR to another directory"
}

# Sets pg_major, pg_prefix, pg_stage, HYDRA_PG_BIN and cargo_features from pg_config.
find_postgres() {
    [[ -x $PG_CONFIG ]] || fail "$PG_CONFIG does not exist: run \`make prepare\`, or set PG_CONFIG"
    local version bin
    version=$("$PG_CONFIG" --version)
    [[ $version =~ ([0-9]+) ]] || fail "cannot read the version in: $version"
    pg_major=${BASH_REMATCH[1]}
    bin=$("$PG_CONFIG" --bindir)
    pg_lib=$("$PG_CONFIG" --pkglibdir)
    pg_share=$("$PG_CONFIG" --sharedir)
    # Postgres finds its other directories relative to that of its program, as they were when it was built. So the copy keeps
    # the layout below the directory that all three have in common (/usr on Debian).
    pg_prefix=$bin
    while [[ $pg_lib/ != "$pg_prefix"/* || $pg_share/ != "$pg_prefix"/* ]]; do
        pg_prefix=${pg_prefix%/*}
    done
    pg_stage=$stage/pg$pg_major
    export HYDRA_PG_BIN=$pg_stage${bin#"$pg_prefix"}
    # shellcheck disable=SC2034 # used by the scripts that source this one
    cargo_features=(--no-default-features --features "pg$pg_major${HYDRA_FAULTS:+,faults}")
}

# Our cargo-pgrx comes first, because PATH may have another version for another project.
[[ -d $cargo_pgrx_home/bin ]] && export PATH=$cargo_pgrx_home/bin:$PATH

have_cargo_pgrx() { [[ $(cargo-pgrx pgrx --version 2>/dev/null) == "cargo-pgrx $cargo_pgrx_version" ]]; }
