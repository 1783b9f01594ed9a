SET LOCAL search_path = pg_catalog, pg_temp;
-- Functions for events that were kept because their watch did not fit. They are called for many rows of hydra.webhook_kept at a
-- time: what was sent or dropped in the meantime is left out, so that nothing fails because of it.

CREATE FUNCTION hydra._locked_kept_event(id bigint)
    RETURNS hydra.kept_event LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    found hydra.kept_event;
BEGIN
    IF id IS NULL THEN
        RAISE EXCEPTION 'id must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  DETAIL = 'It is the number of a kept event.',
                  HINT = 'SELECT id, event, reason FROM hydra.webhook_kept lists kept events.';
    END IF;
    SELECT known.* INTO found FROM hydra.kept_event AS known WHERE known.id = id FOR UPDATE SKIP LOCKED;
    IF found.id IS NULL THEN
        RAISE NOTICE 'no event with id % is kept', id
            USING DETAIL = 'It was sent or dropped, or another session is doing so, or it is older than hydra_webhooks.retention.',
                  HINT = 'SELECT id, event, reason FROM hydra.webhook_kept lists kept events.';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION hydra._locked_kept_event(bigint) IS
    'Locks a kept event for a change and returns it; null, with a notice, if it is not kept or another session has locked it';

CREATE FUNCTION hydra.webhook_send_kept(id bigint, tenant_id text DEFAULT NULL)
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    kept hydra.kept_event := hydra._locked_kept_event(id);
    tenant text := coalesce(tenant_id, kept.tenant_id);
    targets bigint[];
    event_id bigint;
BEGIN
    IF kept.id IS NULL THEN
        RETURN NULL;
    ELSIF octet_length(tenant_id) > 1024 THEN
        RAISE EXCEPTION 'tenant_id is too long'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('It has %s bytes; a tenant has at most 1024.', octet_length(tenant_id)),
                  HINT = 'Use a short key of the tenant.';
    ELSIF tenant_id = '' THEN
        RAISE EXCEPTION 'tenant_id must not be empty'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'No subscription is for an empty tenant.',
                  HINT = 'Omit it for an event whose tenant is known, or that has none.';
    ELSIF tenant_id <> kept.tenant_id OR tenant_id IS NOT NULL AND kept.part <> 'tenant' AND kept.tenant_id IS NULL THEN
        RAISE EXCEPTION 'kept event % is not of tenant "%"', id, left(tenant_id, 120)
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = coalesce('It is of tenant "' || left(kept.tenant_id, 120) || '".', 'It is of no tenant.'),
                  HINT = format('SELECT hydra.webhook_send_kept(%s); sends it to subscriptions of its tenant, and to those of all tenants.', id);
    ELSIF kept.part = 'tenant' AND tenant_id IS NULL THEN
        RAISE EXCEPTION 'the tenant of kept event % is not known', id
            USING ERRCODE = 'null_value_not_allowed',
                  DETAIL = format('The tenant expression of its watch failed: %s.', rtrim(kept.reason, '.')),
                  HINT = format('Pass the tenant: SELECT hydra.webhook_send_kept(%s, ''acme'');', id);
    END IF;
    targets := ARRAY(
        SELECT CASE s.status WHEN 'active' THEN s.id ELSE -s.id END
        FROM hydra.subscription AS s
        WHERE (s.status <> 'paused' OR s.keeps_events)
              AND EXISTS (SELECT FROM unnest(s.event_types) AS wanted WHERE hydra._names_event_type(wanted, kept.event_type))
              AND (s.tenant_id IS NULL OR s.tenant_id = tenant)
              AND hydra._filter_passes_text(s.filter, kept.entity)
        ORDER BY s.id);
    IF cardinality(targets) = 0 THEN
        RETURN NULL;
    END IF;
    INSERT INTO hydra.event (event_type, entity_type, operation, entity_id, tenant_id, entity, entity_error, previous, emitted_at, targets)
    VALUES (kept.event_type, kept.entity_type, kept.operation, kept.entity_id, tenant, kept.entity, kept.entity_error, kept.previous,
            kept.emitted_at, targets)
    RETURNING event.id INTO event_id;
    DELETE FROM hydra.kept_event AS done WHERE done.id = kept.id;
    RETURN event_id;
END
$$;
COMMENT ON FUNCTION hydra.webhook_send_kept(bigint, text) IS
    'Sends a kept event, to the subscriptions that want it now, and returns the id of the event; subscriptions that are disabled, or paused with keep_events, have missed it; null if none wants it, so that it stays kept, or if it is not kept any more';

CREATE FUNCTION hydra.webhook_drop_kept(id bigint)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept hydra.kept_event := hydra._locked_kept_event(id);
BEGIN
    DELETE FROM hydra.kept_event AS done WHERE done.id = kept.id;
END
$$;
COMMENT ON FUNCTION hydra.webhook_drop_kept(bigint) IS 'Removes a kept event, which is not sent; does nothing if it is not kept any more';
SET LOCAL search_path = hydra, pg_temp;
