SET LOCAL search_path = pg_catalog, pg_temp;
-- Managing subscriptions. These are SECURITY DEFINER functions: privileges are granted on them, and nobody writes the
-- tables by hand.

-- What an emit does in memory, for the few events that the extension itself emits.
CREATE FUNCTION hydra._wanted_by(event_type text, tenant_id text, entity jsonb, other_than bigint) RETURNS bigint[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(s.id ORDER BY s.id)
    FROM hydra.subscription AS s
    WHERE s.status = 'active' AND s.id <> other_than
          AND EXISTS (SELECT FROM unnest(s.event_types) AS wanted WHERE hydra._names_event_type(wanted, event_type))
          AND (s.tenant_id IS NULL OR s.tenant_id = _wanted_by.tenant_id)
          AND hydra._filter_passes(s.filter::text, entity)
$$;
COMMENT ON FUNCTION hydra._wanted_by(text, text, jsonb, bigint) IS
    'Active subscriptions that want an event of the extension, except the one that it is about; null: none';

CREATE FUNCTION hydra._check_subscription(
    name text, event_types text[], tenant_id text, preset text, signatures text[], headers jsonb, timeout interval,
    retry_schedule interval[], filter jsonpath, max_in_flight integer, rate_limit integer, disable_after integer)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    unknown text;
BEGIN
    IF length(name) NOT BETWEEN 1 AND 200 THEN
        RAISE EXCEPTION 'invalid subscription name'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('A name has 1 to 200 characters; this one has %s.', length(name)),
                  HINT = 'Leave it out, or choose another.';
    ELSIF cardinality(event_types) = 0 OR array_ndims(event_types) > 1
          OR array_position(event_types, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'invalid event types'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A subscription names one event type or more, in a one-dimensional array without nulls.',
                  HINT = 'SELECT name FROM hydra.webhook_event_types lists what can be named.';
    ELSIF tenant_id = '' THEN
        RAISE EXCEPTION 'tenant_id must not be empty'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A subscription of the tenant "" would receive next to nothing.',
                  HINT = 'Leave it out for a subscription of no tenant, which receives the events of all.';
    ELSIF cardinality(signatures) = 0 OR array_ndims(signatures) > 1
          OR NOT signatures <@ '{hydra,x_webhook,standard,github}'
          OR cardinality(signatures) > (SELECT count(DISTINCT scheme) FROM unnest(signatures) AS scheme) THEN
        RAISE EXCEPTION 'invalid signatures: %', signatures
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'Known, and each at most once: hydra, x_webhook, standard (Standard Webhooks), github (X-Hub-Signature-256).',
                  HINT = 'For example ''{hydra,standard}''; leave it out for the signature of the preset.';
    ELSIF timeout NOT BETWEEN '100 ms' AND '60 s' THEN
        RAISE EXCEPTION 'invalid timeout: %', timeout
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A timeout is between 100 ms and 60 s, for the whole request.',
                  HINT = 'Receivers should answer at once and do their work afterwards.';
    ELSIF cardinality(retry_schedule) > 50 OR array_ndims(retry_schedule) > 1
          OR array_position(retry_schedule, NULL) IS NOT NULL
          OR interval '0 s' > ANY (retry_schedule) OR interval '7 days' < ANY (retry_schedule) THEN
        RAISE EXCEPTION 'invalid retry schedule'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A schedule has at most 50 delays, each between 0 and 7 days, none of them null.',
                  HINT = 'For example ''{30 s,2 min,10 min}'': three retries after the first attempt.';
    -- What is left when its strings are taken out; nobody gives it variables.
    ELSIF regexp_replace(filter::text, '(?<!\$)"(\\.|[^"\\])*"', '', 'g') ~ '\$"' THEN
        RAISE EXCEPTION 'invalid filter: %', filter
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A filter looks at the entity, which is $, and at no variables.',
                  HINT = 'For example ''$.priority == "high"''.';
    ELSIF max_in_flight NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'invalid max_in_flight: %', max_in_flight
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'Between 1 and 10000 requests may be under way at a time.',
                  HINT = 'Use 1 for deliveries in order.';
    ELSIF rate_limit NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'invalid rate_limit: %', rate_limit
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'Between 1 and 10000 requests may start in a second.',
                  HINT = 'Leave it out for no limit.';
    ELSIF disable_after < 1 THEN
        RAISE EXCEPTION 'invalid disable_after: %', disable_after
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'It counts consecutive failed attempts, so it is 1 or more.',
                  HINT = 'Leave it out for the default of the preset.';
    END IF;

    PERFORM hydra._check_headers(headers);

    SELECT wanted INTO unknown
    FROM unnest(event_types) AS wanted
    WHERE NOT EXISTS (SELECT FROM hydra.event_type AS known WHERE hydra._names_event_type(wanted, known.name))
    LIMIT 1;
    IF unknown ^@ 'webhook.' THEN
        RAISE EXCEPTION 'event type "%" is reserved', unknown
            USING ERRCODE = 'reserved_name',
                  DETAIL = 'Events named webhook.* are the extension''s own, and it has none of this name.',
                  HINT = 'SELECT name FROM hydra.webhook_event_types WHERE origin = ''extension'' lists them.';
    ELSIF unknown LIKE '%*%' THEN
        RAISE EXCEPTION 'no event type is named by "%"', unknown
            USING ERRCODE = 'undefined_object',
                  DETAIL = '"ticket.*" names all event types that begin with "ticket.", and "*" names all; a star stands nowhere else.',
                  HINT = 'SELECT name FROM hydra.webhook_event_types lists what can be named.';
    ELSIF FOUND THEN
        RAISE EXCEPTION 'event type "%" is not registered', unknown
            USING ERRCODE = 'undefined_object',
                  DETAIL = 'A subscription can only name event types that can be emitted.',
                  HINT = format('SELECT hydra.webhook_register_event_type(%L, ''when it fires'');', unknown);
    END IF;

    IF NOT EXISTS (SELECT FROM hydra.preset AS known WHERE known.name = coalesce(preset, 'hydra')) THEN
        RAISE EXCEPTION 'preset "%" does not exist', preset
            USING ERRCODE = 'undefined_object',
                  DETAIL = (SELECT format('Known: %s.', string_agg(known.name, ', ' ORDER BY known.name))
                            FROM hydra.preset AS known),
                  HINT = 'Leave it out for hydra.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_subscription(text, text[], text, text, text[], jsonb, interval, interval[], jsonpath, integer, integer, integer) IS
    'Refuses settings that a subscription cannot have; null means not given';

CREATE FUNCTION hydra._locked_subscription(id bigint)
    RETURNS hydra.subscription LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    found hydra.subscription;
BEGIN
    SELECT known.* INTO found FROM hydra.subscription AS known WHERE known.id = id FOR NO KEY UPDATE;
    IF found.id IS NULL THEN
        RAISE EXCEPTION 'subscription % does not exist', coalesce(id::text, 'null')
            USING ERRCODE = 'undefined_object',
                  DETAIL = 'No subscription has this id; it may have been deleted.',
                  HINT = 'SELECT id, name, url FROM hydra.webhook_subscriptions lists them.';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION hydra._locked_subscription(bigint) IS 'The subscription, locked for a change; an error if there is none';

CREATE FUNCTION hydra._keep_secret(subscription_id bigint, secret text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Apart from the statement that stores them, whose parameters may be logged.
    stored text := hydra._seal_secret(secret, subscription_id);
    prefix text := left(secret, 12);
BEGIN
    INSERT INTO hydra.signing_secret (subscription_id, secret, prefix) VALUES (_keep_secret.subscription_id, stored, prefix);
END
$$;
COMMENT ON FUNCTION hydra._keep_secret(bigint, text) IS 'Stores a new secret of a subscription, sealed where there is a key';

CREATE FUNCTION hydra.webhook_seal_secrets()
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept hydra.signing_secret;
    again text;
    done bigint := 0;
BEGIN
    -- Not those that are out of use: the key of one may be gone for good.
    FOR kept IN SELECT * FROM hydra.signing_secret AS k WHERE k.valid_until IS NULL OR k.valid_until > now() ORDER BY k.id FOR UPDATE LOOP
        again := hydra._reseal_secret(kept.secret, kept.subscription_id);
        UPDATE hydra.signing_secret AS k SET secret = again WHERE k.id = kept.id;
        done := done + 1;
    END LOOP;
    RETURN done;
END
$$;
COMMENT ON FUNCTION hydra.webhook_seal_secrets() IS
    'Seals all signing secrets with the first key of hydra_webhooks.key_file, after it was set or changed; how many those are';

CREATE FUNCTION hydra.webhook_create(
    url text, event_types text[], name text DEFAULT NULL, tenant_id text DEFAULT NULL, preset text DEFAULT NULL,
    signatures text[] DEFAULT NULL, headers jsonb DEFAULT NULL, timeout interval DEFAULT NULL,
    retry_schedule interval[] DEFAULT NULL, filter jsonpath DEFAULT NULL, max_in_flight integer DEFAULT NULL,
    rate_limit integer DEFAULT NULL, disable_after integer DEFAULT NULL, log_successes boolean DEFAULT NULL,
    OUT id bigint, OUT secret text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF url IS NULL OR event_types IS NULL THEN
        RAISE EXCEPTION '% must not be null', CASE WHEN url IS NULL THEN 'url' ELSE 'event_types' END
            USING ERRCODE = 'null_value_not_allowed',
                  DETAIL = 'A subscription needs somewhere to send to and something to send.',
                  HINT = 'SELECT * FROM hydra.webhook_create(''https://…'', ''{ticket.created}'');';
    END IF;
    PERFORM hydra._check_url(url);
    PERFORM hydra._check_subscription(name, event_types, tenant_id, preset, signatures, headers, timeout, retry_schedule, filter,
                                      max_in_flight, rate_limit, disable_after);

    INSERT INTO hydra.subscription AS made (url, event_types, name, tenant_id, preset, signatures, headers, timeout,
                                            retry_schedule, filter, max_in_flight, rate_limit, disable_after,
                                            log_successes)
    VALUES (url, event_types, name, tenant_id, coalesce(preset, 'hydra'), signatures, coalesce(headers, '{}'), timeout,
            retry_schedule, nullif(filter::text, '$')::jsonpath, max_in_flight, rate_limit, disable_after,
            coalesce(log_successes, false))
    RETURNING made.id INTO id;
    secret := hydra._new_secret();
    PERFORM hydra._keep_secret(id, secret);
END
$$;
COMMENT ON FUNCTION hydra.webhook_create(
    text, text[], text, text, text, text[], jsonb, interval, interval[], jsonpath, integer, integer, integer, boolean) IS
    'Makes a subscription; returns its id and, this once, its signing secret';

CREATE FUNCTION hydra.webhook_update(
    id bigint, url text DEFAULT NULL, event_types text[] DEFAULT NULL, name text DEFAULT NULL,
    tenant_id text DEFAULT NULL, preset text DEFAULT NULL, signatures text[] DEFAULT NULL, headers jsonb DEFAULT NULL,
    timeout interval DEFAULT NULL, retry_schedule interval[] DEFAULT NULL, filter jsonpath DEFAULT NULL,
    max_in_flight integer DEFAULT NULL, rate_limit integer DEFAULT NULL, disable_after integer DEFAULT NULL,
    log_successes boolean DEFAULT NULL)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    was hydra.subscription := hydra._locked_subscription(id);
BEGIN
    IF url IS NOT NULL THEN
        PERFORM hydra._check_url(url);
    END IF;
    PERFORM hydra._check_subscription(name, event_types, tenant_id, coalesce(preset, was.preset), signatures, headers, timeout,
                                      retry_schedule, filter, max_in_flight, rate_limit, disable_after);
    UPDATE hydra.subscription AS changed
    SET url = coalesce(webhook_update.url, was.url),
        event_types = coalesce(webhook_update.event_types, was.event_types),
        name = coalesce(webhook_update.name, was.name),
        tenant_id = coalesce(webhook_update.tenant_id, was.tenant_id),
        preset = coalesce(webhook_update.preset, was.preset),
        signatures = coalesce(webhook_update.signatures, was.signatures),
        headers = coalesce(webhook_update.headers, was.headers),
        timeout = coalesce(webhook_update.timeout, was.timeout),
        retry_schedule = coalesce(webhook_update.retry_schedule, was.retry_schedule),
        filter = nullif(coalesce(webhook_update.filter, was.filter)::text, '$')::jsonpath,
        max_in_flight = coalesce(webhook_update.max_in_flight, was.max_in_flight),
        rate_limit = coalesce(webhook_update.rate_limit, was.rate_limit),
        disable_after = coalesce(webhook_update.disable_after, was.disable_after),
        log_successes = coalesce(webhook_update.log_successes, was.log_successes)
    WHERE changed.id = was.id;
END
$$;
COMMENT ON FUNCTION hydra.webhook_update(
    bigint, text, text[], text, text, text, text[], jsonb, interval, interval[], jsonpath, integer, integer, integer, boolean) IS
    'Changes a subscription from the next attempt on; null leaves a setting as it is';

CREATE FUNCTION hydra.webhook_pause(id bigint)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.subscription := hydra._locked_subscription(id);
BEGIN
    UPDATE hydra.subscription AS changed
    SET status = 'paused', disabled_reason = NULL, status_since = now()
    WHERE changed.id = was.id AND was.status <> 'paused';
END
$$;
COMMENT ON FUNCTION hydra.webhook_pause(bigint) IS
    'Stops a subscription: no new events are queued for it, and what is queued stays where it is';

CREATE FUNCTION hydra.webhook_resume(id bigint)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.subscription := hydra._locked_subscription(id);
BEGIN
    DELETE FROM hydra.subscription_health AS health WHERE health.subscription_id = was.id AND was.status <> 'active';
    UPDATE hydra.subscription AS changed
    SET status = 'active', disabled_reason = NULL, status_since = now()
    WHERE changed.id = was.id AND was.status <> 'active';
END
$$;
COMMENT ON FUNCTION hydra.webhook_resume(bigint) IS
    'Brings back a paused or disabled subscription with its counters reset; events of the meantime are not replayed';

CREATE FUNCTION hydra.webhook_delete(id bigint)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.subscription := hydra._locked_subscription(id);
BEGIN
    DELETE FROM hydra.subscription AS gone WHERE gone.id = was.id;
    -- What is being sent is the dispatcher's to remove.
    DELETE FROM hydra.delivery AS waiting
    WHERE waiting.subscription_id = was.id AND waiting.state = 'pending' AND waiting.claimed_by IS NULL;
END
$$;
COMMENT ON FUNCTION hydra.webhook_delete(bigint) IS
    'Deletes a subscription, its secrets and what is pending for it; its history stays';

CREATE FUNCTION hydra.webhook_rotate_secret(id bigint, overlap interval DEFAULT '0')
    RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.subscription := hydra._locked_subscription(id);
    fresh text := hydra._new_secret();
BEGIN
    IF overlap IS NULL OR overlap NOT BETWEEN '0 s' AND '30 days' THEN
        RAISE EXCEPTION 'invalid overlap: %', coalesce(overlap::text, 'null')
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'Both secrets can sign for a time between 0 and 30 days.',
                  HINT = 'Leave it out to replace the secret at once.';
    END IF;
    IF overlap > '0 s' AND '{x_webhook,github}' && (SELECT known.signatures FROM hydra.effective_subscription AS known
                                                    WHERE known.id = was.id) THEN
        RAISE EXCEPTION 'subscription % cannot sign with two secrets at a time', was.id
            USING ERRCODE = 'feature_not_supported',
                  DETAIL = 'It signs with x_webhook or github, whose header has room for one value.',
                  HINT = 'Rotate without an overlap, or change its signatures first.';
    END IF;
    -- Replaced at once: earlier overlaps end too, so that a secret that leaked is out of use.
    IF overlap = '0 s' THEN
        DELETE FROM hydra.signing_secret AS old WHERE old.subscription_id = was.id;
    ELSE
        UPDATE hydra.signing_secret AS old
        SET valid_until = greatest(now(), old.valid_from) + overlap
        WHERE old.subscription_id = was.id AND old.valid_until IS NULL;
    END IF;
    PERFORM hydra._keep_secret(was.id, fresh);
    RETURN fresh;
END
$$;
COMMENT ON FUNCTION hydra.webhook_rotate_secret(bigint, interval) IS
    'Gives a subscription a new signing secret and returns it, this once; during the overlap the old one signs too';

-- The path is evaluated as the caller, so it can read no more than the caller.
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
           AND hydra._filter_passes(choice.filter::text, entity);
END
$$;
COMMENT ON FUNCTION hydra.webhook_would_match(bigint, text, jsonb, text) IS
    'Whether an event like this would go to the subscription while it is active';

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
    'What a subscription asks of an event: whether it names the event type, and its tenant and filter';
SET LOCAL search_path = hydra, pg_temp;
