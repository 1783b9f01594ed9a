SET LOCAL search_path = pg_catalog, pg_temp;
-- Statistics by what an analyst asks for. An empty text or 0 stands for null, because the columns of a primary key cannot
-- be null, and without a primary key a publication of all tables would refuse updates.
CREATE TABLE hydra.attempt_count (
    hour timestamptz NOT NULL CONSTRAINT hour_is_whole CHECK (hour = pg_catalog.date_trunc('hour', hour, 'UTC')),
    subscription_id bigint NOT NULL,
    event_type text NOT NULL,
    tenant_id text NOT NULL,
    status_code integer NOT NULL CONSTRAINT status_code_is_http CHECK (status_code = 0 OR status_code BETWEEN 100 AND 999),
    error_class text NOT NULL CONSTRAINT error_class_is_known CHECK (error_class IN (
        '', 'destination', 'dns', 'connection', 'tls', 'timeout', 'protocol', 'expired', 'internal')),
    others boolean NOT NULL DEFAULT false,
    attempts bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    response_times bigint[] NOT NULL DEFAULT '{}'
        CONSTRAINT response_times_has_at_most_73_buckets CHECK (pg_catalog.cardinality(response_times) <= 73),
    PRIMARY KEY (hour, subscription_id, event_type, tenant_id, status_code, error_class, others),
    CONSTRAINT answer_or_why_not CHECK ((status_code = 0) = (error_class <> '')),
    CONSTRAINT others_have_no_tenant CHECK (NOT others OR tenant_id = ''),
    CONSTRAINT only_others_have_no_event_type CHECK (others OR event_type <> ''),
    CONSTRAINT counts CHECK (attempts >= 0 AND failed >= 0)
) USING heap;
COMMENT ON TABLE hydra.attempt_count IS
    'Statistics of each subscription and hour by event type, tenant and result, written together with hydra.delivery_count, and kept for hydra_webhooks.retention';
COMMENT ON COLUMN hydra.attempt_count.hour IS 'Start of the hour, UTC';
COMMENT ON COLUMN hydra.attempt_count.subscription_id IS 'The subscription';
COMMENT ON COLUMN hydra.attempt_count.event_type IS 'Type of the event; empty: not counted separately, see others';
COMMENT ON COLUMN hydra.attempt_count.tenant_id IS 'Tenant of the event; empty: it has none, or it is not counted separately, see others';
COMMENT ON COLUMN hydra.attempt_count.status_code IS 'HTTP status of the response; 0: there was no response';
COMMENT ON COLUMN hydra.attempt_count.error_class IS 'Kind of failure if there was no response; empty: there was one';
COMMENT ON COLUMN hydra.attempt_count.others IS
    'Whether the row counts what exceeds the number of rows that a subscription can have in an hour: without its tenant, and if that does not suffice, without its event type';
COMMENT ON COLUMN hydra.attempt_count.attempts IS 'Number of attempts';
COMMENT ON COLUMN hydra.attempt_count.failed IS 'Number of deliveries that were given up after such an attempt';
COMMENT ON COLUMN hydra.attempt_count.response_times IS
    'Histogram of response times as in hydra.delivery_count; null, and buckets that are missing at the end: no responses';
SET LOCAL search_path = hydra, pg_temp;
