-- Deletes events that are finished or have moved to the retry queue, by their key: transaction ($1) and id ($2).
DELETE FROM hydra.event AS e
USING ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS finished (xid, id)
WHERE e.xid = finished.xid AND e.id = finished.id
