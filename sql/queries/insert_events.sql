-- Many events of one type at a time, in the order of the arrays. $7: lists of targets, one after the other; $8 and $9:
-- where in it that of each event begins and ends. Parsed with the search_path of whoever emits.
INSERT INTO hydra.event (id, event_type, entity_type, entity_id, tenant_id, entity, entity_error, targets)
SELECT n.id, $1, $2, n.entity_id, n.tenant_id, n.entity, n.entity_error, $7[n.first_target:n.last_target]
FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6),
                pg_catalog.unnest($8), pg_catalog.unnest($9), pg_catalog.unnest($10))
     AS n (entity_id, tenant_id, entity, entity_error, first_target, last_target, id)
