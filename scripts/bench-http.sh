# Functions of the benchmarks of the gateway: the gateway, pgbench and a handler of Express take turns, on one cluster.
# To be sourced after lib.sh.

# Starts a cluster in $directory, with the database `bench`. Sets $work; stops everything at exit.
begin_bench() {
    find_postgres
    gateway=$CARGO_TARGET_DIR/release/hydra-gateway
    [[ -x $HYDRA_PG_BIN/postgres && -x $gateway ]] || fail "build first: scripts/build"
    command -v wrk >/dev/null || fail "there is no wrk: install the package of this name"
    rounds=${ROUNDS:-5} seconds=${SECONDS_EACH:-5} clients=8
    cd "$checkout"
    ulimit -n "$(ulimit -Hn)"
    make_stage_directory
    install_express
    directory=$(mktemp -d)/cluster
    work=${directory%/*}
    # The server of the cluster has to reach it.
    chmod 755 "$work"
    processes=()
    trap end_bench EXIT
    eval "$(scripts/cluster start "$directory" max_connections=100)"
    sql 'CREATE DATABASE bench' postgres
    sql "CREATE EXTENSION hydra_webhooks; CREATE ROLE far_gateway LOGIN IN ROLE hydra_gateway; CREATE ROLE app" 2>/dev/null
}

end_bench() {
    ((${#processes[@]} == 0)) || kill "${processes[@]}" 2>/dev/null || true
    scripts/cluster stop "$directory"
    rm -rf "$work"
}

install_express() {
    express=$stage/express
    if ! cmp -s crates/bench/express/package.json "$express/package.json"; then
        say "installing Express"
        mkdir -p "$express"
        cp crates/bench/express/package.json "$express/"
        (cd "$express" && npm install --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
    fi
    cp crates/bench/express/*.js "$express/"
}

sql() { "$HYDRA_PG_BIN/psql" --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --dbname "${2:-bench}" --command "$1"; }

# Sets $address and $gateway_process.
start_gateway() {
    : >"$work/gateway.log"
    "$gateway" --listen 127.0.0.1:0 --dsn "host=$directory port=54321 user=far_gateway dbname=bench" --connections $clients 2>"$work/gateway.log" &
    gateway_process=$!
    processes+=("$gateway_process")
    until address=$(sed -n 's/.*"address":"\([^"]*\)".*"event":"listening".*/\1/p' "$work/gateway.log") && [[ -n $address ]]; do sleep 0.1; done
}

# Starts a handler of Express as this role. Sets $port.
start_express() {
    port=$((20000 + RANDOM % 10000))
    PORT=$port PGHOST=$directory PGUSER=$2 PGDATABASE=bench node "$express/$1" &
    processes+=($!)
    until curl --silent --output /dev/null "http://127.0.0.1:$port/"; do sleep 0.1; done
}

# Requests per second, and the median of their times in ms: URL, connections, further arguments of wrk.
by_wrk() {
    local url=$1 many=$2
    shift 2
    wrk --threads 1 --connections "$many" --duration "${seconds}s" --latency "$@" "$url" >"$work/wrk.out"
    if grep -q 'Non-2xx' "$work/wrk.out"; then fail "$url has answered with errors: $(cat "$work/wrk.out")"; fi
    awk '$1 == "50%" { time = $2; unit = time; gsub(/[0-9.]/, "", unit); time += 0
                       if (unit == "us") time /= 1000; if (unit == "s") time *= 1000 }
         $1 == "Requests/sec:" { rate = $2 } END { printf "%.0f %.3f\n", rate, time }' "$work/wrk.out"
}

# The same of $work/call.sql.
by_pgbench() {
    rm -f "$work"/times.*
    (cd "$work" && PGUSER=far_gateway "$HYDRA_PG_BIN/pgbench" --no-vacuum --protocol extended --client "$1" --jobs 1 --time "$seconds" \
        --file "$work/call.sql" --log --log-prefix times bench >"$work/pgbench.out" 2>/dev/null)
    awk '/^tps/ { printf "%.0f ", $3 }' "$work/pgbench.out"
    cat "$work"/times.* | awk '{ print $3 }' | sort -n | awk '{ time[NR] = $1 } END { printf "%.3f\n", time[int((NR + 1) / 2)] / 1000 }'
}

median() { sort -n | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'; }
value() { awk -v who="$1" -v many="$2" -v column="$3" '$1 == who && $2 == many { print $column }' "$work/results" | median; }

# Prints the medians of $work/results.
print_results() {
    local who
    printf '\n%-10s %22s %22s\n' '' "$clients connections" '1 connection'
    for who in pgbench gateway express; do
        printf '%-10s %10s/s %7s ms %10s/s %7s ms\n' $who "$(value $who $clients 3)" "$(value $who $clients 4)" "$(value $who 1 3)" "$(value $who 1 4)"
    done
}
