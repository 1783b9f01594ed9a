#!/usr/bin/env bash
# The demo of `make demo`: two subscriptions, an afternoon of helpdesk work, and a check of what arrived.
#
# Needs a running temporary cluster with the extension preloaded, with hydra_webhooks.allow_http = on,
# hydra_webhooks.allow_networks = '127.0.0.0/8' and hydra_webhooks.listen = '127.0.0.1:0', and in the environment:
#   PGHOST PGPORT PGUSER PGDATABASE   connection to it; as a superuser, because the demo creates a role
#   RECEIVER                          path of the receiver's binary
#   DEMO_DIR                          directory for the files of the receiver; by default that of the socket
# Run it, do not source it. It leaves the receiver running for you to explore; before the cluster is removed, stop the process
# in DEMO_DIR/receiver.pid.
# The exit status is not zero if what arrived differs from what afternoon.sql announced.
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
patience=60 # seconds to wait for each condition

if [[ -t 1 ]]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi

heading() { printf '\n%s%s%s\n\n' "$bold" "$1" "$plain"; }
say() { printf '%s\n' "$@"; }
fail() { printf '\ndemo: %s\n' "$@" >&2; exit 1; }

# Shows a statement, then its result.
show() {
    printf '%s%s%s\n' "$dim" "$1" "$plain"
    psql -X -q -v ON_ERROR_STOP=1 -P pager=off -P footer=off -P null=- -c "$1"
}
# Only the result, for this script.
value() { psql -X -q -v ON_ERROR_STOP=1 -At -F ' ' -c "$1"; }

# Repeats the command until it succeeds; fails after $patience seconds. The pause only limits the use of the processor.
wait_until() {
    local what=$1 deadline=$((SECONDS + patience))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || fail "not true after $patience s: $what"
        sleep 0.1
    done
}
worker_runs() { [[ $(value "SELECT state FROM hydra.webhook_worker_status") == running ]]; }
receiver_listens() {
    [[ -s $port_file ]] && return
    kill -0 "$receiver_pid" 2>/dev/null || fail "the receiver ended: $(cat "$log")"
    return 1
}
gateway_listens() { [[ $(value 'SELECT state FROM hydra.gateway_status') == listening ]]; }
nothing_pending() { [[ $(value 'SELECT count(*) FROM hydra.webhook_pending') == 0 ]]; }

# Creates a subscription. The result has the secret, which is returned only once: it is written to the file of the receiver,
# and its first characters are shown.
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
    fail 'this database has a helpdesk already; run `make demo-stop`, then start again'
fi
show 'CREATE EXTENSION IF NOT EXISTS hydra_webhooks;'
wait_until 'the worker is running' worker_runs
show 'SELECT state, detail FROM hydra.webhook_worker_status;'
printf '%s\\i examples/helpdesk.sql%s\n' "$dim" "$plain"
psql -X -q -o /dev/null -v ON_ERROR_STOP=1 -f "$root/examples/helpdesk.sql"
show 'SELECT event, operation, condition FROM hydra.webhook_watches ORDER BY source, trigger_name;'
say 'Eleven event types. The assignment of conversations and of tickets is watched for new and for existing rows.'

# ----------------------------------------------------------------------------------------------------------------------
heading '2. A receiver, and two subscriptions'

rm -f "$port_file"
(umask 077 && : >"$secrets")
: >"$log"
: >"$record"
# Detached, so that it survives this script and an interrupt at the keyboard.
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
say 'A secret cannot be read again: the list has only its first twelve characters. The receiver has the whole secret.'

# ----------------------------------------------------------------------------------------------------------------------
heading '3. A test'

show "SELECT status_code, response_ms, error FROM hydra.webhook_send_test($desk);"
say 'Signed with the real secret and answered at once. Nothing is recorded.'

# ----------------------------------------------------------------------------------------------------------------------
heading '4. An afternoon of helpdesk work'

psql -X -f "$root/examples/afternoon.sql" | tee "$played"

# ----------------------------------------------------------------------------------------------------------------------
heading '5. What is still pending'

show "SELECT s.name AS subscription, p.event, p.attempts
FROM hydra.webhook_pending AS p JOIN hydra.webhook_subscriptions AS s ON s.id = p.subscription_id
ORDER BY p.event_id, s.id;"
say 'Deliveries with one or more attempts have failed and wait for a retry. No other delivery waits for them.' \
    'Waiting until hydra.webhook_pending is empty …'
wait_until 'hydra.webhook_pending is empty' nothing_pending
say "It is. That took $SECONDS s from the start of the demo."

# ----------------------------------------------------------------------------------------------------------------------
heading '6. What arrived'

cat "$log"

# The record of the receiver has a line for each request: time, path, delivery, event, entity, hash of the body, verdict,
# status. This counts the lines that satisfy a condition of awk:
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
    # If the afternoon never announced an event type, a missing event would not be noticed: so at least one is expected.
    compare "$(printf '%-24s %-22s %10s' "$event" "$name" "$announced")" "$((announced > 0 ? announced : 1))" \
        "$(requests "$accepted && \$2 == path && \$4 == event" "$path" "$event")"
    total=$((total + announced))
