SET LOCAL search_path = pg_catalog, pg_temp;
-- What analysts combine themselves: the counts, and histograms that can be added.
CREATE AGGREGATE hydra.webhook_merge(response_times bigint[]) (
    SFUNC = hydra._merge_step, STYPE = internal, SSPACE = 600, FINALFUNC = hydra._merge_end, PARALLEL = SAFE);
COMMENT ON AGGREGATE hydra.webhook_merge(bigint[]) IS
    'Adds histograms of response times, such as those of hydra.webhook_counts; hydra.webhook_percentile computes percentiles of the sum';

-- It leaves out nothing, and needs no security_barrier.
CREATE VIEW hydra.webhook_counts AS
SELECT c.hour, c.subscription_id, n.name, n.url, nullif(c.event_type, '') AS event, nullif(c.tenant_id, '') AS tenant_id,
       c.others, nullif(c.status_code, 0) AS status_code,
       CASE WHEN c.status_code = 0 THEN c.error_class WHEN c.status_code NOT BETWEEN 200 AND 299 THEN 'status' END AS error_class,
       c.attempts, CASE WHEN c.status_code BETWEEN 200 AND 299 THEN c.attempts ELSE 0 END AS delivered,
       CASE WHEN c.status_code BETWEEN 200 AND 299 THEN 0 ELSE c.attempts END AS failed_attempts, c.failed, c.response_times
FROM hydra.attempt_count AS c
LEFT JOIN hydra._subscription_name AS n ON n.id = c.subscription_id;
COMMENT ON VIEW hydra.webhook_counts IS
    'Attempts of each subscription and hour by event type, tenant and result, kept for hydra_webhooks.retention; updated at most a minute later';
COMMENT ON COLUMN hydra.webhook_counts.hour IS 'Start of the hour, UTC';
COMMENT ON COLUMN hydra.webhook_counts.subscription_id IS 'The subscription, which may have been deleted';
COMMENT ON COLUMN hydra.webhook_counts.name IS 'Name of the subscription';
COMMENT ON COLUMN hydra.webhook_counts.url IS
    'URL of the subscription; roles that may not manage subscriptions see only scheme, host and port';
COMMENT ON COLUMN hydra.webhook_counts.event IS 'Type of the event; null: not counted separately, see others';
COMMENT ON COLUMN hydra.webhook_counts.tenant_id IS 'Tenant of the event; null: it has none, or it is not counted separately, see others';
COMMENT ON COLUMN hydra.webhook_counts.others IS
    'Whether these are attempts whose tenant, and perhaps event type, is not counted separately, because the subscription had too many combinations in this hour';
COMMENT ON COLUMN hydra.webhook_counts.status_code IS 'HTTP status of the response; null: there was no response';
COMMENT ON COLUMN hydra.webhook_counts.error_class IS 'Kind of failure, as in hydra.webhook_history; null: success';
COMMENT ON COLUMN hydra.webhook_counts.attempts IS 'Number of attempts';
COMMENT ON COLUMN hydra.webhook_counts.delivered IS 'Number of deliveries that succeeded, each with one of these attempts';
COMMENT ON COLUMN hydra.webhook_counts.failed_attempts IS 'Number of attempts that failed';
COMMENT ON COLUMN hydra.webhook_counts.failed IS 'Number of deliveries that were given up after such an attempt';
COMMENT ON COLUMN hydra.webhook_counts.response_times IS
    'Histogram of response times, for hydra.webhook_merge and hydra.webhook_percentile';
SET LOCAL search_path = hydra, pg_temp;
