#!/usr/bin/env bash
# pgbench's own TPC-B, each transaction emitting an event, while the dispatcher is left alone or ended again and again.
# Afterwards what arrived is compared with what committed.
#
#   tests/torture/pgbench.sh [plain|terminate|kill9]...
#
#   plain      nothing happens to the dispatcher
#   terminate  pg_terminate_backend of the dispatcher every 5 s
#   kill9      kill -9 of the dispatcher every 10 s; Postgres ends all sessions and recovers, pgbench is started again
#
# From the environment: DURATION (60 seconds per mode), CLIENTS (8), SCALE (10), PATIENCE (300 seconds for the rest to be
# delivered), KEEP (if set, the files of each mode stay).
#
# How it is known what committed: a BEFORE trigger numbers each change of an account, puts the number into the row and
# into a table `truth`, all in the transaction of pgbench. The number is the event's entity id, so the receiver's log
# has it. It exits with 1 if an event was lost, invented, changed between two attempts, or wrongly signed.
# shellcheck source=../../scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

duration=${DURATION:-60}
clients=${CLIENTS:-8}
scale=${SCALE:-10}
patience=${PATIENCE:-300}

find_postgres
export PATH=$HYDRA_PG_BIN:$PATH PGDATABASE=pgbench
receiver=$CARGO_TARGET_DIR/release/receiver
[[ -x $HYDRA_PG_BIN/postgres && -x $receiver ]] || fail "build first: scripts/build"

work=$stage/torture
receiver_pid=
breaker_pid=

# Ends a process of ours and collects it, so that bash does not report its end.
end_process() {
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

clean_up() {
    if [[ -n $breaker_pid ]]; then end_process "$breaker_pid"; fi
    if [[ -n $receiver_pid ]]; then end_process "$receiver_pid"; fi
    receiver_pid='' breaker_pid=''
    if [[ -z ${KEEP:-} ]]; then
        "$checkout/scripts/cluster" stop "$work/cluster"
        rm -rf "$work"
    fi
}
trap clean_up EXIT

# The server may be starting over; a question then goes unanswered, and is asked again by whoever waits.
value() { psql -X -q -At -v ON_ERROR_STOP=1 -c "$1" 2>/dev/null; }

wait_until() {
    local seconds=$1 deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || {
            printf 'waited %s s in vain for: %s\n' "$seconds" "$*" >&2
            return 1
        }
        sleep 0.1
    done
}

# shellcheck disable=SC2317 # called by wait_until
is_up() { [[ $(value 'SELECT 1') == 1 ]]; }
# shellcheck disable=SC2317 # called by wait_until
nothing_is_pending() { [[ $(value 'SELECT EXISTS (SELECT FROM hydra.webhook_pending)') == f ]]; }

dispatcher() {
    value "SELECT pid FROM pg_stat_activity
           WHERE backend_type = 'hydra_webhooks dispatcher' AND datname = current_database()"
}

# Ends the dispatcher at an even pace until it is ended itself; a line per act goes to the file `acts`.
break_dispatcher() {
    local mode=$1 interval=5 pid
    if [[ $mode == kill9 ]]; then interval=10; fi
    while sleep "$interval"; do
        # None may run at this moment, since the last act is not long ago.
        pid=$(dispatcher) || continue
        if [[ -z $pid ]]; then continue; fi
        case $mode in
            terminate) value "SELECT pg_terminate_backend($pid)" >/dev/null || continue ;;
            kill9) kill -9 "$pid" 2>/dev/null || continue ;;
        esac
        echo "$pid" >>"$work/acts"
    done
}

