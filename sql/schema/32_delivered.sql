SET LOCAL search_path = pg_catalog, pg_temp;
-- Deliveries that have succeeded, of subscriptions with keep_bodies. A table of its own, so that the retry queue stays small
-- and claims do not pass by these rows.
CREATE TABLE hydra.delivered (
    id uuid PRIMARY KEY,
    subscription_id bigint NOT NULL,
    event_id bigint NOT NULL,
    event_random bigint NOT NULL,
    installation uuid NOT NULL,
    event_type text NOT NULL,
    entity_type text NOT NULL,
    entity_id text,
    tenant_id text,
    operation text CONSTRAINT operation_is_known CHECK (operation IN ('insert', 'update', 'delete')),
    hops smallint NOT NULL DEFAULT 0 CONSTRAINT hops_count CHECK (hops >= 0),
    emitted_at timestamptz NOT NULL,
    preset text NOT NULL CONSTRAINT preset_is_known CHECK (preset IN ('hydra', 'x_webhook', 'standard')),
    body text NOT NULL,
    attempts integer NOT NULL CONSTRAINT attempts_count_from_one CHECK (attempts >= 1),
    status_code integer NOT NULL CONSTRAINT status_code_is_success CHECK (status_code BETWEEN 200 AND 299),
    response_excerpt text NOT NULL CONSTRAINT response_excerpt_is_short CHECK (pg_catalog.octet_length(response_excerpt) <= 1024),
    response_ms integer NOT NULL CONSTRAINT response_ms_is_a_time CHECK (response_ms >= 0),
    delivered_at timestamptz NOT NULL,
    kept_until timestamptz NOT NULL,
    CONSTRAINT kept_for_a_time CHECK (kept_until > delivered_at)
) USING heap;
-- To remove rows whose time has passed.
CREATE INDEX delivered_kept_until ON hydra.delivered (kept_until);
-- To find deliveries: the newest, and those of a subscription, an event, an entity or a tenant.
CREATE INDEX delivered_time ON hydra.delivered (delivered_at);
CREATE INDEX delivered_subscription ON hydra.delivered (subscription_id, delivered_at);
CREATE INDEX delivered_event ON hydra.delivered (event_id);
CREATE INDEX delivered_event_uuid ON hydra.delivered (hydra._event_uuid(installation, event_id, event_random));
CREATE INDEX delivered_entity ON hydra.delivered (entity_id, delivered_at) WHERE entity_id IS NOT NULL;
CREATE INDEX delivered_tenant ON hydra.delivered (tenant_id, delivered_at) WHERE tenant_id IS NOT NULL;
COMMENT ON TABLE hydra.delivered IS 'Deliveries that have succeeded, with their bodies, of subscriptions with keep_bodies';
COMMENT ON COLUMN hydra.delivered.id IS 'Id of the delivery';
COMMENT ON COLUMN hydra.delivered.subscription_id IS 'The subscription; no foreign key, because these deliveries are kept when their subscription is deleted';
COMMENT ON COLUMN hydra.delivered.event_id IS 'Number of the event';
COMMENT ON COLUMN hydra.delivered.event_random IS 'Random part of the event';
COMMENT ON COLUMN hydra.delivered.installation IS 'The installation that emitted the event, see hydra.identity';
COMMENT ON COLUMN hydra.delivered.event_type IS 'Type of the event';
COMMENT ON COLUMN hydra.delivered.entity_type IS 'Kind of entity that the event is about';
COMMENT ON COLUMN hydra.delivered.entity_id IS 'Id of that entity';
COMMENT ON COLUMN hydra.delivered.tenant_id IS 'Tenant of the event';
COMMENT ON COLUMN hydra.delivered.operation IS 'The change of a row that the event reports: insert, update or delete; null: it was not emitted by a trigger';
COMMENT ON COLUMN hydra.delivered.hops IS 'How many events led to the event';
COMMENT ON COLUMN hydra.delivered.emitted_at IS 'When the event was emitted';
COMMENT ON COLUMN hydra.delivered.preset IS 'Preset that the body was made for';
COMMENT ON COLUMN hydra.delivered.body IS 'The exact bytes that every attempt has sent';
COMMENT ON COLUMN hydra.delivered.attempts IS 'Number of attempts made, the successful one included';
COMMENT ON COLUMN hydra.delivered.status_code IS 'HTTP status of the response to the successful attempt';
COMMENT ON COLUMN hydra.delivered.response_excerpt IS 'Start of the body of that response, at most 1024 bytes';
COMMENT ON COLUMN hydra.delivered.response_ms IS 'Milliseconds from the start of that request to its end';
COMMENT ON COLUMN hydra.delivered.delivered_at IS 'When it succeeded';
COMMENT ON COLUMN hydra.delivered.kept_until IS 'When it is removed: keep_bodies after it succeeded';
SET LOCAL search_path = hydra, pg_temp;
