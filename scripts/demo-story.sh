#!/usr/bin/env bash
# The story that `make demo` tells: two subscriptions, an afternoon of helpdesk work, and what arrived of it.
#
# Needs a running throw-away cluster that has the extension preloaded, with hydra_webhooks.allow_http = on and
# hydra_webhooks.allow_networks = '127.0.0.0/8', and in the environment:
#   PGHOST PGPORT PGUSER PGDATABASE   how to reach it; a superuser, because the story makes a role
#   RECEIVER                          path of the receiver's binary
#   DEMO_DIR                          where the receiver's files go; the socket's directory if not given
# To be run, not sourced: its names are its own. Leaves the receiver running, so that one can go on exploring; whoever
# removes the cluster first ends the process in DEMO_DIR/receiver.pid.
# Exits non-zero if what arrived is not what afternoon.sql announced.
# shellcheck disable=SC2016  # single quotes hold programs for awk
set -euo pipefail

: "${PGHOST:?}" "${PGPORT:?}" "${PGUSER:?}" "${PGDATABASE:?}" "${RECEIVER:?}"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${DEMO_DIR:-$PGHOST}
log=$dir/receiver.log
record=$dir/receiver.requests
secrets=$dir/receiver.secrets
port_file=$dir/receiver.port
pid_file=$dir/receiver.pid
played=$dir/afternoon.out
patience=60 # seconds that any one condition may take

if [[ -t 1 ]]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi

heading() { printf '\n%s%s%s\n\n' "$bold" "$1" "$plain"; }
say() { printf '%s\n' "$@"; }
fail() { printf '\ndemo: %s\n' "$@" >&2; exit 1; }

# Shows a statement, then its result.
show() {
    printf '%s%s%s\n' "$dim" "$1" "$plain"
    psql -X -q -v ON_ERROR_STOP=1 -P pager=off -P footer=off -P null=- -c "$1"
}
# The bare result, for the script itself.
value() { psql -X -q -v ON_ERROR_STOP=1 -At -F ' ' -c "$1"; }

# Asks again until the command succeeds; gives up after $patience seconds. The pause only keeps it from spinning.
wait_until() {
    local what=$1 deadline=$((SECONDS + patience))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || fail "waited $patience s in vain: $what"
        sleep 0.1
    done
}
worker_runs() { [[ $(value "SELECT state FROM hydra.webhook_worker_status") == running ]]; }
receiver_listens() {
    [[ -s $port_file ]] && return
    kill -0 "$receiver_pid" 2>/dev/null || fail "the receiver ended: $(cat "$log")"
    return 1
}
nothing_pending() { [[ $(value 'SELECT count(*) FROM hydra.webhook_pending') == 0 ]]; }

# Makes a subscription. Its answer holds the secret, this once: it goes to the receiver's file, and a head of it is shown.
subscribe() {
    local path=$1 statement=$2 answer id secret
    printf '%s%s%s\n' "$dim" "$statement" "$plain"
    answer=$(value "$statement")
    read -r id secret <<<"$answer"
    printf '%s %s\n' "$path" "$secret" >>"$secrets"
    printf ' id %s, secret %s… (%s characters, returned this once)\n\n' "$id" "${secret:0:12}" "${#secret}"
    subscription_id=$id
}

# ----------------------------------------------------------------------------------------------------------------------
heading '1. The extension, and a helpdesk'

if [[ $(value "SELECT to_regnamespace('helpdesk') IS NOT NULL") == t ]]; then
    fail 'this database has a helpdesk already; `make demo-stop`, then start again'
fi
show 'CREATE EXTENSION IF NOT EXISTS hydra_webhooks;'
wait_until 'the worker is running' worker_runs
show 'SELECT state, detail FROM hydra.webhook_worker_status;'
printf '%s\\i examples/helpdesk.sql%s\n' "$dim" "$plain"
psql -X -q -o /dev/null -v ON_ERROR_STOP=1 -f "$root/examples/helpdesk.sql"
show 'SELECT event, operation, condition FROM hydra.webhook_watches ORDER BY source, trigger_name;'
say 'Eleven events of the page; being assigned is watched for new rows and for old, of conversations and of tickets.'

# ----------------------------------------------------------------------------------------------------------------------
heading '2. A receiver, and two subscriptions'

rm -f "$port_file"
(umask 077 && : >"$secrets")
: >"$log"
: >"$record"
# On its own, so that it outlives this script and an interrupt at the keyboard.
nohup "$RECEIVER" --listen 127.0.0.1:0 --port-file "$port_file" --secrets "$secrets" --log "$record" \
    --fail /flaky=3:503 >"$log" 2>&1 </dev/null &
receiver_pid=$!
disown
printf '%s\n' "$receiver_pid" >"$pid_file"
wait_until 'the receiver listens' receiver_listens
base=http://127.0.0.1:$(<"$port_file")
say "It listens on $base, checks every signature, and answers the first three requests on /flaky with 503." ''

subscribe /desk "SELECT * FROM hydra.webhook_create('$base/desk',
    '{customer.created,
      account.created,account.stage_changed,account.went_at_risk,
      conversation.created,conversation.resolved,conversation.assigned,
      ticket.created,ticket.assigned,ticket.resolved,ticket.status_changed}',
    name => 'everything');"
desk=$subscription_id
subscribe /flaky "SELECT * FROM hydra.webhook_create('$base/flaky',
    '{ticket.resolved,conversation.resolved}',
    name => 'flaky', retry_schedule => '{1s,2s,3s}');"
