#!/usr/bin/env bash
# Upgrades a cluster with pg_upgrade while events and deliveries wait in it, and then follows the advice of the status.
# What waited has to arrive, and the watches and the sealed secrets have to work as before.
#
#   tests/torture/upgrade.sh FROM TO     two versions, such as 15 17
#
# From the environment: CALL (a statement to run instead of the one that the status names), PATIENCE (60 seconds).
# shellcheck source=../../scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

(($# == 2)) || fail 'usage: upgrade.sh FROM TO'
patience=${PATIENCE:-60}
receiver=$CARGO_TARGET_DIR/release/receiver
work=$stage/upgrade
receiver_pid=

clean_up() {
    if [[ -n $receiver_pid ]]; then
        kill "$receiver_pid" 2>/dev/null || true
        wait "$receiver_pid" 2>/dev/null || true
    fi
    for cluster in "$work"/old "$work"/new; do "$checkout/scripts/cluster" stop "$cluster"; done
    rm -rf "$work"
}
trap clean_up EXIT

# ---- helpers -------------------------------------------------------------------------------------------------------------

sql() { psql -X -q -At -v ON_ERROR_STOP=1 -c "$1"; }

wait_until() {
    local deadline=$((SECONDS + patience))
    until [[ $(sql "$1" 2>/dev/null) == t ]]; do
        ((SECONDS < deadline)) || fail "waited $patience s in vain until: $1"
        sleep 0.1
    done
}

expect() { [[ $2 == "$3" ]] || fail "$1: expected $3, got $2"; }

# The settings of psql for a cluster of this version. Also sets HYDRA_PG_BIN.
use_version() {
    PG_CONFIG=$("$checkout/scripts/postgres" "$1")
    export PG_CONFIG PGRX_PG_CONFIG_PATH=$PG_CONFIG
    find_postgres
    export PATH=$HYDRA_PG_BIN:$PATH
}

start_cluster() {
    eval "$("$checkout/scripts/cluster" start "$work/$1" hydra_webhooks.allow_http=on \
        hydra_webhooks.allow_networks=127.0.0.0/8 "hydra_webhooks.key_file=$work/keys")"
}

control() { as_server_user "$HYDRA_PG_BIN/pg_ctl" "$1" -w -s --pgdata="$work/$2/data" --log="$work/$2/log" >/dev/null; }

subscribe() {
    local path=$1 events=$2 more=$3 answer
    answer=$(sql "SELECT secret FROM hydra.webhook_create('http://127.0.0.1:$port/$path', '{$events}'$more)")
    printf '/%s %s\n' "$path" "$answer" >>"$work/secrets"
}

# ---- the former cluster --------------------------------------------------------------------------------------------------

set_up() {
    export LC_ALL=C
    rm -rf "$work"
    mkdir -p "$work"
    printf '%064d\n' 7 >"$work/keys"
    chmod 600 "$work/keys"
    if am_root; then chown postgres: "$work/keys"; fi
    : >"$work/requests"
    : >"$work/secrets"
    # The first attempts on one path fail; they are tried again after the upgrade.
    "$receiver" --quiet --port-file "$work/port" --secrets "$work/secrets" --log "$work/requests" --fail /retried=3:500 &
    receiver_pid=$!
    until [[ -s $work/port ]]; do sleep 0.1; done
    port=$(<"$work/port")

    start_cluster old
    createdb app
    export PGDATABASE=app
    psql -X -q -v ON_ERROR_STOP=1 >/dev/null <<'SQL'
CREATE EXTENSION hydra_webhooks;
CREATE TABLE ticket (id int PRIMARY KEY, tenant_id text, state text);
SELECT hydra.webhook_watch('ticket', 'ticket.created', 'insert', 'new.state <> ''draft''', level => 'statement');
SELECT hydra.webhook_watch('ticket', 'ticket.resolved', 'update', 'old.state <> ''resolved''', columns => '{state}',
    entity => 'jsonb_build_object(''id'', new.id, ''from'', old.state)');
SQL
    subscribe sent ticket.created ''
    subscribe retried ticket.resolved ", retry_schedule => '{1 h,1 h}'"
    expect 'sealed secrets' "$(sql "SELECT bool_and(secret ^@ 'sealed:') FROM hydra.signing_secret")" t
}

# Tickets 1 to 20 arrive, three retries and tickets 21 to 60 wait.
fill_queue() {
    sql "INSERT INTO ticket SELECT id, 'a', 'open' FROM generate_series(1, 20) AS id"
    wait_until 'SELECT count(*) = 0 FROM hydra.webhook_pending'
    sql "UPDATE ticket SET state = 'resolved' WHERE id <= 3"
    wait_until 'SELECT count(*) = 3 FROM hydra.delivery WHERE claimed_by IS NULL AND attempts = 1'
    sql "ALTER SYSTEM SET hydra_webhooks.enabled = off"
    sql "SELECT pg_reload_conf()" >/dev/null
    wait_until "SELECT state = 'off' FROM hydra.webhook_worker_status"
    sql "INSERT INTO ticket SELECT id, 'a', CASE WHEN id <= 60 THEN 'open' ELSE 'draft' END FROM generate_series(21, 70) AS id"
    expect 'what waits' "$(sql 'SELECT count(*) FROM hydra.webhook_pending')" 43
    sql "$waiting" >"$work/waiting"
    sql "$kept" >"$work/kept"
}

waiting='SELECT delivery_id FROM hydra.webhook_pending ORDER BY 1'
kept="SELECT 'watch', source, event, operation, condition, entity, columns::text, problem FROM hydra.webhook_watches
      UNION ALL SELECT 'attempt', NULL, delivery_id::text, attempt::text, error, NULL, NULL, NULL FROM hydra.webhook_history
      UNION ALL SELECT 'subscription', NULL, id::text, url, secret_prefix, status, NULL, NULL FROM hydra.webhook_subscriptions
      ORDER BY 1, 2, 3, 4"

# Some minor versions of Debian note in the options of each column by which version it was made. Other builds do not know
# that option, and refuse to create a table with it, whether or not this extension exists.
remove_foreign_options() {
    local database
    for database in app postgres template1; do
        PGDATABASE=$database sql "UPDATE pg_attribute SET attoptions = NULL WHERE attoptions::text ~ 'pg_attver'"
    done
}

# ---- the upgrade ---------------------------------------------------------------------------------------------------------

upgrade() {
    local old_programs=$HYDRA_PG_BIN
    remove_foreign_options
    control stop old
    # By default only PostgreSQL 18 has checksums, and both clusters must have them.
    as_server_user "$HYDRA_PG_BIN/pg_checksums" --enable --pgdata="$work/old/data" >/dev/null 2>&1
    use_version "$1"
    start_cluster new
    control stop new
    as_server_user "$HYDRA_PG_BIN/pg_checksums" --enable --pgdata="$work/new/data" >/dev/null 2>&1 || true
    say "pg_upgrade"
    as_server_user env --chdir="$work/new" "$HYDRA_PG_BIN/pg_upgrade" --username=postgres --socketdir="$work/new" \
        --old-bindir="$old_programs" --old-datadir="$work/old/data" \
        --new-bindir="$HYDRA_PG_BIN" --new-datadir="$work/new/data" >"$work/log" || {
        cat "$work/log" >&2
        fail 'pg_upgrade fails'
    }
    control start new
}

# Runs the call that the status names, and nothing else.
follow_advice() {
    local detail call
    wait_until "SELECT state IN ('parked', 'running') FROM hydra.webhook_worker_status"
    detail=$(sql 'SELECT detail FROM hydra.webhook_worker_status')
    call=$(grep -oE 'SELECT hydra\.webhook_[a-z]+\([^)]*\)' <<<"$detail" | head -n 1)
    say "the status says: $detail"
    sql "${CALL:-$call}"
    wait_until "SELECT state = 'running' FROM hydra.webhook_worker_status"
}

# Everything that waited arrives, under the ids that it had, and so does what is written now.
judge() {
    sql "$kept" | cmp "$work/kept" || fail 'watches, history or subscriptions have changed'
    sql "INSERT INTO ticket SELECT id, 'a', 'open' FROM generate_series(71, 80) AS id"
    sql 'SELECT hydra.webhook_retry(id) FROM hydra.delivery' >/dev/null
    wait_until 'SELECT count(*) = 0 FROM hydra.webhook_pending'
    expect 'tickets that arrived' "$(awk '$2 == "/sent" { print $5 }' "$work/requests" | sort -nu | tr '\n' ' ')" \
        "$(printf '%d ' {1..60} {71..80})"
    expect 'attempts of retries' "$(awk '$2 == "/retried" { print $5, $8 }' "$work/requests" | sort | tr '\n' ' ')" \
        '1 200 1 500 2 200 2 500 3 200 3 500 '
    expect 'ids that are no longer the same' "$(awk '{ print $3 }' "$work/requests" | sort -u | comm -13 - "$work/waiting" | wc -l)" 0
    expect 'signatures that do not fit' "$(awk '$7 != "verified"' "$work/requests")" ''
}

for version in "$@"; do
    use_version "$version"
    "$checkout/scripts/build" >/dev/null
done
use_version "$1"
say "from PostgreSQL $1 to $2"
set_up
fill_queue
upgrade "$2"
follow_advice
judge
say 'all that waited has arrived'
