SET LOCAL search_path = pg_catalog, pg_temp;
-- Functions that act on deliveries: on one, or on all that meet some conditions. A condition that is null is not one. What
-- is being sent, or was finished in the meantime, is left out and not counted, so that nothing fails because of it.

CREATE FUNCTION hydra._check_conditions(
    delivery_id uuid, subscription_id bigint, tenant_id text, event text, since timestamptz, until timestamptz, error_class text,
    state text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF num_nonnulls(delivery_id, subscription_id, tenant_id, event, since, until, error_class, state) = 0 THEN
        RAISE EXCEPTION 'no deliveries are chosen'
            USING ERRCODE = 'null_value_not_allowed',
                  DETAIL = 'All conditions are null, and this would act on every delivery.',
                  HINT = 'Pass a delivery_id, or conditions such as subscription_id => 7. For every delivery, pass since => ''-infinity''.';
    ELSIF since >= until THEN
        RAISE EXCEPTION 'invalid window: from % to %', since, until
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The events of the window were emitted at or after its start and before its end, so its end must be later.',
                  HINT = 'For the last day, pass since => now() - interval ''1 day''. An end that is null is no limit.';
    ELSIF error_class NOT IN ('destination', 'dns', 'connection', 'tls', 'timeout', 'protocol', 'status', 'expired', 'internal') THEN
        RAISE EXCEPTION 'invalid error class: %', left(error_class, 120)
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'Error classes are destination, dns, connection, tls, timeout, protocol, status, expired and internal.',
                  HINT = 'hydra.webhook_history has the error class of each attempt.';
    ELSIF state NOT IN ('pending', 'failed', 'delivered') THEN
        RAISE EXCEPTION 'invalid state: %', left(state, 120)
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A delivery that is not finished is pending, one that was given up is failed, and one that has succeeded and is kept is delivered.',
                  HINT = 'Omit it for those that are pending or failed.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_conditions(uuid, bigint, text, text, timestamptz, timestamptz, text, text) IS
    'Fails if deliveries cannot be chosen by these conditions';

-- A mistyped event type chooses nothing, and would look as if nothing had to be done.
CREATE FUNCTION hydra._tell_of_unknown_event_type(event text)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    meant text;
BEGIN
    IF event IS NULL OR EXISTS (SELECT FROM hydra.event_type AS known WHERE hydra._names_event_type(event, known.name)) THEN
        RETURN;
    END IF;
    meant := hydra._nearest_event_type(left(event, 120), ARRAY(SELECT known.name FROM hydra.event_type AS known));
    RAISE NOTICE '%', CASE WHEN event LIKE '%*%' THEN format('no event type matches "%s"', left(event, 120))
                           ELSE format('event type "%s" is not registered', left(event, 120)) END
        USING DETAIL = 'No delivery was chosen.',
              HINT = CASE WHEN meant IS NOT NULL THEN format('Did you mean "%s"?', meant)
                          ELSE 'SELECT name FROM hydra.webhook_event_types lists the event types; "ticket.*" matches all that begin with "ticket.".' END;
END
$$;
COMMENT ON FUNCTION hydra._tell_of_unknown_event_type(text) IS
    'Says that no registered event type matches, and which one was probably meant; null: none was asked for';

CREATE FUNCTION hydra._locked_deliveries(
    delivery_id uuid, subscription_id bigint, tenant_id text, event text, since timestamptz, until timestamptz, error_class text,
    state text)
    RETURNS uuid[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM hydra._check_conditions(delivery_id, subscription_id, tenant_id, event, since, until, error_class, state);
    RETURN ARRAY(
        SELECT d.id
        FROM hydra.delivery AS d
        WHERE d.claimed_by IS NULL
              AND (delivery_id IS NULL OR d.id = delivery_id)
              AND (subscription_id IS NULL OR d.subscription_id = subscription_id)
              AND (tenant_id IS NULL OR d.tenant_id = tenant_id)
              AND (event IS NULL OR hydra._names_event_type(event, d.event_type))
              AND (since IS NULL OR d.emitted_at >= since) AND (until IS NULL OR d.emitted_at < until)
              AND (state IS NULL OR d.state = state)
              AND (error_class IS NULL OR error_class = (SELECT a.error_class FROM hydra.attempt AS a
                                                         WHERE a.delivery_id = d.id
                                                         ORDER BY a.attempt DESC, a.id DESC LIMIT 1))
        FOR UPDATE SKIP LOCKED);
END
$$;
COMMENT ON FUNCTION hydra._locked_deliveries(uuid, bigint, text, text, timestamptz, timestamptz, text, text) IS
    'Locks the rows of the retry queue that meet these conditions and are not being sent, and returns their ids';

CREATE FUNCTION hydra._send_again(delivery_ids uuid[])
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    changed bigint;
    subscriptions bigint[];
BEGIN
    WITH again AS (
        UPDATE hydra.delivery AS d
        SET state = 'pending', failed_at = NULL, due_at = now(), scheduled_at = NULL, earlier_attempts = d.attempts
        WHERE d.id = ANY (delivery_ids)
              -- hydra.webhook_resume says what becomes of what was missed.
              AND NOT d.missed
              -- Without its subscription, a delivery has no endpoint.
              AND EXISTS (SELECT FROM hydra.subscription AS s WHERE s.id = d.subscription_id)
        RETURNING d.subscription_id)
    SELECT count(*), array_agg(DISTINCT again.subscription_id) INTO changed, subscriptions FROM again;
    PERFORM hydra._announce_change(known.id) FROM unnest(subscriptions) AS known (id);
    RETURN changed;
END
$$;
COMMENT ON FUNCTION hydra._send_again(uuid[]) IS
    'Makes deliveries due now and starts their retry schedules again, except those of deleted subscriptions; returns how many. The caller has locked them';

-- The row is moved back to the retry queue. There is one already if a crash came between success and its end, and then it is
-- being sent again.
CREATE FUNCTION hydra._send_delivered_again(
    delivery_id uuid, subscription_id bigint, tenant_id text, event text, since timestamptz, until timestamptz)
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    sent bigint;
    subscriptions bigint[];
BEGIN
    WITH chosen AS MATERIALIZED (
        SELECT k.*
        FROM hydra.delivered AS k
        WHERE (delivery_id IS NULL OR k.id = delivery_id)
              AND (subscription_id IS NULL OR k.subscription_id = subscription_id)
              AND (tenant_id IS NULL OR k.tenant_id = tenant_id)
              AND (event IS NULL OR hydra._names_event_type(event, k.event_type))
              AND (since IS NULL OR k.emitted_at >= since) AND (until IS NULL OR k.emitted_at < until)
              AND EXISTS (SELECT FROM hydra.subscription AS s WHERE s.id = k.subscription_id)
        FOR UPDATE SKIP LOCKED
    ), queued AS (
        INSERT INTO hydra.delivery AS d (id, subscription_id, event_id, event_random, installation, event_type, entity_type,
                                         entity_id, tenant_id, operation, hops, emitted_at, preset, body, state, attempts,
                                         earlier_attempts, due_at)
        SELECT c.id, c.subscription_id, c.event_id, c.event_random, c.installation, c.event_type, c.entity_type,
               c.entity_id, c.tenant_id, c.operation, c.hops, c.emitted_at, c.preset, c.body, 'pending', c.attempts,
               c.attempts, now()
        FROM chosen AS c
        ON CONFLICT (id) DO NOTHING
        RETURNING d.id, d.subscription_id
    ), taken AS (
        DELETE FROM hydra.delivered AS k USING queued AS q WHERE k.id = q.id
    )
    SELECT count(*), array_agg(DISTINCT q.subscription_id) INTO sent, subscriptions FROM queued AS q;
    PERFORM hydra._announce_change(known.id) FROM unnest(subscriptions) AS known (id);
    RETURN sent;
END
$$;
COMMENT ON FUNCTION hydra._send_delivered_again(uuid, bigint, text, text, timestamptz, timestamptz) IS
    'Puts deliveries that have succeeded, are kept and meet these conditions back into the retry queue, due now, except those of deleted subscriptions; returns how many';

CREATE FUNCTION hydra.webhook_retry(
    delivery_id uuid DEFAULT NULL, subscription_id bigint DEFAULT NULL, tenant_id text DEFAULT NULL, event text DEFAULT NULL,
    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, error_class text DEFAULT NULL, state text DEFAULT NULL)
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    sent bigint := hydra._send_again(hydra._locked_deliveries(
        delivery_id, subscription_id, tenant_id, event, since, until, error_class, state));
BEGIN
    -- Many that have succeeded are sent again only if that is what is asked for. They have no error.
    IF error_class IS NULL AND (state = 'delivered' OR state IS NULL AND delivery_id IS NOT NULL AND sent = 0) THEN
        sent := hydra._send_delivered_again(delivery_id, subscription_id, tenant_id, event, since, until);
    END IF;
    IF sent = 0 AND delivery_id IS NOT NULL THEN
        RAISE NOTICE 'delivery % is not sent again', delivery_id
            USING DETAIL = 'It is being sent, or its subscription was deleted or has missed it, or it is not kept: it was cancelled, or has succeeded.',
                  HINT = 'SELECT hydra.webhook_update(…, keep_bodies => ''7 days''); keeps what succeeds from then on, so that it can be sent again.';
    ELSIF sent = 0 THEN
        PERFORM hydra._tell_of_unknown_event_type(event);
    END IF;
    RETURN sent;
END
$$;
COMMENT ON FUNCTION hydra.webhook_retry(uuid, bigint, text, text, timestamptz, timestamptz, text, text) IS
    'Sends failed and waiting deliveries that meet all of these conditions again now, with the same ids and bodies, and with state => ''delivered'' or by its id also what has succeeded and is kept; their retry schedules start again; returns how many';

CREATE FUNCTION hydra.webhook_replay(
    subscription_id bigint DEFAULT NULL, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
    tenant_id text DEFAULT NULL, event text DEFAULT NULL, error_class text DEFAULT NULL)
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    sent bigint;
BEGIN
    -- That they have failed is not a choice.
    PERFORM hydra._check_conditions(NULL, subscription_id, tenant_id, event, since, until, error_class, NULL);
    IF subscription_id IS NOT NULL THEN
        PERFORM hydra._locked_subscription(subscription_id);
    END IF;
    sent := hydra._send_again(hydra._locked_deliveries(NULL, subscription_id, tenant_id, event, since, until, error_class, 'failed'));
    IF sent = 0 THEN
        PERFORM hydra._tell_of_unknown_event_type(event);
    END IF;
    RETURN sent;
END
$$;
COMMENT ON FUNCTION hydra.webhook_replay(bigint, timestamptz, timestamptz, text, text, text) IS
    'Sends again the failed deliveries that meet all of these conditions, such as those whose events were emitted at or after since and before until; returns how many';

-- The row of an event is replaced and not updated, so that the dispatcher notices that it is gone when it is about to
-- delete it, see sql/queries/insert_deliveries.sql.
CREATE FUNCTION hydra._cancel_first_attempts(
    delivery_id uuid, subscription_id bigint, tenant_id text, event text, since timestamptz, until timestamptz,
    only_missed boolean DEFAULT false)
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    cancelled bigint;
    subscriptions bigint[];
BEGIN
    WITH taken AS (
        DELETE FROM hydra.event AS e
        WHERE (subscription_id IS NULL OR e.targets && CASE WHEN only_missed THEN ARRAY[-subscription_id] ELSE ARRAY[subscription_id, -subscription_id] END)
              AND (tenant_id IS NULL OR e.tenant_id = tenant_id)
              AND (event IS NULL OR hydra._names_event_type(event, e.event_type))
              AND (since IS NULL OR e.emitted_at >= since) AND (until IS NULL OR e.emitted_at < until)
              -- No index has the ids of deliveries, so all events are read. Most have one target, and unnest takes longer than
              -- everything else.
              AND (delivery_id IS NULL
                   OR hydra._delivery_id(e.installation, e.id, e.random, abs(e.targets[1])) = delivery_id
                   OR cardinality(e.targets) > 1
                      AND EXISTS (SELECT FROM unnest(e.targets[2:]) AS target (number)
                                  WHERE hydra._delivery_id(e.installation, e.id, e.random, abs(target.number)) = delivery_id))
        RETURNING e.*
    ), divided AS MATERIALIZED (
        SELECT t.*, entries.cancelled, entries.rest
        FROM taken AS t
        CROSS JOIN LATERAL (
            SELECT array_agg(abs(entry.number)) FILTER (WHERE entry.is_chosen) AS cancelled,
                   array_agg(entry.number ORDER BY entry.place) FILTER (WHERE NOT entry.is_chosen) AS rest
            FROM (SELECT target.number, target.place,
                         (subscription_id IS NULL OR target.number = -subscription_id OR NOT only_missed AND target.number = subscription_id)
                         AND (delivery_id IS NULL
                              OR hydra._delivery_id(t.installation, t.id, t.random, abs(target.number)) = delivery_id) AS is_chosen
                  FROM unnest(t.targets) WITH ORDINALITY AS target (number, place)) AS entry) AS entries
    ), put_back AS (
        INSERT INTO hydra.event (xid, id, random, emitted_at, installation, hops, operation, event_type, entity_type, entity_id,
                                 tenant_id, entity, entity_error, previous, targets)
        SELECT d.xid, d.id, d.random, d.emitted_at, d.installation, d.hops, d.operation, d.event_type, d.entity_type, d.entity_id,
               d.tenant_id, d.entity, d.entity_error, d.previous, d.rest
        FROM divided AS d
        WHERE d.rest IS NOT NULL
    )
    SELECT count(*), array_agg(DISTINCT target.id) INTO cancelled, subscriptions
    FROM divided AS d, unnest(d.cancelled) AS target (id);
    -- Makes the dispatcher give back what it has in memory of these subscriptions.
    PERFORM FROM hydra.subscription AS s WHERE s.id = ANY (subscriptions) ORDER BY s.id FOR NO KEY UPDATE;
    UPDATE hydra.subscription AS s SET cancelled_at = clock_timestamp() WHERE s.id = ANY (subscriptions);
    RETURN cancelled;
END
$$;
COMMENT ON FUNCTION hydra._cancel_first_attempts(uuid, bigint, text, text, timestamptz, timestamptz, boolean) IS
    'Cancels deliveries that meet these conditions and have no row in the retry queue, because nothing was attempted so far; only_missed: only what the subscription missed; returns how many';

CREATE FUNCTION hydra._cancel_in_queue(delivery_ids uuid[])
    RETURNS bigint LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    WITH cancelled AS (DELETE FROM hydra.delivery AS d WHERE d.id = ANY (delivery_ids) RETURNING d.id)
    SELECT count(*) FROM cancelled
$$;
COMMENT ON FUNCTION hydra._cancel_in_queue(uuid[]) IS 'Removes rows from the retry queue, and returns how many. The caller has locked them';

CREATE FUNCTION hydra.webhook_cancel(
    delivery_id uuid DEFAULT NULL, subscription_id bigint DEFAULT NULL, tenant_id text DEFAULT NULL, event text DEFAULT NULL,
    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, error_class text DEFAULT NULL, state text DEFAULT NULL)
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    cancelled bigint := 0;
BEGIN
    PERFORM hydra._check_conditions(delivery_id, subscription_id, tenant_id, event, since, until, error_class, state);
    IF state = 'delivered' THEN
        RAISE EXCEPTION 'deliveries that have succeeded cannot be cancelled'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'Their receivers have them.',
                  HINT = 'Omit state, or pass pending or failed.';
    END IF;
    -- Most often it is in the retry queue, where an index finds it.
    IF delivery_id IS NOT NULL THEN
        cancelled := hydra._cancel_in_queue(hydra._locked_deliveries(
            delivery_id, subscription_id, tenant_id, event, since, until, error_class, state));
        IF cancelled > 0 THEN
            RETURN cancelled;
        END IF;
    END IF;
    -- What was never attempted has no error, and has not failed. It comes first: the dispatcher may be moving it to the queue.
    IF error_class IS NULL AND state IS DISTINCT FROM 'failed' THEN
        cancelled := hydra._cancel_first_attempts(delivery_id, subscription_id, tenant_id, event, since, until);
    END IF;
    cancelled := cancelled + hydra._cancel_in_queue(hydra._locked_deliveries(
        delivery_id, subscription_id, tenant_id, event, since, until, error_class, state));
    IF cancelled = 0 THEN
        PERFORM hydra._tell_of_unknown_event_type(event);
    END IF;
    RETURN cancelled;
END
$$;
COMMENT ON FUNCTION hydra.webhook_cancel(uuid, bigint, text, text, timestamptz, timestamptz, text, text) IS
    'Removes waiting and failed deliveries that meet all of these conditions, and those that were not attempted yet; they are not sent, and their history is kept; returns how many';
SET LOCAL search_path = hydra, pg_temp;
