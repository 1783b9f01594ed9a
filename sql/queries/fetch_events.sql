-- The next page of events that one snapshot sees and the one before did not: those of transactions that began after
-- it ($6: its xmax), and of those that were in progress in it ($1). $2, $7: transactions in progress in the new
-- snapshot, and its xmax. ($3, $4): where the page before ended. $5: rows.
SELECT e.xid, e.id, e.event_type, e.entity_type, e.entity_id, e.tenant_id, e.entity, e.entity_error,
       (extract(epoch FROM e.emitted_at) * 1000000)::bigint AS emitted_at,
       pg_catalog.to_char(e.emitted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS timestamp, e.targets
FROM ((SELECT * FROM hydra.event AS late
       WHERE late.xid = ANY ($1) AND (late.xid, late.id) > ($3, $4)
         AND late.xid < $7 AND late.xid <> ALL ($2)
       ORDER BY late.xid, late.id LIMIT $5)
      UNION ALL
      (SELECT * FROM hydra.event AS new
       WHERE new.xid >= $6 AND (new.xid, new.id) > ($3, $4)
         AND new.xid < $7 AND new.xid <> ALL ($2)
       ORDER BY new.xid, new.id LIMIT $5)) AS e
ORDER BY e.xid, e.id
LIMIT $5
