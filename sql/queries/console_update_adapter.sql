-- Changes an adapter as the arguments $1 say.
SELECT hydra.inbound_update(
           a.id, name => a.name, mapping => a.mapping, provider => a.provider, tenant_id => a.tenant_id, budget => a.budget,
           requests_per_second => a.requests_per_second, each => a.each, id_path => a.id_path, type_path => a.type_path,
           scheme => a.scheme::jsonb)
FROM pg_catalog.jsonb_to_record($1) AS a (
         id bigint, name text, mapping jsonb, provider text, tenant_id text, budget interval, requests_per_second integer,
         each text, id_path text, type_path text, scheme text)
