# Sourced by the scripts beside it: where things are, and how to say what happens.
#
# From the environment, all optional:
#   PG_CONFIG         the pg_config of the Postgres to build for (Debian's PostgreSQL 15 by default)
#   CARGO_TARGET_DIR  where cargo builds (target/ by default)
#   TMPDIR            where the private Postgres is staged (/tmp by default)
#   HYDRA_FAULTS      if set, builds, stages and tests what breaks down on request: see crates/fault
# shellcheck shell=bash
set -euo pipefail

# What is staged has to be readable by the user postgres, whatever the caller's habit is.
umask 022

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

cargo_pgrx_version=0.18.1
cargo_pgrx_home=${CARGO_HOME:-$HOME/.cargo}/opt/cargo-pgrx-$cargo_pgrx_version

default_pg_major=15
default_pg_config=/usr/lib/postgresql/$default_pg_major/bin/pg_config
# No look into the path: a pg_config found there may belong to the client library alone.
export PG_CONFIG=${PG_CONFIG:-$default_pg_config}

# With these set, cargo-pgrx needs no `cargo pgrx init`, and no folder of its own in the home directory. Every cargo
# command has to see the same values, or it compiles the bindings anew.
export PGRX_PG_CONFIG_PATH=$PG_CONFIG
# cargo-pgrx would otherwise hand cargo a linker flag for all that it builds, so that nothing could be shared with
# `cargo test`. build.rs sets that flag for the extension's library alone.
export CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND=1
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$checkout/target}

# Progress goes to standard error: standard output is for results.
say() { printf '==> %s\n' "$*" >&2; }
fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

am_root() { [[ $(id -u) == 0 ]]; }

# Runs a command as the user that Postgres servers of ours run as: postgres under root, since Postgres refuses root.
as_server_user() {
    if am_root; then
        # Not `su`, which would start a login shell. The current directory may be closed to that user.
        (cd / && exec runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

# A directory per user and checkout, for all that the user postgres has to read; /root, say, is closed to it.
stage_directory() {
    local key base=${TMPDIR:-/tmp}
    key=$(printf '%s' "$checkout" | cksum | cut -d' ' -f1)
    if am_root && id postgres >/dev/null 2>&1 && ! as_server_user test -x "$base"; then
        base=/tmp
    fi
    printf '%s/hydra-webhooks.%s.%s' "${base%/}" "$(id -un)" "$key"
}
stage=$(stage_directory)${HYDRA_FAULTS:+.faults}

# The Python with the verifiers' packages (tests/verifiers), and the folder of those from npm.
export HYDRA_PYTHON=$stage/venv/bin/python
export HYDRA_NODE_MODULES=$stage/npm/node_modules

make_stage_directory() {
    mkdir -p "$stage"
    # Its name can be guessed and /tmp is everybody's: what another user made there is not to be run.
    [[ -O $stage && ! -L $stage ]] || fail "$stage belongs to somebody else; set TMPDIR to another place"
}

# Sets pg_major, pg_prefix, pg_stage, HYDRA_PG_BIN and cargo_features from pg_config.
find_postgres() {
    [[ -x $PG_CONFIG ]] || fail "there is no $PG_CONFIG: run \`make prepare\`, or set PG_CONFIG"
    local version bin
    version=$("$PG_CONFIG" --version)
    [[ $version =~ ([0-9]+) ]] || fail "cannot make out the version of $version"
    pg_major=${BASH_REMATCH[1]}
    bin=$("$PG_CONFIG" --bindir)
    pg_lib=$("$PG_CONFIG" --pkglibdir)
    pg_share=$("$PG_CONFIG" --sharedir)
    # Postgres finds its other folders from that of its program, as they lie to each other at the time of its build.
    # So the copy keeps the layout below what all three have in common (/usr on Debian).
    pg_prefix=$bin
    while [[ $pg_lib/ != "$pg_prefix"/* || $pg_share/ != "$pg_prefix"/* ]]; do
        pg_prefix=${pg_prefix%/*}
    done
    pg_stage=$stage/pg$pg_major
    export HYDRA_PG_BIN=$pg_stage${bin#"$pg_prefix"}
    # shellcheck disable=SC2034 # used by those who source this
    cargo_features=(--no-default-features --features "pg$pg_major${HYDRA_FAULTS:+,faults}")
}

# Our own cargo-pgrx goes first, as another project on this machine may have another version in the path.
[[ -d $cargo_pgrx_home/bin ]] && export PATH=$cargo_pgrx_home/bin:$PATH

have_cargo_pgrx() { [[ $(cargo-pgrx pgrx --version 2>/dev/null) == "cargo-pgrx $cargo_pgrx_version" ]]; }
