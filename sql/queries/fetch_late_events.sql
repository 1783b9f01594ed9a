-- The next events of transactions $1, which were in progress in the former snapshot and are not in the newer one, in
-- order of transaction and id; of transaction $2, only those after id $3. $4: rows.
SELECT e.xid, e.id, e.event_type, e.entity_type, e.entity_id, e.tenant_id, e.entity, e.entity_error, e.emitted_at,
       e.targets, e.ctid
FROM pg_catalog.unnest($1) AS late (xid),
     LATERAL (SELECT of_it.ctid, of_it.* FROM hydra.event AS of_it
              WHERE of_it.xid = late.xid AND of_it.id > CASE WHEN late.xid = $2 THEN $3 ELSE 0 END
              ORDER BY of_it.id LIMIT $4) AS e
ORDER BY e.xid, e.id
LIMIT $4
