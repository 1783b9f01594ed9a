-- Returns the next events of transactions that began after the former snapshot, in order of transaction and id: events
-- after transaction and id ($1, $2), of transactions before $3 (xmax of the newer snapshot) that are not among $4 (in
-- progress in the newer snapshot). At most $5 rows.
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
FROM hydra.event AS e
WHERE (e.xid, e.id) > ($1, $2) AND e.xid < $3 AND e.xid <> ALL ($4)
ORDER BY e.xid, e.id
LIMIT $5
