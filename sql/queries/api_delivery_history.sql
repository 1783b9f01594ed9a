-- Returns the attempts of the delivery with the id $1 as a JSON array, the first one first. Unless $2, errors are shown without what
-- may be secret.
SELECT coalesce(pg_catalog.json_agg(pg_catalog.row_to_json(a) ORDER BY a.attempt), '[]')::text
FROM (SELECT h.attempt, h.status_code, h.error_class,
             CASE WHEN $2 THEN h.error ELSE hydra._shown_error(h.error) END AS error, h.response_excerpt, h.response_ms, h.attempted_at,
             h.next_attempt_at
      FROM hydra.attempt AS h
      WHERE h.delivery_id = $1::text::uuid) AS a
