-- Records a run of the flow $1 on the inbound event $2: mode, when it started, how many microseconds it took, result,
-- effects, error and SQLSTATE.
INSERT INTO hydra.flow_run (flow_id, inbound_event_id, mode, state, started_at, duration, result, effects, error, sqlstate)
VALUES ($1, $2, $3, CASE WHEN $8 IS NULL THEN 'done' ELSE 'failed' END, $4,
        pg_catalog.make_interval(secs => $5 / 1000000.0), $6, $7, $8, $9)
