-- Locks the rows of these events, by transaction ($1) and id ($2), in the order in which whoever cancels their deliveries deletes
-- them.
SELECT FROM hydra.event AS e
JOIN ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS moved (xid, id) ON e.xid = moved.xid AND e.id = moved.id
ORDER BY e.ctid
FOR UPDATE OF e
