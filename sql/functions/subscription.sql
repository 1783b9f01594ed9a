SET LOCAL search_path = pg_catalog, pg_temp;
-- Functions that manage subscriptions. They run as their owner (SECURITY DEFINER), so a role needs only EXECUTE on a
-- function, and no privilege on the tables.

-- Only for the few events of the extension itself. For other events, sessions find the subscriptions in their memory.
-- The number of a subscription that misses the event is negative, as in hydra.event.targets.
CREATE FUNCTION hydra._wanted_by(event_type text, tenant_id text, entity jsonb, other_than bigint) RETURNS bigint[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(CASE s.status WHEN 'active' THEN s.id ELSE -s.id END ORDER BY s.id)
    FROM hydra.subscription AS s
    WHERE (s.status <> 'paused' OR s.keeps_events) AND s.id <> other_than
          AND EXISTS (SELECT FROM unnest(s.event_types) AS wanted WHERE hydra._names_event_type(wanted, event_type))
          AND (s.tenant_id IS NULL OR s.tenant_id = _wanted_by.tenant_id)
          AND hydra._own_event_passes(s.id, s.filter, entity)
$$;
COMMENT ON FUNCTION hydra._wanted_by(text, text, jsonb, bigint) IS
    'Subscriptions, other than other_than, that want this event of the extension itself, as targets of hydra.event; null: none';

CREATE FUNCTION hydra._check_subscription(
    name text, event_types text[], tenant_id text, preset text, signatures text[], headers jsonb, timeout interval,
    retry_schedule interval[], filter jsonpath, max_in_flight integer, rate_limit integer, disable_after integer, disable_after_time interval,
    keep_bodies interval)
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
                  HINT = 'Omit it, or choose another name; webhook_update(…, reset => ''{name}'') removes a name.';
    ELSIF cardinality(event_types) = 0 OR array_ndims(event_types) > 1
          OR array_position(event_types, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'invalid event types'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A subscription names one or more event types, in a one-dimensional array without nulls.',
                  HINT = 'SELECT name FROM hydra.webhook_event_types lists the event types.';
    ELSIF cardinality(event_types) > 10000 OR octet_length(array_to_string(event_types, ',')) > 262144 THEN
        RAISE EXCEPTION 'too many event types'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('A subscription has at most 10000 entries in event_types, with 262144 bytes in all; these are %s entries with %s bytes.',
                                  cardinality(event_types), octet_length(array_to_string(event_types, ','))),
                  HINT = 'Use entries such as ''ticket.*'', which match many event types.';
    ELSIF octet_length(tenant_id) > 1024 THEN
        RAISE EXCEPTION 'tenant_id is too long'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('It has %s bytes; a tenant has at most 1024.', octet_length(tenant_id)),
                  HINT = 'Use the same short key of the tenant that its events have.';
    ELSIF tenant_id = '' THEN
        RAISE EXCEPTION 'tenant_id must not be empty'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'No event belongs to a tenant with an empty name.',
                  HINT = 'Omit it for a subscription that receives the events of all tenants; webhook_update(…, reset => ''{tenant_id}'') makes it one.';
    ELSIF cardinality(signatures) = 0 OR array_ndims(signatures) > 1
          OR NOT signatures <@ '{hydra,x_webhook,standard,github}'
          OR cardinality(signatures) > (SELECT count(DISTINCT scheme) FROM unnest(signatures) AS scheme) THEN
        RAISE EXCEPTION 'invalid signatures: %', left(signatures::text, 120)
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'Signatures are hydra, x_webhook, standard (Standard Webhooks) and github (X-Hub-Signature-256), each at most once.',
                  HINT = 'Use an array such as ''{hydra,standard}'', or omit it for the signature of the preset; webhook_update(…, reset => ''{signatures}'') returns to it.';
    ELSIF extract(epoch FROM timeout) NOT BETWEEN 0.1 AND 60 THEN
        RAISE EXCEPTION 'invalid timeout: %', timeout
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The timeout of a whole request is between 100 ms and 60 s.',
                  HINT = 'A receiver should answer first and do its work afterwards.';
    ELSIF cardinality(retry_schedule) > 50 OR array_ndims(retry_schedule) > 1
          OR array_position(retry_schedule, NULL) IS NOT NULL
          OR 0 > ANY (hydra._seconds(retry_schedule)) OR 604800 < ANY (hydra._seconds(retry_schedule)) THEN
        RAISE EXCEPTION 'invalid retry schedule'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A schedule has at most 50 delays, each between 0 and 7 days and not null, in a one-dimensional array.',
                  HINT = 'For three retries, use an array such as ''{30 s,2 min,10 min}''.';
    ELSIF octet_length(filter::text) > 8192 THEN
        RAISE EXCEPTION 'filter is too long'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('As text it has %s bytes; a filter has at most 8192.', octet_length(filter::text)),
                  HINT = 'Compare with fewer values, or add a column to the entity that says whether it is wanted.';
    -- Looks for a variable in the path without its string constants. There are no values for variables.
    ELSIF regexp_replace(filter::text, E'(?<![$])"(\\\\.|[^"\\\\])*"', '', 'g') ~ '[$]"' THEN
        RAISE EXCEPTION 'invalid filter: %', filter
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A filter sees the entity as $ and has no variables.',
                  HINT = 'Use a path such as ''$.priority == "high"''.';
    ELSIF max_in_flight NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'invalid max_in_flight: %', max_in_flight
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The number of requests in progress at a time is between 1 and 10000.',
                  HINT = 'Use 1 to deliver events in order.';
    ELSIF rate_limit NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'invalid rate_limit: %', rate_limit
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The number of requests that may start in a second is between 1 and 10000.',
                  HINT = 'Omit it for no limit; webhook_update(…, reset => ''{rate_limit}'') removes a limit.';
    ELSIF disable_after < 1 THEN
        RAISE EXCEPTION 'invalid disable_after: %', disable_after
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'It is a number of consecutive failed attempts, so it must be at least 1.',
                  HINT = 'Omit it for the default of the preset; webhook_update(…, reset => ''{disable_after}'') returns to it.';
    ELSIF extract(epoch FROM disable_after_time) NOT BETWEEN 0 AND 30 * 86400 THEN
        RAISE EXCEPTION 'invalid disable_after_time: %', disable_after_time
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The time for which attempts must have failed before the subscription is disabled is between 0 and 30 days.',
                  HINT = 'Use 0 to count attempts only.';
    ELSIF extract(epoch FROM keep_bodies) NOT BETWEEN 1 AND 366 * 86400 THEN
        RAISE EXCEPTION 'invalid keep_bodies: %', keep_bodies
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The time for which deliveries are kept after they have succeeded is between 1 second and 366 days.',
                  HINT = 'Omit it to keep none; webhook_update(…, reset => ''{keep_bodies}'') keeps no further ones.';
    END IF;

    PERFORM hydra._check_headers(headers::text);

    SELECT wanted INTO unknown
    FROM unnest(event_types) AS wanted
    WHERE NOT EXISTS (SELECT FROM hydra.event_type AS known WHERE hydra._names_event_type(wanted, known.name))
    LIMIT 1;
    IF unknown ^@ 'webhook.' THEN
        RAISE EXCEPTION 'event type "%" is reserved', left(unknown, 120)
            USING ERRCODE = 'reserved_name',
                  DETAIL = 'Only the extension itself has event types named webhook.*, and it has none of this name.',
                  HINT = 'SELECT name FROM hydra.webhook_event_types WHERE origin = ''extension'' lists them.';
    ELSIF unknown LIKE '%*%' THEN
        RAISE EXCEPTION 'no event type matches "%"', left(unknown, 120)
            USING ERRCODE = 'undefined_object',
                  DETAIL = '"ticket.*" matches all event types that begin with "ticket.", and "*" matches all that do not begin with "webhook.".',
                  HINT = 'SELECT name FROM hydra.webhook_event_types lists the event types.';
    ELSIF FOUND THEN
        RAISE EXCEPTION 'event type "%" is not registered', left(unknown, 120)
            USING ERRCODE = 'undefined_object',
                  DETAIL = 'A subscription can name only registered event types.',
                  HINT = hydra._event_type_correction(left(unknown, 120), ARRAY(SELECT known.name FROM hydra.event_type AS known));
    END IF;

    IF NOT EXISTS (SELECT FROM hydra.preset AS known WHERE known.name = coalesce(preset, 'hydra')) THEN
        RAISE EXCEPTION 'preset "%" does not exist', left(preset, 120)
            USING ERRCODE = 'undefined_object',
                  DETAIL = (SELECT format('Presets are %s.', string_agg(known.name, ', ' ORDER BY known.name))
                            FROM hydra.preset AS known),
                  HINT = 'Omit it for hydra.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_subscription(text, text[], text, text, text[], jsonb, interval, interval[], jsonpath, integer, integer, integer, interval, interval) IS
    'Fails if a subscription cannot have these settings; null: not given';

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
COMMENT ON FUNCTION hydra._locked_subscription(bigint) IS 'Locks a subscription for a change and returns it; fails if it does not exist';

CREATE FUNCTION hydra._refuse_row(state text, message text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION '%', message
        USING ERRCODE = state,
              DETAIL = 'The row is not shown, because it may contain secrets.',
              HINT = 'The constraint is none of the extension. Somebody added it to the table.';
END
$$;
COMMENT ON FUNCTION hydra._refuse_row(text, text) IS
    'Raises the error of a constraint again, without the row that Postgres would show in it';

CREATE FUNCTION hydra._refuse_name(name text, tenant_id text)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    taken_by bigint := (SELECT known.id FROM hydra.subscription AS known
                        WHERE known.name = name AND known.tenant_id IS NOT DISTINCT FROM tenant_id);
BEGIN
    RAISE EXCEPTION 'subscription name "%" is taken', name
        USING ERRCODE = 'duplicate_object',
              DETAIL = concat('Subscription ' || taken_by || ' has it. ',
                              'No two subscriptions of a tenant, or of no tenant, have the same name.'),
              HINT = 'Choose another name. With if_not_exists => true, hydra.webhook_create leaves the existing one as it is.';
END
$$;
COMMENT ON FUNCTION hydra._refuse_name(text, text) IS 'Raises the error of a name that another subscription of the tenant has';

-- Values of headers may be sealed, so only their names are compared.
CREATE FUNCTION hydra._other_settings(
    existing hydra.subscription, url text, event_types text[], preset text, signatures text[], headers jsonb,
    timeout interval, retry_schedule interval[], filter jsonpath, max_in_flight integer, rate_limit integer,
    disable_after integer, log_successes boolean, disable_after_time interval, keep_bodies interval)
    RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT string_agg(setting.name, ', ' ORDER BY setting.place)
    FROM (VALUES (1, 'url', $2, existing.url), (2, 'event_types', $3::text, existing.event_types::text),
                 (3, 'preset', $4, existing.preset), (4, 'signatures', $5::text, existing.signatures::text),
                 (5, 'headers', ARRAY(SELECT jsonb_object_keys($6))::text, ARRAY(SELECT jsonb_object_keys(existing.headers))::text),
                 (6, 'timeout', $7::text, existing.timeout::text),
                 (7, 'retry_schedule', $8::text, existing.retry_schedule::text),
                 (8, 'filter', $9::text, coalesce(existing.filter::text, '$')),
                 (9, 'max_in_flight', $10::text, existing.max_in_flight::text),
                 (10, 'rate_limit', $11::text, existing.rate_limit::text),
                 (11, 'disable_after', $12::text, existing.disable_after::text),
                 (12, 'log_successes', $13::text, existing.log_successes::text),
                 (13, 'disable_after_time', $14::text, existing.disable_after_time::text),
                 (14, 'keep_bodies', $15::text, existing.keep_bodies::text)) AS setting (place, name, given, has)
    WHERE setting.given IS DISTINCT FROM setting.has
          AND CASE setting.name WHEN 'headers' THEN $6 IS NOT NULL ELSE setting.given IS NOT NULL END
$$;
COMMENT ON FUNCTION hydra._other_settings(hydra.subscription, text, text[], text, text[], jsonb, interval, interval[], jsonpath, integer, integer, integer, boolean, interval, interval) IS
    'Names of the given settings for which the subscription has other values; null: none';

CREATE FUNCTION hydra.webhook_seal_secrets()
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    sealed bigint;
BEGIN
    -- Others who change secrets lock the subscription first, too.
    PERFORM FROM hydra.subscription AS s ORDER BY s.id FOR NO KEY UPDATE;
    -- Only secrets that still sign: the key that sealed an older one may no longer exist. The secrets are not read into
    -- variables, which would be parameters of a statement and could be logged.
    UPDATE hydra.signing_secret AS k SET secret = hydra._reseal_secret(k.secret, k.subscription_id)
    WHERE k.valid_until IS NULL OR k.valid_until > now();
    GET DIAGNOSTICS sealed = ROW_COUNT;
    UPDATE hydra.subscription AS s SET headers = hydra._reseal_headers(s.headers, s.id) WHERE s.headers <> '{}';
    RETURN sealed + hydra._seal_inbound_secrets() + hydra._seal_mail_secret() + (SELECT count(*) FROM hydra.subscription AS s CROSS JOIN LATERAL jsonb_object_keys(s.headers));
EXCEPTION WHEN integrity_constraint_violation THEN
    PERFORM hydra._refuse_row(SQLSTATE, SQLERRM);
END
$$;
COMMENT ON FUNCTION hydra.webhook_seal_secrets() IS
    'Seals all signing secrets in use, all values of headers, and the secrets of inbound adapters with the first key of hydra_webhooks.key_file; returns how many. Call it after the setting or the file has changed';

CREATE FUNCTION hydra.webhook_create(
    url text, event_types text[], name text DEFAULT NULL, tenant_id text DEFAULT NULL, preset text DEFAULT NULL,
    signatures text[] DEFAULT NULL, headers jsonb DEFAULT NULL, timeout interval DEFAULT NULL,
    retry_schedule interval[] DEFAULT NULL, filter jsonpath DEFAULT NULL, max_in_flight integer DEFAULT NULL,
    rate_limit integer DEFAULT NULL, disable_after integer DEFAULT NULL, log_successes boolean DEFAULT NULL,
    disable_after_time interval DEFAULT NULL, if_not_exists boolean DEFAULT false,
    OUT id bigint, INOUT secret text DEFAULT NULL, keep_bodies interval DEFAULT NULL)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    sealed jsonb;
    violated text;
    existing hydra.subscription;
    others text;
BEGIN
    IF url IS NULL OR event_types IS NULL THEN
        RAISE EXCEPTION '% must not be null', CASE WHEN url IS NULL THEN 'url' ELSE 'event_types' END
            USING ERRCODE = 'null_value_not_allowed',
                  DETAIL = 'A subscription needs a URL to send to and event types to send.',
                  HINT = 'SELECT * FROM hydra.webhook_create(''https://…'', ''{ticket.created}'');';
    END IF;
    IF if_not_exists AND name IS NULL THEN
        RAISE EXCEPTION 'if_not_exists needs a name'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A subscription is taken for the same one if it has the same name and tenant.',
                  HINT = 'Give it a name: name => ''crm'', if_not_exists => true.';
    END IF;
    PERFORM hydra._check_url(url);
    PERFORM hydra._check_subscription(name, event_types, tenant_id, preset, signatures, headers, timeout, retry_schedule, filter,
                                      max_in_flight, rate_limit, disable_after, disable_after_time, keep_bodies);

    -- Before the row, because sealed values are bound to the subscription.
    id := nextval('hydra.subscription_id_seq');
    sealed := hydra._seal_headers(headers, id);
    INSERT INTO hydra.subscription (id, url, event_types, name, tenant_id, preset, signatures, headers, timeout,
                                    retry_schedule, filter, max_in_flight, rate_limit, disable_after, log_successes,
                                    disable_after_time, keep_bodies)
    VALUES (id, url, event_types, name, tenant_id, coalesce(preset, 'hydra'), signatures, coalesce(sealed, '{}'), timeout,
            retry_schedule, CASE WHEN filter::text <> '$' THEN filter END, max_in_flight, rate_limit, disable_after,
            coalesce(log_successes, false), disable_after_time, keep_bodies);
    secret := hydra._add_secret(id, secret);
EXCEPTION WHEN integrity_constraint_violation THEN
    GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
    IF violated <> 'subscription_name' THEN
        PERFORM hydra._refuse_row(SQLSTATE, SQLERRM);
    END IF;
    SELECT known.* INTO existing FROM hydra.subscription AS known
    WHERE known.name = name AND known.tenant_id IS NOT DISTINCT FROM tenant_id;
    IF existing.id IS NULL OR if_not_exists IS NOT TRUE THEN
        PERFORM hydra._refuse_name(name, tenant_id);
    END IF;
    id := existing.id;
    secret := NULL;
    others := hydra._other_settings(existing, url, event_types, preset, signatures, headers, timeout, retry_schedule, filter,
                                    max_in_flight, rate_limit, disable_after, log_successes, disable_after_time, keep_bodies);
    IF others IS NULL THEN
        RAISE NOTICE 'subscription "%" exists, skipping', name;
    ELSE
        RAISE NOTICE 'subscription "%" exists, skipping', name
            USING DETAIL = format('Subscription %s has other values for these settings: %s.', id, others),
                  HINT = format('SELECT hydra.webhook_update(%s, …) changes them.', id);
    END IF;
END
$$;
COMMENT ON FUNCTION hydra.webhook_create(
    text, text[], text, text, text, text[], jsonb, interval, interval[], jsonpath, integer, integer, integer, boolean, interval, boolean, text,
    interval) IS
    'Creates a subscription; returns its id and its signing secret, which is not shown again. If no secret is given, a random one is made. With if_not_exists, an existing one with the same name and tenant is left as it is, and the secret is null';

CREATE FUNCTION hydra._check_reset(reset text[], given text[])
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known CONSTANT text[] := '{name,tenant_id,signatures,timeout,retry_schedule,filter,max_in_flight,rate_limit,disable_after,disable_after_time,keep_bodies}';
    wrong text;
BEGIN
    SELECT entry INTO wrong FROM unnest(reset) AS entry WHERE entry = ANY (known) IS NOT TRUE LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'setting "%" cannot be reset', coalesce(left(wrong, 120), 'null')
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('These settings can be: %s.', array_to_string(known, ', ')),
                  HINT = 'Pass the others with a new value.';
    END IF;
    SELECT entry INTO wrong FROM unnest(reset) AS entry WHERE entry = ANY (given) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'setting "%" is both given and reset', wrong
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A setting that is reset has no value of its own.',
                  HINT = 'Omit one of them.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_reset(text[], text[]) IS
    'Fails if settings of a subscription cannot be reset, because there are none of these names or because they are given';

CREATE FUNCTION hydra.webhook_update(
    id bigint, url text DEFAULT NULL, event_types text[] DEFAULT NULL, name text DEFAULT NULL,
    tenant_id text DEFAULT NULL, preset text DEFAULT NULL, signatures text[] DEFAULT NULL, headers jsonb DEFAULT NULL,
    timeout interval DEFAULT NULL, retry_schedule interval[] DEFAULT NULL, filter jsonpath DEFAULT NULL,
    max_in_flight integer DEFAULT NULL, rate_limit integer DEFAULT NULL, disable_after integer DEFAULT NULL,
    log_successes boolean DEFAULT NULL, disable_after_time interval DEFAULT NULL, reset text[] DEFAULT NULL,
    keep_bodies interval DEFAULT NULL)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    was hydra.subscription := hydra._locked_subscription(id);
    sealed jsonb;
    violated text;
    setting text;
BEGIN
    IF url IS NOT NULL THEN
        PERFORM hydra._check_url(url);
    END IF;
    IF url IS NOT NULL AND headers IS NULL AND was.headers <> '{}' AND hydra._origin(url) IS DISTINCT FROM hydra._origin(was.url) THEN
        RAISE EXCEPTION 'the headers of subscription % are for another endpoint', was.id
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The new URL has another scheme, host or port, and would receive their values, which may be secret.',
                  HINT = 'Pass headers too: those of the new endpoint, or ''{}'' for none.';
    END IF;
    PERFORM hydra._check_subscription(name, event_types, tenant_id, coalesce(preset, was.preset), signatures, headers, timeout,
                                      retry_schedule, filter, max_in_flight, rate_limit, disable_after, disable_after_time, keep_bodies);
    PERFORM hydra._check_reset(reset, array_remove(ARRAY[
        CASE WHEN name IS NOT NULL THEN 'name' END, CASE WHEN tenant_id IS NOT NULL THEN 'tenant_id' END,
        CASE WHEN signatures IS NOT NULL THEN 'signatures' END,
        CASE WHEN timeout IS NOT NULL THEN 'timeout' END, CASE WHEN retry_schedule IS NOT NULL THEN 'retry_schedule' END,
        CASE WHEN filter IS NOT NULL THEN 'filter' END, CASE WHEN max_in_flight IS NOT NULL THEN 'max_in_flight' END,
        CASE WHEN rate_limit IS NOT NULL THEN 'rate_limit' END, CASE WHEN disable_after IS NOT NULL THEN 'disable_after' END,
        CASE WHEN disable_after_time IS NOT NULL THEN 'disable_after_time' END,
        CASE WHEN keep_bodies IS NOT NULL THEN 'keep_bodies' END], NULL));
    -- What the subscription keeps where nothing is given.
    FOREACH setting IN ARRAY coalesce(reset, '{}') LOOP
        CASE setting
            WHEN 'name' THEN was.name := NULL;
            WHEN 'tenant_id' THEN was.tenant_id := NULL;
            WHEN 'signatures' THEN was.signatures := NULL;
            WHEN 'timeout' THEN was.timeout := NULL;
            WHEN 'retry_schedule' THEN was.retry_schedule := NULL;
            WHEN 'filter' THEN was.filter := NULL;
            WHEN 'max_in_flight' THEN was.max_in_flight := NULL;
            WHEN 'rate_limit' THEN was.rate_limit := NULL;
            WHEN 'disable_after' THEN was.disable_after := NULL;
            WHEN 'disable_after_time' THEN was.disable_after_time := NULL;
            WHEN 'keep_bodies' THEN was.keep_bodies := NULL;
        END CASE;
    END LOOP;
    sealed := hydra._seal_headers(headers, was.id);
    UPDATE hydra.subscription AS changed
    SET url = coalesce(webhook_update.url, was.url),
        event_types = coalesce(webhook_update.event_types, was.event_types),
        name = coalesce(webhook_update.name, was.name),
        tenant_id = coalesce(webhook_update.tenant_id, was.tenant_id),
        preset = coalesce(webhook_update.preset, was.preset),
        signatures = coalesce(webhook_update.signatures, was.signatures),
        headers = coalesce(sealed, changed.headers),
        timeout = coalesce(webhook_update.timeout, was.timeout),
        retry_schedule = coalesce(webhook_update.retry_schedule, was.retry_schedule),
        filter = CASE WHEN webhook_update.filter IS NULL THEN was.filter
                      WHEN webhook_update.filter::text <> '$' THEN webhook_update.filter END,
        max_in_flight = coalesce(webhook_update.max_in_flight, was.max_in_flight),
        rate_limit = coalesce(webhook_update.rate_limit, was.rate_limit),
        disable_after = coalesce(webhook_update.disable_after, was.disable_after),
        disable_after_time = coalesce(webhook_update.disable_after_time, was.disable_after_time),
        log_successes = coalesce(webhook_update.log_successes, was.log_successes),
        keep_bodies = coalesce(webhook_update.keep_bodies, was.keep_bodies)
    WHERE changed.id = was.id;
    IF preset IS NOT NULL OR signatures IS NOT NULL OR 'signatures' = ANY (reset) THEN
        PERFORM hydra._check_secrets_fit(was.id);
    END IF;
EXCEPTION WHEN integrity_constraint_violation THEN
    GET STACKED DIAGNOSTICS violated = CONSTRAINT_NAME;
    IF violated = 'subscription_name' THEN
        PERFORM hydra._refuse_name(coalesce(name, was.name), coalesce(tenant_id, was.tenant_id));
    END IF;
    PERFORM hydra._refuse_row(SQLSTATE, SQLERRM);
END
$$;
COMMENT ON FUNCTION hydra.webhook_update(
    bigint, text, text[], text, text, text, text[], jsonb, interval, interval[], jsonpath, integer, integer, integer, boolean, interval, text[],
    interval) IS
    'Changes a subscription, from its next attempt on; null leaves a setting unchanged, and reset names settings that become those of the preset, or none';

CREATE FUNCTION hydra.webhook_delete(id bigint)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.subscription := hydra._locked_subscription(id);
BEGIN
    DELETE FROM hydra.subscription AS gone WHERE gone.id = was.id;
    -- The dispatcher deletes the deliveries that it is sending.
    DELETE FROM hydra.delivery AS waiting
    WHERE waiting.subscription_id = was.id AND waiting.state = 'pending' AND waiting.claimed_by IS NULL;
END
$$;
COMMENT ON FUNCTION hydra.webhook_delete(bigint) IS
    'Deletes a subscription, its secrets and its pending deliveries; its history, failed deliveries and what keep_bodies has kept stay';

CREATE FUNCTION hydra.webhook_rotate_secret(id bigint, overlap interval DEFAULT '0', secret text DEFAULT NULL)
    RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.subscription := hydra._locked_subscription(id);
    -- A year that is subtracted from days may last longer or shorter than it compares, so it is the seconds that count.
    seconds numeric := extract(epoch FROM overlap);
    in_use bigint;
    first_end timestamptz;
BEGIN
    IF overlap IS NULL OR seconds NOT BETWEEN 0 AND 30 * 86400 THEN
        RAISE EXCEPTION 'invalid overlap: %', coalesce(overlap::text, 'null')
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The overlap, in which both secrets sign, is between 0 and 30 days.',
                  HINT = 'Omit it to replace the secret at once.';
    END IF;
    IF seconds > 0 AND '{x_webhook,github}' && (SELECT known.signatures FROM hydra.effective_subscription AS known
                                                WHERE known.id = was.id) THEN
        RAISE EXCEPTION 'subscription % cannot sign with two secrets at a time', was.id
            USING ERRCODE = 'feature_not_supported',
                  DETAIL = 'It signs with x_webhook or github, whose headers hold only one signature.',
                  HINT = 'Rotate the secret without an overlap, or change the signatures first.';
    END IF;
    -- Each secret in use makes the header of the signature longer, and receivers limit its length.
    IF seconds > 0 THEN
        SELECT count(*), min(known.valid_until) INTO in_use, first_end
        FROM hydra.signing_secret AS known
        WHERE known.subscription_id = was.id AND (known.valid_until IS NULL OR known.valid_until > now());
        IF in_use >= 8 THEN
            RAISE EXCEPTION 'subscription % has too many signing secrets in use', was.id
                USING ERRCODE = 'program_limit_exceeded',
                      DETAIL = format('At most 8 secrets sign at a time; %s are in use, and the first of their overlaps ends at %s.',
                                      in_use, first_end),
                      HINT = format('SELECT hydra.webhook_end_overlap(%s) ends all overlaps; so does a rotation without one.', was.id);
        END IF;
    END IF;
    -- Without an overlap, earlier overlaps end too, so that a leaked secret no longer signs.
    IF seconds = 0 THEN
        DELETE FROM hydra.signing_secret AS old WHERE old.subscription_id = was.id;
    ELSE
        UPDATE hydra.signing_secret AS old
        SET valid_until = greatest(now(), old.valid_from) + make_interval(secs => seconds::double precision)
        WHERE old.subscription_id = was.id AND old.valid_until IS NULL;
    END IF;
    RETURN hydra._add_secret(was.id, secret);
EXCEPTION WHEN integrity_constraint_violation THEN
    PERFORM hydra._refuse_row(SQLSTATE, SQLERRM);
END
$$;
COMMENT ON FUNCTION hydra.webhook_rotate_secret(bigint, interval, text) IS
    'Gives a subscription a new signing secret, the given one or a random one, and returns it, once; during the overlap the old secret signs too';

CREATE FUNCTION hydra.webhook_end_overlap(id bigint)
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.subscription := hydra._locked_subscription(id);
    ended bigint;
BEGIN
    WITH old AS (
        DELETE FROM hydra.signing_secret AS k
        WHERE k.subscription_id = was.id AND k.valid_until IS NOT NULL
        RETURNING k.valid_until)
    SELECT count(*) INTO ended FROM old WHERE old.valid_until > now();
    RETURN ended;
END
$$;
COMMENT ON FUNCTION hydra.webhook_end_overlap(bigint) IS
    'Ends the overlap after a rotation: only the current secret of a subscription signs from now on; returns how many old ones have signed until now';
SET LOCAL search_path = hydra, pg_temp;
