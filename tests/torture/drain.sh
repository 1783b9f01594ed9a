#!/usr/bin/env bash
# How fast queued events drain to one receiver, beside the same sender without a database.
#
#   tests/torture/drain.sh
#
# The dispatcher gets a third more threads, since it keeps a quarter of them for other subscriptions than a busy one.
#
# From the environment: EVENTS (100000), ROUNDS (5), THREADS (64), PATIENCE (120 seconds per round). The two take turns,
# against the same receiver, which verifies nothing and records nothing; the medians and their ratio come last.
# shellcheck source=../../scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

events=${EVENTS:-100000}
rounds=${ROUNDS:-5}
threads=${THREADS:-64}
patience=${PATIENCE:-120}

find_postgres
export PATH=$HYDRA_PG_BIN:$PATH PGDATABASE=drain
receiver=$CARGO_TARGET_DIR/release/examples/receiver
sender=$CARGO_TARGET_DIR/release/examples/sender_only
[[ -x $HYDRA_PG_BIN/postgres && -x $receiver && -x $sender ]] || fail "build first: scripts/build"

work=$stage/drain
receiver_pid=

clean_up() {
    if [[ -n $receiver_pid ]]; then
        kill "$receiver_pid" 2>/dev/null || true
        wait "$receiver_pid" 2>/dev/null || true
    fi
    "$checkout/scripts/cluster" stop "$work/cluster"
    rm -rf "$work"
}
trap clean_up EXIT

sql() { psql -X -q -At -v ON_ERROR_STOP=1 "$@"; }

rm -rf "$work"
mkdir -p "$work"
eval "$("$checkout/scripts/cluster" start "$work/cluster" \
    hydra_webhooks.allow_http=on hydra_webhooks.allow_networks=127.0.0.0/8 \
    hydra_webhooks.sender_threads=$((threads * 4 / 3 + 1)) hydra_webhooks.enabled=off max_wal_size=4GB)"
createdb "$PGDATABASE"
"$receiver" --quiet --port-file "$work/port" &
receiver_pid=$!
until [[ -s $work/port ]]; do sleep 0.05; done
url=http://127.0.0.1:$(<"$work/port")/drain
sql -c 'CREATE EXTENSION hydra_webhooks' \
    -c "SELECT id FROM hydra.webhook_create('$url', '{ticket.created}', max_in_flight => $threads)" >/dev/null

# Events of about the same size on the wire as the sender's own bodies.
queue_events() {
    sql -c "SELECT count(hydra.webhook_emit('ticket.created',
                jsonb_build_object('id', n, 'subject', repeat('x', 130)))) FROM generate_series(1, $events) AS n" \
        -c 'VACUUM ANALYZE hydra.event' -c CHECKPOINT >/dev/null
}

switch() { sql -c "ALTER SYSTEM SET hydra_webhooks.enabled = $1" -c 'SELECT pg_reload_conf()' >/dev/null; }

# Milliseconds from the switch to the last event's end.
drain() {
    local start
    start=$(date +%s%3N)
    switch on
    until [[ $(sql -c 'SELECT EXISTS (SELECT FROM hydra.event)') == f ]]; do
        (($(date +%s%3N) - start < patience * 1000)) || fail "not drained after $patience s"
        sleep 0.02
    done
    echo $(($(date +%s%3N) - start))
    switch off
}

median() { sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }

for ((round = 1; round <= rounds; round++)); do
    queue_events
    with=$((events * 1000 / $(drain)))
    without=$("$sender" --url "$url" --requests "$events" --threads "$threads" --in-flight $((2 * threads)) \
        --body-bytes 300 | grep -oE '[0-9]+/s' | cut -d/ -f1)
    echo "$with" >>"$work/with"
    echo "$without" >>"$work/without"
    printf 'round %d: queue drained at %d/s, sender without a database %d/s\n' "$round" "$with" "$without"
done
with=$(median <"$work/with")
without=$(median <"$work/without")
failed=$(sql -c 'SELECT count(*) FROM hydra.attempt')
printf 'median of %d: %d/s against %d/s, ratio %s; failed attempts %d\n' \
    "$rounds" "$with" "$without" "$(awk "BEGIN { printf \"%.2f\", $with / $without }")" "$failed"
