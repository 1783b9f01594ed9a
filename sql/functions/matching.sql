SET LOCAL search_path = pg_catalog, pg_temp;
-- Not SECURITY DEFINER: the filter is evaluated with the privileges of the caller, so it can read nothing that the
-- caller could not read.
CREATE FUNCTION hydra.webhook_would_match(subscription_id bigint, event text, entity jsonb, tenant_id text DEFAULT NULL)
    RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    choice record;
    tenant text := coalesce(tenant_id, CASE WHEN jsonb_typeof(entity) = 'object'
                                                 AND jsonb_typeof(entity -> 'tenant_id') IN ('string', 'number', 'boolean')
                                            THEN entity ->> 'tenant_id' END);
BEGIN
    PERFORM hydra._check_event_type(event);
    SELECT * INTO choice FROM hydra._choice(subscription_id, event);
    RETURN choice.named AND coalesce(choice.tenant_id = tenant, choice.tenant_id IS NULL)
           AND hydra._filter_passes(choice.filter, entity);
END
$$;
COMMENT ON FUNCTION hydra.webhook_would_match(bigint, text, jsonb, text) IS
    'Whether such an event would be sent to the subscription, whatever its status';

CREATE FUNCTION hydra._choice(subscription_id bigint, event text, OUT named boolean, OUT tenant_id text, OUT filter jsonpath)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found hydra.subscription;
BEGIN
    SELECT known.* INTO found FROM hydra.subscription AS known WHERE known.id = subscription_id;
    IF found.id IS NULL THEN
        PERFORM hydra._locked_subscription(subscription_id);
    END IF;
    named := EXISTS (SELECT FROM unnest(found.event_types) AS wanted WHERE hydra._names_event_type(wanted, event));
    tenant_id := found.tenant_id;
    filter := found.filter;
END
$$;
COMMENT ON FUNCTION hydra._choice(bigint, text) IS
    'Whether a subscription names the event type, and its tenant and filter';
SET LOCAL search_path = hydra, pg_temp;
