-- Makes a test request to the endpoint of subscription $1 and returns what came of it.
SELECT pg_catalog.to_jsonb(t) FROM hydra.webhook_send_test($1) AS t
