-- Returns the time of this transaction, and that of the statement of the client, in the forms that they have in JSON and as texts.
SELECT DISTINCT form.text
FROM (VALUES (pg_catalog.now()), (pg_catalog.statement_timestamp())) AS known (at)
CROSS JOIN LATERAL (VALUES (known.at), (known.at::timestamptz(3)), (known.at::timestamptz(0))) AS rounded (at)
CROSS JOIN LATERAL (VALUES (pg_catalog.to_jsonb(rounded.at) #>> '{}'), (rounded.at::text),
                           (pg_catalog.to_jsonb(rounded.at::timestamp) #>> '{}'), (rounded.at::timestamp::text)) AS form (text)
