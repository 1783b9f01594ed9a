-- Events by transaction ($1) and id ($2), in this order, as far as they are still there.
SELECT e.xid, e.id, e.event_type, e.entity_type, e.entity_id, e.tenant_id, e.entity, e.entity_error, e.emitted_at,
       e.targets, e.ctid
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) WITH ORDINALITY AS aside (xid, id, place)
JOIN hydra.event AS e ON e.xid = aside.xid AND e.id = aside.id
ORDER BY aside.place
