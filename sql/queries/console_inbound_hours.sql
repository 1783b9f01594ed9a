-- Returns what came to the adapters $1 in each of the last 24 hours: an object with a key for each of them. Of an adapter to
-- which much comes, only the latest $2 events are counted, and only hours that these cover have an entry.
WITH now AS (SELECT pg_catalog.date_trunc('hour', pg_catalog.now(), 'UTC') AS hour),
latest AS (
    SELECT e.adapter_id, e.state, pg_catalog.date_trunc('hour', e.received_at, 'UTC') AS hour
    FROM pg_catalog.unnest($1) AS a (id)
    CROSS JOIN LATERAL (SELECT r.adapter_id, r.state, r.received_at FROM hydra.inbound_event AS r
                        WHERE r.adapter_id = a.id ORDER BY r.id DESC LIMIT $2) AS e),
ends AS (
    SELECT l.adapter_id, pg_catalog.count(*) AS events, pg_catalog.min(l.hour) AS first_hour FROM latest AS l GROUP BY l.adapter_id),
counted AS (
    SELECT l.adapter_id, l.hour, pg_catalog.count(*) FILTER (WHERE l.state = 'done') AS matched,
           pg_catalog.count(*) FILTER (WHERE l.state = 'unmatched') AS unmatched,
           pg_catalog.count(*) FILTER (WHERE l.state = 'failed') AS failed
    FROM latest AS l GROUP BY l.adapter_id, l.hour)
SELECT coalesce(pg_catalog.jsonb_object_agg(i.id::text, (
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
               'hour', h.hour, 'matched', coalesce(c.matched, 0), 'unmatched', coalesce(c.unmatched, 0),
               'failed', coalesce(c.failed, 0)) ORDER BY h.hour)
    FROM pg_catalog.generate_series(now.hour - interval '23 h', now.hour, interval '1 h') AS h (hour)
    LEFT JOIN counted AS c ON c.adapter_id = i.id AND c.hour = h.hour
    WHERE h.hour > coalesce((SELECT e.first_hour FROM ends AS e WHERE e.adapter_id = i.id AND e.events >= $2), '-infinity'))), '{}')
FROM now
CROSS JOIN pg_catalog.unnest($1) AS i (id)
