-- Creates an API key from the arguments $1 and returns its id and the key.
SELECT pg_catalog.jsonb_build_object('id', made.id, 'key', made.key)
FROM pg_catalog.jsonb_to_record($1) AS a (
         name text, scopes text[], tenant_id text, role text, expires_at timestamptz, approval text,
         requests_per_minute integer)
CROSS JOIN LATERAL hydra.api_key_create(
         a.name, a.scopes, a.tenant_id, a.role, a.expires_at, a.approval, a.requests_per_minute) AS made
