-- Returns event types as JSON: only that with the name $2, after the name $3, with origin $4, at most $6. They belong to all tenants, so
-- $1 has no meaning, and $5 and $7 have none either.
SELECT t.name AS key, pg_catalog.row_to_json(t)::text AS row
FROM (SELECT e.name, e.description, e.entity_type, e.id_key, e.origin
      FROM hydra.webhook_event_types AS e
      WHERE ($1::text IS NULL OR true) AND ($2 IS NULL OR e.name = $2) AND ($3 IS NULL OR e.name COLLATE "C" > $3)
            AND ($4 IS NULL OR e.origin = $4) AND ($5::text IS NULL OR true) AND ($7 OR true)
      ORDER BY e.name COLLATE "C" LIMIT $6) AS t
ORDER BY t.name COLLATE "C"
