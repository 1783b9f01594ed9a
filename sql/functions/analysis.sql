SET LOCAL search_path = pg_catalog, pg_temp;
-- Statistics of a span of time. They are read from views, with the rights of the caller.

CREATE FUNCTION hydra._check_span(since timestamptz, until timestamptz)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF since >= until THEN
        RAISE EXCEPTION 'invalid span: from % to %', since, until
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A span includes its start and not its end, so its end must be later.',
                  HINT = 'For the last day, pass since => now() - interval ''1 day'', until => now(). A limit that is null is no limit.';
    -- It would look as if there had been no traffic.
    ELSIF date_trunc('hour', until - interval '1 microsecond', 'UTC') < since THEN
        RAISE EXCEPTION 'no hour begins from % to %', since, until
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'Attempts are counted by whole hours, and a span has the hours that begin in it.',
                  HINT = format('For the hour in which the span begins, pass since => %L.', date_trunc('hour', since, 'UTC'));
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_span(timestamptz, timestamptz) IS 'Fails if no hour begins in this span';

CREATE FUNCTION hydra._check_groups(by text[])
    RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known CONSTANT text[] := '{subscription,event,tenant,status,hour,day}';
    word text;
BEGIN
    FOREACH word IN ARRAY coalesce(by, '{}') LOOP
        IF coalesce(word <> ALL (known), true) THEN
            RAISE EXCEPTION 'statistics cannot be grouped by %', coalesce(quote_literal(left(word, 120)), 'null')
                USING ERRCODE = 'invalid_parameter_value',
                      DETAIL = 'The argument "by" lists what has rows of its own; all else is added up.',
                      HINT = format('It can contain %s.', array_to_string(known, ', '));
        END IF;
    END LOOP;
    IF by @> '{hour,day}' THEN
        RAISE EXCEPTION 'statistics cannot be grouped both by hour and by day'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The column "starting" has the start of either of them.',
                  HINT = 'Omit day: the rows of each hour can be added up to days.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_groups(text[]) IS 'Fails if statistics cannot be grouped by these words';

CREATE FUNCTION hydra.webhook_stats_between(
    since timestamptz, until timestamptz, by text[] DEFAULT '{}', of_subscription bigint DEFAULT NULL, of_event text DEFAULT NULL,
    of_tenant text DEFAULT NULL)
    RETURNS TABLE (
        starting timestamptz, subscription_id bigint, name text, url text, event text, tenant_id text, others boolean,
        status_code integer, error_class text, attempts bigint, delivered bigint, failed_attempts bigint, failed bigint,
        success_rate numeric, p50_ms double precision, p95_ms double precision, p99_ms double precision)
    LANGUAGE plpgsql STABLE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM hydra._check_span(since, until);
    PERFORM hydra._check_groups(by);
    RETURN QUERY
        SELECT g.starting, g.subscription_id, n.name, n.url, g.event, g.tenant_id, g.others, g.status_code, g.error_class,
               g.attempts, g.delivered, g.attempts - g.delivered, g.failed,
               round(g.delivered::numeric / nullif(g.attempts, 0), 4),
               hydra.webhook_percentile(g.response_times, 0.50), hydra.webhook_percentile(g.response_times, 0.95),
               hydra.webhook_percentile(g.response_times, 0.99)
        FROM (SELECT CASE WHEN 'hour' = ANY (by) THEN c.hour WHEN 'day' = ANY (by) THEN date_trunc('day', c.hour) END AS starting,
                     CASE WHEN 'subscription' = ANY (by) THEN c.subscription_id END AS subscription_id,
                     CASE WHEN 'event' = ANY (by) THEN c.event END AS event,
                     CASE WHEN 'tenant' = ANY (by) THEN c.tenant_id END AS tenant_id,
                     CASE WHEN 'tenant' = ANY (by) THEN c.others END AS others,
                     CASE WHEN 'status' = ANY (by) THEN c.status_code END AS status_code,
                     CASE WHEN 'status' = ANY (by) THEN c.error_class END AS error_class,
                     sum(c.attempts)::bigint AS attempts, sum(c.delivered)::bigint AS delivered, sum(c.failed)::bigint AS failed,
                     hydra.webhook_merge(c.response_times) AS response_times
              FROM hydra.webhook_counts AS c
              WHERE c.hour >= coalesce(since, '-infinity') AND c.hour < coalesce(until, 'infinity')
                    AND (of_subscription IS NULL OR c.subscription_id = of_subscription)
                    AND (of_event IS NULL OR hydra._names_event_type(of_event, c.event))
                    AND (of_tenant IS NULL OR c.tenant_id = of_tenant)
              GROUP BY 1, 2, 3, 4, 5, 6, 7) AS g
        LEFT JOIN hydra._subscription_name AS n ON n.id = g.subscription_id
        ORDER BY g.starting, g.subscription_id, g.event, g.tenant_id, g.others, g.status_code, g.error_class;
END
$$;
COMMENT ON FUNCTION hydra.webhook_stats_between(timestamptz, timestamptz, text[], bigint, text, text) IS
    'Statistics of the hours that begin in a span, with a row for each subscription, event, tenant, status, hour or day, as "by" says; columns by which rows are not grouped are null';
SET LOCAL search_path = hydra, pg_temp;
