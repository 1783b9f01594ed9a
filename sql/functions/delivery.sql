SET LOCAL search_path = pg_catalog, pg_temp;
CREATE FUNCTION hydra._locked_delivery(delivery_id uuid)
    RETURNS hydra.delivery LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found hydra.delivery;
BEGIN
    SELECT known.* INTO found FROM hydra.delivery AS known WHERE known.id = delivery_id FOR NO KEY UPDATE;
    IF found.id IS NULL THEN
        RAISE EXCEPTION 'delivery % is not in the retry queue', coalesce(delivery_id::text, 'null')
            USING ERRCODE = 'undefined_object',
                  DETAIL = 'It was delivered, cancelled, deleted with its subscription, or is on its first attempt.',
                  HINT = 'hydra.webhook_pending and hydra.webhook_failed list deliveries; hydra.webhook_history shows their attempts.';
    ELSIF found.claimed_by IS NOT NULL THEN
        RAISE EXCEPTION 'delivery % is being sent', delivery_id
            USING ERRCODE = 'object_in_use',
                  DETAIL = 'The dispatcher has claimed it.',
                  HINT = 'Try again when the attempt is over.';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION hydra._locked_delivery(uuid) IS
    'Locks a delivery for a change and returns it; fails if it is not in the retry queue or is being sent';

CREATE FUNCTION hydra._send_again(subscription_id bigint, delivery_ids uuid[])
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    changed bigint;
BEGIN
    UPDATE hydra.delivery AS again
    SET state = 'pending', failed_at = NULL, due_at = now(), scheduled_at = NULL, earlier_attempts = again.attempts,
        missed = false
    WHERE again.id = ANY (delivery_ids);
    GET DIAGNOSTICS changed = ROW_COUNT;
    PERFORM hydra._announce_change(subscription_id);
    RETURN changed;
END
$$;
COMMENT ON FUNCTION hydra._send_again(bigint, uuid[]) IS
    'Makes deliveries of a subscription due now and starts their retry schedule again; returns how many. The caller has locked them';

CREATE FUNCTION hydra.webhook_retry(delivery_id uuid)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.delivery := hydra._locked_delivery(delivery_id);
BEGIN
    IF NOT EXISTS (SELECT FROM hydra.subscription AS known WHERE known.id = was.subscription_id) THEN
        RAISE EXCEPTION 'subscription % of delivery % does not exist', was.subscription_id, delivery_id
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'The subscription was deleted, so the delivery has no endpoint.',
                  HINT = 'The body of the delivery is in hydra.webhook_failed.';
    END IF;
    PERFORM hydra._send_again(was.subscription_id, ARRAY[was.id]);
END
$$;
COMMENT ON FUNCTION hydra.webhook_retry(uuid) IS
    'Sends a failed or waiting delivery again now, with the same id and body; its retry schedule starts again';

CREATE FUNCTION hydra.webhook_replay(subscription_id bigint, since timestamptz, until timestamptz)
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target hydra.subscription := hydra._locked_subscription(subscription_id);
BEGIN
    IF since IS NULL OR until IS NULL OR since >= until THEN
        RAISE EXCEPTION 'invalid window: from % to %', coalesce(since::text, 'null'), coalesce(until::text, 'null')
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The events of the window were emitted at or after its start and before its end, so its end must be later.',
                  HINT = 'For the last day, pass now() - interval ''1 day'' and now(). With -infinity or infinity there is no limit.';
    END IF;
    RETURN hydra._send_again(target.id, ARRAY(
        SELECT failed.id FROM hydra.delivery AS failed
        WHERE failed.subscription_id = target.id AND failed.state = 'failed'
              AND failed.emitted_at >= since AND failed.emitted_at < until
        FOR NO KEY UPDATE));
END
$$;
COMMENT ON FUNCTION hydra.webhook_replay(bigint, timestamptz, timestamptz) IS
    'Sends again the failed deliveries of a subscription whose events were emitted at or after since and before until; returns how many';

CREATE FUNCTION hydra.webhook_cancel(delivery_id uuid)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.delivery := hydra._locked_delivery(delivery_id);
BEGIN
    DELETE FROM hydra.delivery AS cancelled WHERE cancelled.id = was.id;
END
$$;
COMMENT ON FUNCTION hydra.webhook_cancel(uuid) IS
    'Removes a waiting or failed delivery from the retry queue; its history is kept';
SET LOCAL search_path = hydra, pg_temp;
