-- Creates an adapter from the arguments $1 and the secret $2, and returns what is shown of it, once.
SELECT pg_catalog.jsonb_build_object(
    'id', made.id, 'name', a.name, 'provider', coalesce(a.provider, 'none'), 'url', made.url)
FROM pg_catalog.jsonb_to_record($1) AS a (
         name text, mapping jsonb, provider text, tenant_id text, budget interval, requests_per_second integer, each text,
         id_path text, type_path text, scheme text)
CROSS JOIN LATERAL hydra.inbound_create(
         name => a.name, mapping => a.mapping, provider => coalesce(a.provider, 'none'), secret => $2,
         tenant_id => a.tenant_id, budget => a.budget, requests_per_second => a.requests_per_second,
         each => a.each, id_path => a.id_path, type_path => a.type_path,
         scheme => nullif(a.scheme::jsonb, 'null')) AS made
