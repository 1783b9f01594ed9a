-- Returns what a gateway has to know: how many gateways live, and which keys were revoked a short time ago.
SELECT pg_catalog.jsonb_build_object(
    'live', (SELECT pg_catalog.count(*) FROM hydra.gateways AS g WHERE g.live),
    'revoked', coalesce((SELECT pg_catalog.jsonb_agg(pg_catalog.encode(h.hash, 'hex'))
                         FROM hydra.api_key_hash AS h
                         JOIN hydra.api_key AS k ON k.id = h.key_id
                         WHERE least(h.valid_until, k.revoked_at)
                               BETWEEN pg_catalog.now() - interval '10 min' AND pg_catalog.now()), '[]'),
    'database', pg_catalog.current_database(),
    'version', (SELECT e.extversion FROM pg_catalog.pg_extension AS e WHERE e.extname = 'hydra_webhooks'))
