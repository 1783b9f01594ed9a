-- Adds to what came to an adapter, in the row of this session.
INSERT INTO hydra.inbound_count AS c (adapter_id, slot, received, matched, unmatched, duplicates, refused, last_received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $3 > 0 THEN pg_catalog.now() END)
ON CONFLICT (adapter_id, slot) DO UPDATE
SET received = c.received + excluded.received,
    matched = c.matched + excluded.matched,
    unmatched = c.unmatched + excluded.unmatched,
    duplicates = c.duplicates + excluded.duplicates,
    refused = c.refused + excluded.refused,
    last_received_at = coalesce(excluded.last_received_at, c.last_received_at)