set_up() {
    local port answer secret
    rm -rf "$work"
    mkdir -p "$work"
    : >"$work/acts"
    : >"$work/requests"
    : >"$work/secrets"
    eval "$("$checkout/scripts/cluster" start "$work/cluster" \
        hydra_webhooks.allow_http=on hydra_webhooks.allow_networks=127.0.0.0/8 \
        max_wal_size=4GB max_connections=100)"
    createdb "$PGDATABASE"
    pgbench --initialize --quiet --scale="$scale" >"$work/pgbench.log" 2>&1

    "$receiver" --quiet --port-file "$work/port" --secrets "$work/secrets" --log "$work/requests" &
    receiver_pid=$!
    wait_until 10 test -s "$work/port"
    port=$(<"$work/port")

    psql -X -q -v ON_ERROR_STOP=1 >"$work/setup.log" <<'SQL'
CREATE EXTENSION hydra_webhooks;

CREATE TABLE truth (change_id bigint PRIMARY KEY);
CREATE SEQUENCE change;
ALTER TABLE pgbench_accounts ADD COLUMN change_id bigint;

CREATE FUNCTION number_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.change_id := nextval('change');
    INSERT INTO truth VALUES (NEW.change_id);
    RETURN NEW;
END $$;
CREATE TRIGGER number_change BEFORE UPDATE ON pgbench_accounts FOR EACH ROW EXECUTE FUNCTION number_change();

-- The number of the change, and not of the account, so that each event of the log can be told from all others.
SELECT hydra.webhook_register_event_type(name => 'pgbench.account_updated', description => 'A balance has changed',
    entity_type => 'account', id_key => 'change_id');
CREATE TRIGGER emit AFTER UPDATE ON pgbench_accounts
    FOR EACH ROW EXECUTE FUNCTION hydra.webhook_emit_row('pgbench.account_updated');
SQL
    answer=$(psql -X -q -At -F ' ' -v ON_ERROR_STOP=1 -c \
        "SELECT * FROM hydra.webhook_create('http://127.0.0.1:$port/pgbench', '{pgbench.account_updated}')")
    secret=${answer#* }
    printf '/pgbench %s\n' "$secret" >"$work/secrets"
}

# Until the time is up, however often the server goes away.
run_pgbench() {
    local end=$((SECONDS + duration)) left
    while left=$((end - SECONDS)) && ((left > 0)); do
        pgbench --no-vacuum --client="$clients" --jobs=2 --time="$left" >>"$work/pgbench.log" 2>&1 || true
        wait_until 60 is_up || fail 'the server does not come back'
    done
}

# Compares, prints the line of figures, and says by its status whether all is well.
judge() {
    local mode=$1 drain=$2 committed received distinct lost invented altered unverified duplicates verdict=ok
    export LC_ALL=C
    psql -X -q -At -v ON_ERROR_STOP=1 -c 'SELECT change_id FROM truth' | sort >"$work/truth"
    # The fields of the log: time, path, delivery, event, entity id, SHA-256 of the body, verdict, status.
    awk '{ print $5 }' "$work/requests" | sort -u >"$work/received"
    committed=$(wc -l <"$work/truth")
    received=$(wc -l <"$work/requests")
    distinct=$(wc -l <"$work/received")
    lost=$(comm -23 "$work/truth" "$work/received" | wc -l)
    invented=$(comm -13 "$work/truth" "$work/received" | wc -l)
    # One event is one delivery with one body, however often it comes.
    altered=$(($(awk '{ print $3, $5, $6 }' "$work/requests" | sort -u | wc -l) - distinct))
    unverified=$(awk '$7 != "verified"' "$work/requests" | wc -l)
    duplicates=$((received - distinct))
    if ((lost + invented + altered + unverified > 0 || committed == 0)); then verdict=FAILED; fi
    printf '%-9s %s: %d s, %d clients, %d commits/s; committed %d, received %d, distinct %d, ' \
        "$mode" "$verdict" "$duration" "$clients" $((committed / duration)) "$committed" "$received" "$distinct"
    printf 'lost %d, invented %d, altered %d, unverified %d, duplicates %d; dispatcher ended %d times, drained in %s s\n' \
        "$lost" "$invented" "$altered" "$unverified" "$duplicates" "$(wc -l <"$work/acts")" "$drain"
    [[ $verdict == ok ]]
}

run_mode() {
    local mode=$1 start
    say "pgbench, $mode: $duration s"
    set_up
    if [[ $mode != plain ]]; then
        break_dispatcher "$mode" &
        breaker_pid=$!
    fi
    run_pgbench
    if [[ -n $breaker_pid ]]; then
        end_process "$breaker_pid"
        breaker_pid=''
    fi
    start=$SECONDS
    # If it does not come to an end, what is missing shows in the figures.
    wait_until "$patience" nothing_is_pending || true
    judge "$mode" $((SECONDS - start))
}

modes=("$@")
((${#modes[@]})) || modes=(plain)
status=0
for mode in "${modes[@]}"; do
    case $mode in
        plain | terminate | kill9) ;;
        *) fail "there is no mode $mode; there are plain, terminate and kill9" ;;
    esac
    run_mode "$mode" || status=1
    if [[ -n ${KEEP:-} ]]; then
        "$checkout/scripts/cluster" stop "$work/cluster"
        rm -rf "$work.$mode"
        cp -r "$work" "$work.$mode"
    fi
    KEEP='' clean_up
done
exit "$status"
