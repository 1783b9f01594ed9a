-- By us, so never over the head of a person who paused or resumed meanwhile.
UPDATE hydra.subscription AS s
SET status = 'disabled', disabled_reason = n.reason, status_since = pg_catalog.now()
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS n (id, reason)
WHERE s.id = n.id AND s.status = 'active'
