-- The next page of events that one snapshot sees and the one before did not, in order of transaction and id.
-- Late ones: of transactions $1, which were in progress in the former snapshot and are not in this one; of transaction
-- $2, only those after id $3. New ones: after transaction and id ($4, $5), of transactions before $6 (this snapshot's
-- xmax) and not among $7 (in progress in it). $8: rows.
SELECT e.xid, e.id, e.event_type, e.entity_type, e.entity_id, e.tenant_id, e.entity, e.entity_error,
       (extract(epoch FROM e.emitted_at) * 1000000)::bigint AS emitted_at,
       pg_catalog.to_char(e.emitted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS timestamp, e.targets
FROM ((SELECT event.*
       FROM pg_catalog.unnest($1) AS late (xid),
            LATERAL (SELECT * FROM hydra.event AS of_it
                     WHERE of_it.xid = late.xid AND of_it.id > CASE WHEN late.xid = $2 THEN $3 ELSE 0 END
                     ORDER BY of_it.id LIMIT $8) AS event)
      UNION ALL
      (SELECT * FROM hydra.event AS new
       WHERE (new.xid, new.id) > ($4, $5) AND new.xid < $6 AND new.xid <> ALL ($7)
       ORDER BY new.xid, new.id LIMIT $8)) AS e
ORDER BY e.xid, e.id
LIMIT $8
