-- Records that a gateway lives, from its report $1, and forgets those that have not called for a day.
WITH gone AS (
    DELETE FROM hydra.gateway AS g
    WHERE g.seen_at < pg_catalog.now() - interval '1 day' AND g.id <> ($1 ->> 'gateway')::uuid
)
INSERT INTO hydra.gateway AS g (id, version, address, requests)
VALUES (($1 ->> 'gateway')::uuid, pg_catalog.left(coalesce($1 ->> 'version', ''), 100),
        pg_catalog.left(coalesce($1 ->> 'address', ''), 200), greatest(coalesce(($1 ->> 'requests')::bigint, 0), 0))
ON CONFLICT (id) DO UPDATE
SET version = excluded.version, address = excluded.address, seen_at = pg_catalog.now(),
    requests = g.requests + excluded.requests
