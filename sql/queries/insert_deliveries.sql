-- Adds deliveries that failed or have to wait to the retry queue, one array per column. $8 has the place of the body in
-- $15, so that a body that several deliveries share is passed once; $13 is the number of this run of the dispatcher. Deliveries of a subscription that was deleted in the meantime are skipped. A delivery that was
-- never attempted is due since its event was emitted, so that such deliveries are sent in the order of their events,
-- regardless of when their rows were written.
INSERT INTO hydra.delivery (id, subscription_id, event_id, event_type, tenant_id, emitted_at, preset, body, state, attempts,
                            scheduled_at, due_at, claimed_by, failed_at)
SELECT n.id, n.subscription_id, n.event_id, n.event_type, n.tenant_id, n.emitted_at, n.preset, ($15)[n.body_place],
       CASE WHEN n.failed THEN 'failed' ELSE 'pending' END, n.attempts, n.scheduled_at,
       CASE WHEN NOT n.failed THEN coalesce(n.due_at, n.emitted_at) END,
       CASE WHEN n.claimed THEN $13 END,
       CASE WHEN n.failed THEN pg_catalog.now() END
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),
                pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8),
                pg_catalog.unnest($9), pg_catalog.unnest($10), pg_catalog.unnest($11), pg_catalog.unnest($12),
                pg_catalog.unnest($14))
     AS n (id, subscription_id, event_id, event_type, tenant_id, emitted_at, preset, body_place, failed, attempts,
           scheduled_at, due_at, claimed)
WHERE EXISTS (SELECT FROM hydra.subscription AS s WHERE s.id = n.subscription_id)
ON CONFLICT (id) DO NOTHING
