-- Adds deliveries that failed or have to wait to the retry queue, one array per column. $14 has the place of the body in
-- $20, so that a body that several deliveries share is passed once; $21 is the number of this run of the dispatcher;
-- $22 says whether the subscription was disabled when the event was emitted; $23 has the transactions of the events. $24: rows of
-- events may be gone, because somebody has cancelled their deliveries; such deliveries are skipped. Deliveries of a subscription that was deleted
-- in the meantime are skipped, and so is what a subscription missed that was resumed without it. A delivery that was never
-- attempted is due since its event was emitted, so that such deliveries are sent in the order of their events, regardless
-- of when their rows were written. Returns the deliveries that had a row already: that row is replaced.
--
-- A delivery has a row already if this part was written before and the dispatcher did not learn it, or if somebody put
-- back the row of its event. An id stands for one event and one subscription, so both rows are the same delivery.
WITH written AS (
    INSERT INTO hydra.delivery (id, subscription_id, event_id, event_random, installation, event_type, entity_type, entity_id,
                                tenant_id, operation, hops, emitted_at, preset, body, state, attempts, scheduled_at, due_at,
                                claimed_by, failed_at, missed)
    SELECT n.id, n.subscription_id, n.event_id, n.event_random, n.installation, n.event_type, n.entity_type, n.entity_id,
           n.tenant_id, n.operation, n.hops, n.emitted_at, n.preset, ($20)[n.body_place],
           CASE WHEN n.failed THEN 'failed' ELSE 'pending' END, n.attempts, n.scheduled_at,
           CASE WHEN NOT n.failed THEN coalesce(n.due_at, n.emitted_at) END,
           CASE WHEN n.claimed THEN $21 END,
           CASE WHEN n.failed THEN pg_catalog.now() END,
           n.missed AND s.status <> 'active'
    FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
                    pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8),
                    pg_catalog.unnest($9), pg_catalog.unnest($10), pg_catalog.unnest($11), pg_catalog.unnest($12),
                    pg_catalog.unnest($13), pg_catalog.unnest($14), pg_catalog.unnest($15), pg_catalog.unnest($16),
                    pg_catalog.unnest($17), pg_catalog.unnest($18), pg_catalog.unnest($19), pg_catalog.unnest($22),
                    pg_catalog.unnest($23))
         AS n (id, subscription_id, event_id, event_random, installation, event_type, entity_type, entity_id, tenant_id,
               operation, hops, emitted_at, preset, body_place, failed, attempts, scheduled_at, due_at, claimed, missed, xid)
    JOIN hydra.subscription AS s ON s.id = n.subscription_id
    WHERE NOT (n.missed AND s.status = 'active' AND s.drops_missed)
          AND (NOT $24
               OR EXISTS (SELECT FROM hydra.event AS e
                          WHERE e.xid = n.xid AND e.id = n.event_id
                                AND (n.subscription_id = ANY (e.targets) OR -n.subscription_id = ANY (e.targets)))
               OR EXISTS (SELECT FROM hydra.delivery AS known WHERE known.id = n.id))
    ON CONFLICT (id) DO UPDATE
    SET preset = excluded.preset, body = excluded.body, state = excluded.state, attempts = excluded.attempts,
        earlier_attempts = 0, scheduled_at = excluded.scheduled_at, due_at = excluded.due_at,
        claimed_by = excluded.claimed_by, failed_at = excluded.failed_at, missed = excluded.missed
    -- The new version of a row that was there is locked by this transaction; a row that was inserted is not.
    RETURNING id, xmax
)
SELECT w.id AS delivery_id FROM written AS w WHERE w.xmax <> '0'