done < <(value "SELECT event, name, regexp_replace(url, '^http://[^/]*', '')
                FROM hydra.webhook_subscriptions, unnest(event_types) AS event
                WHERE id IN ($desk, $flaky) ORDER BY id, event")
printf '\n'
compare 'requests: these, the test, and three answered with 503' "$((total + 1 + 3))" "$(requests 1)"
compare 'of these, answered with 503 on /flaky' 3 "$(requests '$2 == path && $8 == 503' /flaky)"
compare 'of these, with an invalid signature' 0 "$(requests '$7 != "verified"')"
compare 'deliveries accepted twice' 0 "$(requests "$accepted && seen[\$3]++ == 1")"
compare 'deliveries whose body differs between attempts' 0 "$(requests '$3 in body && body[$3] != $6 { print } { body[$3] = $6 }')"
compare 'deliveries given up' 0 "$(value 'SELECT count(*) FROM hydra.webhook_failed')"
compare 'rows of history: everything' 0 "$(value "SELECT count(*) FROM hydra.webhook_history WHERE subscription_id = $desk")"
compare 'rows of history: flaky, failed attempts' 3 "$(value "
    SELECT count(*) FROM hydra.webhook_history WHERE subscription_id = $flaky AND status_code = 503")"

# ----------------------------------------------------------------------------------------------------------------------
heading '7. The history of the subscription flaky'

show "SELECT left(delivery_id::text, 8) AS delivery, event, attempt, status_code AS status,
       to_char(attempted_at, 'HH24:MI:SS.MS') AS attempted_at,
       round(extract(epoch FROM next_attempt_at - attempted_at), 1) AS next_in_s
FROM hydra.webhook_history WHERE subscription_id = $flaky ORDER BY attempted_at;"
say 'It has failed attempts and their retries. A first attempt that succeeds leaves no row, so "everything" has none.' \
    'A retry has the same delivery id and the same body, with a new time and signature; all signatures were verified.' \
    'Events that were rolled back, with their transaction or to a savepoint, were never sent.'

if ((wrong)); then
    fail "what arrived differs from what the afternoon announced; see the arrows above, and $log"
fi

# ----------------------------------------------------------------------------------------------------------------------
heading '8. Events in'

wait_until 'the gateway listens' gateway_listens
say 'Other systems send events to the helpdesk: each has a URL of its own.'
printf '%s\\i examples/helpdesk_inbound.sql%s\n' "$dim" "$plain"
adapters=$(psql -X -q -At -F ' ' -v ON_ERROR_STOP=1 -f "$root/examples/helpdesk_inbound.sql" | grep ' http')
url=$(awk '$1 == "curl" { print $2 }' <<<"$adapters")
show 'SELECT name, provider, prefix, state FROM hydra.inbound_adapters ORDER BY id;'
ticket_webhooks() { requests "$accepted && \$2 == path && \$4 == event" /desk ticket.created; }
before=$(ticket_webhooks)

form='{"email": "mara@birch.example", "name": "Mara", "subject": "The invoice is wrong"}'
for time in 'A request' 'The same again, as senders do that heard no answer'; do
    say "$time:"
    printf "%scurl -H 'Idempotency-Key: 1' --json '%s' %s…%s\n" "$dim" "$form" "${url:0:${#url}-43}" "$plain"
    curl --silent --show-error --fail -H 'Idempotency-Key: 1' --json "$form" "$url"
    printf '\n\n'
done
show "SELECT e.event_type, e.state, e.duplicates, f.flow, f.result AS ticket, t.subject
FROM hydra.inbound_events AS e
JOIN hydra.flow_runs AS f ON f.inbound_event_id = e.id
JOIN helpdesk.tickets AS t ON t.id = f.result::bigint;"
wait_until 'hydra.webhook_pending is empty' nothing_pending
compare 'tickets, each with a webhook ticket.created' 1 "$(($(ticket_webhooks) - before))"
say 'The event, the ticket and its webhook were committed together, before the request was answered.'
if ((wrong)); then
    fail 'one request was to be one ticket and one webhook'
fi

# ----------------------------------------------------------------------------------------------------------------------
heading '9. The settings pages'

show 'SELECT state, address FROM hydra.gateway_status;'
say 'On these pages people create, change, test and pause webhooks, and see what failed. A link is for one browser, once:'
show "SELECT hydra.console_link('hydra_admin', valid_for => '1 day') AS \"Open this in a browser\";"

# ----------------------------------------------------------------------------------------------------------------------
heading 'Your turn'

say 'The cluster, the receiver and the settings pages are still running.' '' \
    "    psql -h '$PGHOST' -p $PGPORT -U $PGUSER $PGDATABASE" \
    "    tail -f '$log'" '' \
    'For example, in psql, while the second command shows what arrives:' '' \
    "    UPDATE helpdesk.accounts SET lifecycle_stage = 'churned' WHERE name = 'Birch Logistics';" \
    "    SELECT hydra.webhook_pause($desk);" '' \
    'To stop them and remove all their files: make demo-stop'