flaky=$subscription_id

show "SELECT id, name, status, secret_prefix, cardinality(event_types) AS events, retry_schedule
FROM hydra.webhook_subscriptions ORDER BY id;"
say 'Nobody can read a secret again: the list has its first twelve characters. The receiver verifies with the rest.'

# ----------------------------------------------------------------------------------------------------------------------
heading '3. A test'

show "SELECT status_code, response_ms, error FROM hydra.webhook_send_test($desk);"
say 'Signed with the real secret, answered inline, kept nowhere.'

# ----------------------------------------------------------------------------------------------------------------------
heading '4. An afternoon of helpdesk work'

psql -X -f "$root/examples/afternoon.sql" | tee "$played"

# ----------------------------------------------------------------------------------------------------------------------
heading '5. What is still on its way'

show "SELECT s.name AS subscription, p.event, p.attempts
FROM hydra.webhook_pending AS p JOIN hydra.webhook_subscriptions AS s ON s.id = p.subscription_id
ORDER BY p.event_id, s.id;"
say 'Those with an attempt behind them failed, and wait for their retry. Nobody else waits for them.' \
    'Waiting until hydra.webhook_pending is empty …'
wait_until 'hydra.webhook_pending is empty' nothing_pending
say "It is. That took $SECONDS s from the start of the demo."

# ----------------------------------------------------------------------------------------------------------------------
heading '6. What arrived'

cat "$log"

# The receiver's record has a line for each request: time, path, delivery, event, entity, hash of the body, verdict, status.
# Lines that fit a condition of awk, counted:
requests() { awk -v path="${2-}" -v event="${3-}" "$1" "$record" | wc -l; }
accepted='$7 == "verified" && $8 ~ /^2/'

wrong=0
compare() { # what, expected, found
    local remark=''
    if [[ $2 != "$3" ]]; then
        remark="   <-- expected $2"
        wrong=1
    fi
    printf ' %-58s %9s%s\n' "$1" "$3" "$remark"
}

printf '\n %-24s %-22s %10s %9s\n' event subscription announced delivered
printf ' %s\n' '--------------------------------------------------------------------'
total=0
while read -r event name path; do
    announced=$(awk -v event="$event" '$1 == "=>" && $2 == event' "$played" | wc -l)
    # An event of the page that the afternoon never announces would pass unseen: it counts as expected once.
    compare "$(printf '%-24s %-22s %10s' "$event" "$name" "$announced")" "$((announced > 0 ? announced : 1))" \
        "$(requests "$accepted && \$2 == path && \$4 == event" "$path" "$event")"
    total=$((total + announced))
done < <(value "SELECT event, name, regexp_replace(url, '^http://[^/]*', '')
                FROM hydra.webhook_subscriptions, unnest(event_types) AS event
                WHERE id IN ($desk, $flaky) ORDER BY id, event")
printf '\n'
compare 'requests: these, the test, and three answered with 503' "$((total + 1 + 3))" "$(requests 1)"
compare 'of them, answered with 503 on /flaky' 3 "$(requests '$2 == path && $8 == 503' /flaky)"
compare 'of them, with a signature that does not verify' 0 "$(requests '$7 != "verified"')"
compare 'deliveries accepted twice' 0 "$(requests "$accepted && seen[\$3]++ == 1")"
compare 'deliveries whose body differs between attempts' 0 "$(requests '$3 in body && body[$3] != $6 { print } { body[$3] = $6 }')"
compare 'deliveries given up' 0 "$(value 'SELECT count(*) FROM hydra.webhook_failed')"
compare 'rows of history: everything' 0 "$(value "SELECT count(*) FROM hydra.webhook_history WHERE subscription_id = $desk")"
compare 'rows of history: flaky, failed attempts' 3 "$(value "
    SELECT count(*) FROM hydra.webhook_history WHERE subscription_id = $flaky AND status_code = 503")"

# ----------------------------------------------------------------------------------------------------------------------
heading '7. The history of the flaky one'

show "SELECT left(delivery_id::text, 8) AS delivery, event, attempt, status_code AS status,
       to_char(attempted_at, 'HH24:MI:SS.MS') AS attempted_at,
       round(extract(epoch FROM next_attempt_at - attempted_at), 1) AS next_in_s
FROM hydra.webhook_history WHERE subscription_id = $flaky ORDER BY attempted_at;"
say 'Failed attempts and their retries are here. What succeeded at the first try has left no row, so "everything" has none.' \
    'A retry carries the same delivery id and the same body under a signature of its own time; each one was verified.' \
    'What was rolled back, with its transaction or with its savepoint, never left the database.'

if ((wrong)); then
    fail "what arrived is not what the afternoon announced; see the arrows above, and $log"
fi

# ----------------------------------------------------------------------------------------------------------------------
heading 'Your turn'

say 'Cluster and receiver are still running.' '' \
    "    psql -h '$PGHOST' -p $PGPORT -U $PGUSER $PGDATABASE" \
    "    tail -f '$log'" '' \
    'For example, in psql, while the other shows what comes:' '' \
    "    UPDATE helpdesk.accounts SET lifecycle_stage = 'churned' WHERE name = 'Birch Logistics';" \
    "    SELECT hydra.webhook_pause($desk);" '' \
    'To stop both and remove every trace: make demo-stop'
