-- Returns the next events of transactions that began after the former snapshot, in order of transaction and id: events
-- after transaction and id ($1, $2), of transactions before $3 (xmax of the newer snapshot) that are not among $4 (in
-- progress in the newer snapshot). At most $5 rows, and no row after the one with which their sizes reach $6 bytes. A
-- size includes what the deliveries of the event will take in memory, 250 bytes each.
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
            FROM hydra.event AS e
            WHERE (e.xid, e.id) > ($1, $2) AND e.xid < $3 AND e.xid <> ALL ($4)
            ORDER BY e.xid, e.id
            LIMIT $5) AS n) AS e
WHERE e.bytes_so_far - e.bytes < $6
ORDER BY e.xid, e.event_id
