-- Notes that the approval $1 has the state $2, by $3, with the result $4 or the error $5.
UPDATE hydra.approval AS a
SET state = $2, decided_at = pg_catalog.clock_timestamp(), decided_by = $3, result = $4::text::json, error = $5
WHERE a.id = $1
