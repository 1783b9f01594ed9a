SET LOCAL search_path = pg_catalog, pg_temp;
-- Pausing and resuming subscriptions, and what becomes of the events that one missed.

CREATE FUNCTION hydra.webhook_pause(id bigint, keep_events boolean DEFAULT false)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.subscription := hydra._locked_subscription(id);
    keeps boolean := coalesce(keep_events, false);
BEGIN
    UPDATE hydra.subscription AS changed
    SET status = 'paused', disabled_reason = NULL, keeps_events = keeps,
        status_since = CASE was.status WHEN 'paused' THEN was.status_since ELSE now() END
    WHERE changed.id = was.id AND (was.status <> 'paused' OR was.keeps_events <> keeps);
    IF FOUND AND NOT keeps THEN
        RAISE NOTICE 'events are not kept for subscription % while it is paused', was.id
            USING HINT = format('SELECT hydra.webhook_pause(%s, keep_events => true); keeps those from now on.', was.id);
    END IF;
EXCEPTION WHEN integrity_constraint_violation THEN
    PERFORM hydra._refuse_row(SQLSTATE, SQLERRM);
END
$$;
COMMENT ON FUNCTION hydra.webhook_pause(bigint, boolean) IS
    'Stops a subscription: no requests are made; what is queued already is kept. keep_events: events of this time are kept as missed, until webhook_resume sends or drops them; otherwise they are not queued for it';

-- How many events a subscription missed, those that the dispatcher has not read yet included.
CREATE FUNCTION hydra._missed(subscription hydra.subscription)
    RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT (SELECT count(*) FROM hydra.delivery AS d WHERE d.subscription_id = subscription.id AND d.missed)
           + (SELECT count(*) FROM hydra.event AS e WHERE e.targets @> ARRAY[-subscription.id])
$$;
COMMENT ON FUNCTION hydra._missed(hydra.subscription) IS 'Number of events that a subscription missed and that are kept';

CREATE FUNCTION hydra.webhook_resume(id bigint, missed text DEFAULT NULL)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.subscription := hydra._locked_subscription(id);
    waiting bigint;
BEGIN
    IF missed NOT IN ('send', 'drop') THEN
        RAISE EXCEPTION 'invalid value of missed: %', left(missed, 120)
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'It says what becomes of the events that the subscription missed: send or drop.',
                  HINT = 'Omit it for a subscription that has missed none.';
    ELSIF was.status = 'active' THEN
        RETURN;
    END IF;
    waiting := hydra._missed(was);
    IF waiting > 0 AND missed IS NULL THEN
        RAISE EXCEPTION 'subscription % missed % events while it was %', was.id, waiting, was.status
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'They are kept, and can be sent or dropped.',
                  HINT = format('SELECT hydra.webhook_resume(%s, missed => ''send''); or SELECT hydra.webhook_resume(%1$s, missed => ''drop'');', was.id);
    ELSIF missed = 'drop' THEN
        -- Those that were not read yet first: the dispatcher may be moving them to the queue.
        PERFORM hydra._cancel_first_attempts(NULL, was.id, NULL, NULL, NULL, NULL, only_missed => true);
        DELETE FROM hydra.delivery AS dropped WHERE dropped.subscription_id = was.id AND dropped.missed;
    ELSIF waiting > 0 THEN
        UPDATE hydra.delivery AS sent SET missed = false WHERE sent.subscription_id = was.id AND sent.missed;
    END IF;
    DELETE FROM hydra.subscription_health AS health WHERE health.subscription_id = was.id;
    -- The dispatcher may be about to write what it has just read. It then does with it what is said here.
    UPDATE hydra.subscription AS changed
    SET status = 'active', disabled_reason = NULL, keeps_events = false, status_since = now(),
        drops_missed = coalesce(webhook_resume.missed = 'drop', false)
    WHERE changed.id = was.id;
EXCEPTION WHEN integrity_constraint_violation THEN
    PERFORM hydra._refuse_row(SQLSTATE, SQLERRM);
END
$$;
COMMENT ON FUNCTION hydra.webhook_resume(bigint, text) IS
    'Starts a paused or disabled subscription again and resets its failure counter; missed: send or drop what it missed, required if there is any';
SET LOCAL search_path = hydra, pg_temp;
