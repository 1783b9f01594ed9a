-- Returns the channel with the address $1, or that of the inbound adapter $2, with a statement that calls its function, and
-- why that may not be executed.
SELECT c.id AS channel_id, c.address, c.tenant_id, c.trusted_server, (extract(epoch FROM c.timeout) * 1000)::bigint AS timeout_ms,
       c.state = 'paused' AS paused, c.owner::oid AS owner, f.call,
       CASE WHEN f.call IS NULL THEN pg_catalog.format('function %s does not exist', c.function)
            WHEN f.owner <> c.owner THEN pg_catalog.format('function %s belongs to another role than before', c.function)
            ELSE hydra._role_refusal(c.owner) END AS refusal
FROM hydra.mail_channel AS c
LEFT JOIN hydra.function_of_json AS f ON f.function_id = pg_catalog.to_regprocedure(c.function)
WHERE c.address = $1 OR c.adapter_id = $2
