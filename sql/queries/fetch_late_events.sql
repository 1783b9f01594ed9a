-- Returns the next events of the transactions $1, in order of transaction and id. These transactions were in progress
-- in the former snapshot and are finished in the newer snapshot. Of transaction $2, only events with an id after $3. At
-- most $4 rows, and no row after the one with which their sizes reach $5 bytes, see fetch_new_events.sql.
SELECT e.xid,
       e.event_id,
       e.event_type,
       e.entity_type,
       e.entity_id,
       e.tenant_id,
       e.entity,
       e.entity_error,
       e.emitted_at,
       e.targets,
       e.place,
       e.bytes
FROM (SELECT n.*, pg_catalog.sum(n.bytes) OVER (ORDER BY n.xid, n.event_id ROWS UNBOUNDED PRECEDING) AS bytes_so_far
      FROM (SELECT e.xid,
                   e.id AS event_id,
                   e.event_type,
                   e.entity_type,
                   e.entity_id,
                   e.tenant_id,
                   e.entity,
                   e.entity_error,
                   e.emitted_at,
                   e.targets,
                   e.ctid AS place,
                   250::float8 * pg_catalog.cardinality(e.targets)
                   + pg_catalog.octet_length(e.event_type) + pg_catalog.octet_length(e.entity_type)
                   + coalesce(pg_catalog.octet_length(e.entity_id), 0)
                   + coalesce(pg_catalog.octet_length(e.tenant_id), 0)
                   + coalesce(pg_catalog.octet_length(e.entity), 0)
                   + coalesce(pg_catalog.octet_length(e.entity_error), 0) AS bytes
            FROM pg_catalog.unnest($1) AS late (xid),
                 LATERAL (SELECT of_it.ctid, of_it.* FROM hydra.event AS of_it
                          WHERE of_it.xid = late.xid AND of_it.id > CASE WHEN late.xid = $2 THEN $3 ELSE 0 END
                          ORDER BY of_it.id LIMIT $4) AS e
            ORDER BY e.xid, e.id
            LIMIT $4) AS n) AS e
WHERE e.bytes_so_far - e.bytes < $5
ORDER BY e.xid, e.event_id
