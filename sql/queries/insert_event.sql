-- One row per event, whatever the number of subscriptions.
INSERT INTO hydra.event (event_type, entity_type, entity_id, tenant_id, entity, entity_error, targets)
VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING id
