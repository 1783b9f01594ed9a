-- Locks the delivery $1 if it is of a webhook of tenant $2, or if that is null, and returns what identifies it, and its state, as JSON
-- text; nothing if it is being sent, nor if it has succeeded, unless $3.
(SELECT pg_catalog.json_build_object(
            'id', d.id, 'subscription_id', d.subscription_id, 'event', d.event_type, 'entity_type', d.entity_type,
            'entity_id', d.entity_id, 'state', d.state, 'attempts', d.attempts)::text
 FROM hydra.delivery AS d
 WHERE d.id = $1 AND d.claimed_by IS NULL
       AND ($2 IS NULL OR EXISTS (SELECT FROM hydra.subscription AS s WHERE s.id = d.subscription_id AND s.tenant_id = $2))
 FOR NO KEY UPDATE OF d)
UNION ALL
(SELECT pg_catalog.json_build_object(
            'id', k.id, 'subscription_id', k.subscription_id, 'event', k.event_type, 'entity_type', k.entity_type,
            'entity_id', k.entity_id, 'state', 'delivered', 'attempts', k.attempts)::text
 FROM hydra.delivered AS k
 WHERE k.id = $1 AND $3
       AND ($2 IS NULL OR EXISTS (SELECT FROM hydra.subscription AS s WHERE s.id = k.subscription_id AND s.tenant_id = $2))
 FOR NO KEY UPDATE OF k)
