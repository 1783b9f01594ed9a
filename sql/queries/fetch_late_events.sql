-- Returns the next events of the transactions $1, in order of transaction and id. These transactions were in progress
-- in the former snapshot and are finished in the newer snapshot. Of transaction $2, only events with an id after $3. At
-- most $4 rows.
SELECT e.xid,
       e.id AS event_id,
       e.random,
       e.installation,
       e.hops,
       e.operation,
       e.event_type,
       e.entity_type,
       e.entity_id,
       e.tenant_id,
       e.entity,
       e.entity_error,
       e.previous,
       e.emitted_at,
       e.targets,
       e.ctid AS place
FROM pg_catalog.unnest($1) AS late (xid),
     LATERAL (SELECT of_it.ctid, of_it.* FROM hydra.event AS of_it
              WHERE of_it.xid = late.xid AND of_it.id > CASE WHEN late.xid = $2 THEN $3 ELSE 0 END
              ORDER BY of_it.id LIMIT $4) AS e
ORDER BY e.xid, e.id
LIMIT $4
