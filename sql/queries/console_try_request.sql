-- Returns what each stage says about the request that the arguments $1 describe.
SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('stage', t.stage, 'ok', t.ok, 'says', t.says) ORDER BY t.place)
FROM pg_catalog.jsonb_to_record($1) AS a (id bigint, headers jsonb, body text, query text, scheme jsonb, refused_id bigint)
CROSS JOIN LATERAL hydra.inbound_try(
         a.id, headers => a.headers, body => pg_catalog.convert_to(a.body, 'UTF8'), query => a.query, scheme => a.scheme,
         refused_id => a.refused_id) WITH ORDINALITY AS t (stage, ok, says, place)
