SET LOCAL search_path = pg_catalog, pg_temp;
-- The views for users. They have security_barrier, so that a function in the WHERE clause of a user's query cannot see
-- rows that the view leaves out. hydra.webhook_history leaves out nothing.
--
-- Tables may have a million rows. So the views count rows for all subscriptions in one pass, and each pass reads an index
-- whose condition is that of the count.

-- Each returns one row. If Postgres expected 1,000, a query of a view would seem so expensive that Postgres would compile it
-- first, for seconds.
ALTER FUNCTION hydra._watch_details(text[], text, text[]) ROWS 1;
ALTER FUNCTION hydra._watch_errors(oid[]) ROWS 1;

CREATE VIEW hydra.webhook_subscriptions WITH (security_barrier) AS
SELECT s.id, s.name,
       -- For some receivers, the path or the query is the credential. Who may change the URL may also see it.
       CASE WHEN viewer.may_manage THEN s.url ELSE hydra._shown_url(s.url) END AS url,
       s.status, s.disabled_reason, s.keeps_events, s.status_since, s.event_types, s.tenant_id, s.preset,
       s.signatures, ARRAY(SELECT pg_catalog.jsonb_object_keys(s.headers)) AS header_names, s.timeout, s.retry_schedule,
       s.filter,
       coalesce(s.max_in_flight, pg_catalog.current_setting('hydra_webhooks.max_in_flight', true)::integer) AS max_in_flight,
       s.rate_limit, s.disable_after, s.disable_after_time, s.stale_after, s.log_successes, s.keep_bodies, s.created_at,
       (SELECT k.prefix FROM hydra.signing_secret AS k
        WHERE k.subscription_id = s.id AND k.valid_until IS NULL) AS secret_prefix,
       (SELECT pg_catalog.array_agg(k.prefix ORDER BY k.id DESC) FROM hydra.signing_secret AS k
        WHERE k.subscription_id = s.id AND k.valid_until > pg_catalog.now()) AS old_secret_prefixes,
       (SELECT pg_catalog.max(k.valid_until) FROM hydra.signing_secret AS k
        WHERE k.subscription_id = s.id AND k.valid_until > pg_catalog.now()) AS overlap_until,
       coalesce(h.consecutive_failures, 0) AS consecutive_failures, h.failing_since,
       coalesce(n.delivered, 0) AS delivered, coalesce(n.pending, 0) AS pending, coalesce(n.failed, 0) AS failed,
       coalesce(n.missed, 0) + coalesce(h.missed_removed, 0) AS missed,
       -- The address of a host may be one of a private network.
       (SELECT CASE WHEN viewer.may_manage THEN a.error ELSE hydra._shown_error(a.error) END FROM hydra.attempt AS a
        WHERE a.subscription_id = s.id AND a.error IS NOT NULL
        ORDER BY a.id DESC LIMIT 1) AS last_error,
       (SELECT a.attempted_at FROM hydra.attempt AS a
        WHERE a.subscription_id = s.id AND a.error IS NOT NULL
        ORDER BY a.id DESC LIMIT 1) AS last_error_at,
       CASE WHEN viewer.may_manage THEN h.waiting_for ELSE hydra._shown_error(h.waiting_for) END AS waiting_for
FROM hydra.effective_subscription AS s
CROSS JOIN (SELECT pg_catalog.has_function_privilege('hydra.webhook_delete(bigint)', 'EXECUTE') AS may_manage) AS viewer
LEFT JOIN hydra.subscription_health AS h ON h.subscription_id = s.id
LEFT JOIN (
    -- One join: the planner would take the rows of several for independent of each other, and expect too many.
    SELECT part.subscription_id, pg_catalog.sum(part.delivered)::bigint AS delivered,
           pg_catalog.sum(part.pending)::bigint AS pending, pg_catalog.sum(part.failed)::bigint AS failed,
           pg_catalog.sum(part.missed)::bigint AS missed
    FROM (SELECT c.subscription_id, pg_catalog.sum(c.delivered)::bigint AS delivered, 0::bigint AS pending, 0::bigint AS failed,
                 0::bigint AS missed
          FROM hydra.delivery_count AS c
          GROUP BY c.subscription_id
          UNION ALL
          SELECT d.subscription_id, 0, pg_catalog.count(*), 0, 0
          FROM hydra.delivery AS d
          WHERE d.state = 'pending' AND d.claimed_by IS NULL
          GROUP BY d.subscription_id
          UNION ALL
          SELECT d.subscription_id, 0, pg_catalog.count(*), 0, 0
          FROM hydra.delivery AS d
          WHERE d.claimed_by IS NOT NULL
          GROUP BY d.subscription_id
          UNION ALL
          SELECT d.subscription_id, 0, 0, pg_catalog.count(*), 0
          FROM hydra.delivery AS d
          WHERE d.state = 'failed'
          GROUP BY d.subscription_id
          UNION ALL
          -- They are among those that wait, too.
          SELECT d.subscription_id, 0, -pg_catalog.count(*), 0, pg_catalog.count(*)
          FROM hydra.delivery AS d
          WHERE d.missed
          GROUP BY d.subscription_id
          UNION ALL
          -- No index has these. Usually the dispatcher reads events at once, so that there are few.
          SELECT -target.number, 0, 0, 0, pg_catalog.count(*)
          FROM hydra.event AS e
          CROSS JOIN LATERAL pg_catalog.unnest(e.targets) AS target (number)
          JOIN hydra.subscription AS missing ON missing.id = -target.number AND missing.status <> 'active'
          WHERE 0 > ANY (e.targets)
          GROUP BY target.number) AS part
    GROUP BY part.subscription_id) AS n ON n.subscription_id = s.id;
COMMENT ON VIEW hydra.webhook_subscriptions IS 'Subscriptions: settings, status, counts and latest error';
COMMENT ON COLUMN hydra.webhook_subscriptions.id IS 'Number of the subscription';
COMMENT ON COLUMN hydra.webhook_subscriptions.name IS 'Name, for people';
COMMENT ON COLUMN hydra.webhook_subscriptions.url IS
    'URL that requests are sent to; roles that may not manage subscriptions see only scheme, host and port, because the rest may be secret';
COMMENT ON COLUMN hydra.webhook_subscriptions.status IS 'active; paused: by webhook_pause; disabled: by the extension';
COMMENT ON COLUMN hydra.webhook_subscriptions.disabled_reason IS 'gone: the endpoint answered 410; failures: disable_after was reached; stale: no attempt succeeded for stale_after; null: not disabled';
COMMENT ON COLUMN hydra.webhook_subscriptions.keeps_events IS 'Whether events that it misses while it is paused are kept, see webhook_pause';
COMMENT ON COLUMN hydra.webhook_subscriptions.status_since IS 'When the status last changed';
COMMENT ON COLUMN hydra.webhook_subscriptions.event_types IS 'Event types that it receives; ticket.*: all that begin with ticket.; *: all except those of the extension';
COMMENT ON COLUMN hydra.webhook_subscriptions.tenant_id IS 'Tenant whose events it receives; null: all tenants';
COMMENT ON COLUMN hydra.webhook_subscriptions.preset IS 'Format of its requests';
COMMENT ON COLUMN hydra.webhook_subscriptions.signatures IS 'Signatures of each request';
COMMENT ON COLUMN hydra.webhook_subscriptions.header_names IS 'Names of its additional headers; the values, which may be secret, are not shown';
COMMENT ON COLUMN hydra.webhook_subscriptions.timeout IS 'Time limit of one whole request';
COMMENT ON COLUMN hydra.webhook_subscriptions.retry_schedule IS 'Delay before each retry, counted from the failure of the attempt before it';
COMMENT ON COLUMN hydra.webhook_subscriptions.filter IS
    'JSON path; it receives only events in whose entity the path finds something other than false or null; null: all events';
COMMENT ON COLUMN hydra.webhook_subscriptions.rate_limit IS 'Maximum number of requests that start in a second; null: no limit';
COMMENT ON COLUMN hydra.webhook_subscriptions.stale_after IS 'It is disabled when no attempt has succeeded for this time; null: never';
COMMENT ON COLUMN hydra.webhook_subscriptions.failing_since IS 'When the first of the consecutive failures happened; null: there are none';
COMMENT ON COLUMN hydra.webhook_subscriptions.max_in_flight IS 'Maximum number of requests in progress at a time';
COMMENT ON COLUMN hydra.webhook_subscriptions.disable_after IS 'Number of consecutive failed attempts after which it is disabled; null: never';
COMMENT ON COLUMN hydra.webhook_subscriptions.disable_after_time IS 'Time for which these attempts must have failed as well before it is disabled; null: no time';
COMMENT ON COLUMN hydra.webhook_subscriptions.log_successes IS 'Whether first attempts that succeed are recorded in the history too';
COMMENT ON COLUMN hydra.webhook_subscriptions.keep_bodies IS
    'For how long deliveries that have succeeded are kept with their bodies, in hydra.webhook_delivered; null: they are not kept';
COMMENT ON COLUMN hydra.webhook_subscriptions.created_at IS 'When it was created';
COMMENT ON COLUMN hydra.webhook_subscriptions.secret_prefix IS 'First 12 characters of the current signing secret; 4 if it does not begin with whsec_';
COMMENT ON COLUMN hydra.webhook_subscriptions.old_secret_prefixes IS 'First characters of the former secrets that sign too, during an overlap; null: there is no overlap';
COMMENT ON COLUMN hydra.webhook_subscriptions.overlap_until IS 'When the last of these stops signing, unless hydra.webhook_end_overlap ends the overlap before; null: there is no overlap';
COMMENT ON COLUMN hydra.webhook_subscriptions.consecutive_failures IS 'Number of attempts that failed since the last success; attempts that were in progress at the same time count as one';
COMMENT ON COLUMN hydra.webhook_subscriptions.delivered IS 'Number of deliveries that succeeded within hydra_webhooks.retention; updated at most a minute later';
COMMENT ON COLUMN hydra.webhook_subscriptions.pending IS 'Number of deliveries that wait in the retry queue, without those that it missed';
COMMENT ON COLUMN hydra.webhook_subscriptions.failed IS 'Number of deliveries that were given up and are kept';
COMMENT ON COLUMN hydra.webhook_subscriptions.missed IS
    'Number of events that it would have received while it was disabled, or paused with keep_events; they are kept for hydra_webhooks.retention, and hydra.webhook_resume sends or drops them';
COMMENT ON COLUMN hydra.webhook_subscriptions.last_error IS
    'Message of its latest failed attempt; roles that may not manage subscriptions do not see the address of a refused host name; null: there is none in the history';
COMMENT ON COLUMN hydra.webhook_subscriptions.last_error_at IS 'When the request of that attempt started';
COMMENT ON COLUMN hydra.webhook_subscriptions.waiting_for IS
    'What has to be mended on this server, or in its settings or its network, before anything can be sent to its endpoint; its deliveries wait; roles that may not manage subscriptions do not see the address of a refused host name; null: nothing is known';

CREATE VIEW hydra.webhook_event_types WITH (security_barrier) AS
SELECT t.name, t.description, t.entity_type, t.id_key, t.origin, t.catalogue FROM hydra.event_type AS t;
COMMENT ON VIEW hydra.webhook_event_types IS 'Event types that can be emitted and subscribed to';
COMMENT ON COLUMN hydra.webhook_event_types.name IS 'Dotted name, such as ticket.created';
COMMENT ON COLUMN hydra.webhook_event_types.description IS 'When it is emitted';
COMMENT ON COLUMN hydra.webhook_event_types.entity_type IS 'Value of entity_type in the body';
COMMENT ON COLUMN hydra.webhook_event_types.id_key IS 'Key of the entity that holds entity_id';
COMMENT ON COLUMN hydra.webhook_event_types.origin IS
    'catalogue: comes with the extension; application: registered in this database; extension: emitted only by the extension';
COMMENT ON COLUMN hydra.webhook_event_types.catalogue IS
    'Catalogue that it belongs to, which hydra.webhook_unregister_catalogue removes; null: none';

CREATE VIEW hydra.webhook_pending WITH (security_barrier) AS
SELECT p.delivery_id, p.subscription_id, p.event_id, p.event, p.tenant_id, p.emitted_at, p.attempts, p.due_at, p.claimed,
       p.entity_type, p.entity_id, p.missed, n.name, n.url, p.event_uuid
FROM (SELECT hydra._delivery_id(e.installation, e.id, e.random, s.id) AS delivery_id, s.id AS subscription_id, e.id AS event_id,
             e.event_type AS event, e.tenant_id, e.emitted_at, 0 AS attempts, e.emitted_at AS due_at, NULL::boolean AS claimed,
             e.entity_type, e.entity_id, target.number < 0 AS missed, hydra._event_uuid(e.installation, e.id, e.random) AS event_uuid
      FROM hydra.event AS e
      CROSS JOIN LATERAL pg_catalog.unnest(e.targets) AS target (number)
      JOIN hydra.subscription AS s ON s.id = pg_catalog.abs(target.number)
      WHERE NOT (target.number < 0 AND s.status = 'active' AND s.drops_missed)
      UNION ALL
      SELECT d.id, d.subscription_id, d.event_id, d.event_type, d.tenant_id, d.emitted_at, d.attempts, d.due_at,
             d.claimed_by IS NOT NULL, d.entity_type, d.entity_id, d.missed, hydra._event_uuid(d.installation, d.event_id, d.event_random)
      FROM hydra.delivery AS d
      WHERE d.state = 'pending') AS p
LEFT JOIN hydra._subscription_name AS n ON n.id = p.subscription_id;
COMMENT ON VIEW hydra.webhook_pending IS
    'Unfinished deliveries: those of events that are not handled yet, and those that wait in the retry queue';
COMMENT ON COLUMN hydra.webhook_pending.delivery_id IS 'Id of the delivery';
COMMENT ON COLUMN hydra.webhook_pending.subscription_id IS 'The subscription';
COMMENT ON COLUMN hydra.webhook_pending.event_id IS 'Number of the event';
COMMENT ON COLUMN hydra.webhook_pending.event IS 'Type of the event';
COMMENT ON COLUMN hydra.webhook_pending.tenant_id IS 'Tenant of the event';
COMMENT ON COLUMN hydra.webhook_pending.emitted_at IS 'When the event was emitted';
COMMENT ON COLUMN hydra.webhook_pending.attempts IS 'Number of attempts made';
COMMENT ON COLUMN hydra.webhook_pending.due_at IS 'When the next attempt is due';
COMMENT ON COLUMN hydra.webhook_pending.claimed IS 'Whether the dispatcher is sending it; null: unknown, because a first attempt is not recorded before it ends';
COMMENT ON COLUMN hydra.webhook_pending.entity_type IS 'Kind of entity that the event is about';
COMMENT ON COLUMN hydra.webhook_pending.entity_id IS 'Id of that entity';
COMMENT ON COLUMN hydra.webhook_pending.name IS 'Name of the subscription';
COMMENT ON COLUMN hydra.webhook_pending.url IS 'URL of the subscription, as in hydra.webhook_subscriptions';
COMMENT ON COLUMN hydra.webhook_pending.event_uuid IS
    'Id of the event as receivers see it, in the header X-Hydra-Event-Id or X-Webhook-Event-Id; found without an index: hydra.webhook_history finds what was attempted faster';
COMMENT ON COLUMN hydra.webhook_pending.missed IS 'Whether the event was emitted while the subscription was disabled, or paused with keep_events, so that hydra.webhook_resume decides whether it is sent';

-- With its order in the view, a query for the newest deliveries reads no others. The view has a barrier, so the order of
-- such a query does not get to the table. The last attempts and the names are looked up in columns, and not in a join, so that
-- only rows and columns that are asked for need it.
CREATE VIEW hydra.webhook_failed WITH (security_barrier) AS
SELECT d.id AS delivery_id, d.subscription_id, d.event_id, d.event_type AS event, d.tenant_id, d.emitted_at, d.attempts,
       d.failed_at,
       (SELECT a.error_class FROM hydra.attempt AS a
        WHERE a.delivery_id = d.id
        ORDER BY a.attempt DESC, a.id DESC LIMIT 1) AS error_class,
       (SELECT a.error FROM hydra.attempt AS a
        WHERE a.delivery_id = d.id
        ORDER BY a.attempt DESC, a.id DESC LIMIT 1) AS error,
       d.body, d.entity_type, d.entity_id,
       (SELECT n.name FROM hydra._subscription_name AS n WHERE n.id = d.subscription_id LIMIT 1) AS name,
       (SELECT n.url FROM hydra._subscription_name AS n WHERE n.id = d.subscription_id LIMIT 1) AS url,
       hydra._event_uuid(d.installation, d.event_id, d.event_random) AS event_uuid
FROM hydra.delivery AS d
WHERE d.state = 'failed'
ORDER BY d.failed_at DESC;
COMMENT ON VIEW hydra.webhook_failed IS 'Deliveries that were given up after their last attempt or have expired, the newest first; hydra.webhook_retry sends one again';
COMMENT ON COLUMN hydra.webhook_failed.delivery_id IS 'Id of the delivery';
COMMENT ON COLUMN hydra.webhook_failed.subscription_id IS 'The subscription, which may have been deleted';
COMMENT ON COLUMN hydra.webhook_failed.event_id IS 'Number of the event';
COMMENT ON COLUMN hydra.webhook_failed.event_uuid IS
    'Id of the event as receivers see it, in the header X-Hydra-Event-Id or X-Webhook-Event-Id';
COMMENT ON COLUMN hydra.webhook_failed.event IS 'Type of the event';
COMMENT ON COLUMN hydra.webhook_failed.tenant_id IS 'Tenant of the event';
COMMENT ON COLUMN hydra.webhook_failed.emitted_at IS 'When the event was emitted';
COMMENT ON COLUMN hydra.webhook_failed.attempts IS 'Number of attempts made';
COMMENT ON COLUMN hydra.webhook_failed.failed_at IS 'When it was given up';
COMMENT ON COLUMN hydra.webhook_failed.error_class IS 'Kind of the last failure, as in hydra.webhook_history';
COMMENT ON COLUMN hydra.webhook_failed.error IS 'Message of the last failure';
COMMENT ON COLUMN hydra.webhook_failed.body IS 'Body that each attempt sent';
COMMENT ON COLUMN hydra.webhook_failed.entity_type IS 'Kind of entity that the event is about';
COMMENT ON COLUMN hydra.webhook_failed.entity_id IS 'Id of that entity';
COMMENT ON COLUMN hydra.webhook_failed.name IS 'Name of the subscription, also of one that was deleted';
COMMENT ON COLUMN hydra.webhook_failed.url IS 'URL of the subscription, as in hydra.webhook_subscriptions';

CREATE VIEW hydra.webhook_kept WITH (security_barrier) AS
SELECT k.id, k.event_type AS event, k.source, k.operation, k.part, k.sqlstate, k.reason, k.entity_type, k.entity_id, k.tenant_id, k.entity,
       k.entity_error, k.previous, k.emitted_at
FROM hydra.kept_event AS k;
COMMENT ON VIEW hydra.webhook_kept IS
    'Events of watches that do not fit. They are not sent; hydra.webhook_send_kept sends one, hydra.webhook_drop_kept removes one';
COMMENT ON COLUMN hydra.webhook_kept.id IS 'Number of the kept event';
COMMENT ON COLUMN hydra.webhook_kept.event IS 'Type of the event';
COMMENT ON COLUMN hydra.webhook_kept.source IS 'The table that was watched, as it was called then';
COMMENT ON COLUMN hydra.webhook_kept.operation IS 'The change of the row: insert, update or delete';
COMMENT ON COLUMN hydra.webhook_kept.part IS
    'The expression that could not be evaluated. condition: it is not known whether to send the event; tenant: it is not known to whom';
COMMENT ON COLUMN hydra.webhook_kept.sqlstate IS 'SQLSTATE of the error of that expression';
COMMENT ON COLUMN hydra.webhook_kept.reason IS 'Message of the error of that expression';
COMMENT ON COLUMN hydra.webhook_kept.entity_type IS 'Kind of entity';
COMMENT ON COLUMN hydra.webhook_kept.entity_id IS 'Id of the entity';
COMMENT ON COLUMN hydra.webhook_kept.tenant_id IS 'Tenant of the event; null: it has none, or its tenant is not known';
COMMENT ON COLUMN hydra.webhook_kept.entity IS 'The entity as JSON text; null: it cannot be sent';
COMMENT ON COLUMN hydra.webhook_kept.entity_error IS 'Why the entity cannot be sent; null: it can';
COMMENT ON COLUMN hydra.webhook_kept.previous IS 'The row before the change as JSON text; null: none is sent';
COMMENT ON COLUMN hydra.webhook_kept.emitted_at IS 'Time of the clock when the row changed';

CREATE VIEW hydra.webhook_history AS
SELECT a.delivery_id, a.subscription_id, a.event_id, a.event_type AS event, a.attempt, a.status_code, a.error_class,
       a.error, a.response_excerpt, a.response_ms, a.attempted_at, a.next_attempt_at, n.name, n.url, a.entity_type,
       a.entity_id, a.tenant_id, a.emitted_at, a.event_uuid
FROM hydra.attempt AS a
LEFT JOIN hydra._subscription_name AS n ON n.id = a.subscription_id;
COMMENT ON VIEW hydra.webhook_history IS
    'All failed attempts and all retries; of successful first attempts, only those of subscriptions with log_successes';
COMMENT ON COLUMN hydra.webhook_history.delivery_id IS 'Id of the delivery';
COMMENT ON COLUMN hydra.webhook_history.subscription_id IS 'The subscription that it was made for';
COMMENT ON COLUMN hydra.webhook_history.event_id IS 'Number of the event';
COMMENT ON COLUMN hydra.webhook_history.event_uuid IS
    'Id of the event as receivers see it, in the header X-Hydra-Event-Id or X-Webhook-Event-Id';
COMMENT ON COLUMN hydra.webhook_history.event IS 'Type of the event';
COMMENT ON COLUMN hydra.webhook_history.attempt IS 'Number of the attempt within its delivery, from 1';
COMMENT ON COLUMN hydra.webhook_history.status_code IS 'HTTP status of the response; null: there was no response';
COMMENT ON COLUMN hydra.webhook_history.error_class IS
    'Kind of failure: destination, dns, connection, tls, timeout, protocol, status, expired or internal; null: success';
COMMENT ON COLUMN hydra.webhook_history.error IS 'Message that describes the failure; null: success';
COMMENT ON COLUMN hydra.webhook_history.response_excerpt IS 'Start of the body of the response, at most 1024 bytes';
COMMENT ON COLUMN hydra.webhook_history.response_ms IS 'Milliseconds from the start of the request to its end';
COMMENT ON COLUMN hydra.webhook_history.attempted_at IS 'When the request started';
COMMENT ON COLUMN hydra.webhook_history.next_attempt_at IS 'When the next attempt was planned; null: none was planned';
COMMENT ON COLUMN hydra.webhook_history.name IS 'Name of the subscription, also of one that was deleted';
COMMENT ON COLUMN hydra.webhook_history.url IS 'URL of the subscription, as in hydra.webhook_subscriptions';
COMMENT ON COLUMN hydra.webhook_history.entity_type IS 'Kind of entity that the event is about';
COMMENT ON COLUMN hydra.webhook_history.entity_id IS 'Id of that entity';
COMMENT ON COLUMN hydra.webhook_history.tenant_id IS 'Tenant of the event';
COMMENT ON COLUMN hydra.webhook_history.emitted_at IS 'When the event was emitted';

CREATE VIEW hydra.webhook_delivered AS
SELECT k.id AS delivery_id, k.subscription_id, n.name, n.url, k.event_id, k.event_type AS event, k.entity_type, k.entity_id,
       k.tenant_id, k.operation, k.emitted_at, k.attempts, k.status_code, k.response_excerpt, k.response_ms, k.delivered_at,
       k.kept_until, k.body, hydra._event_uuid(k.installation, k.event_id, k.event_random) AS event_uuid
FROM hydra.delivered AS k
LEFT JOIN hydra._subscription_name AS n ON n.id = k.subscription_id;
COMMENT ON VIEW hydra.webhook_delivered IS
    'Deliveries that have succeeded, with what was sent and answered, of subscriptions with keep_bodies; hydra.webhook_retry sends one again';
COMMENT ON COLUMN hydra.webhook_delivered.delivery_id IS 'Id of the delivery';
COMMENT ON COLUMN hydra.webhook_delivered.subscription_id IS 'The subscription, which may have been deleted';
COMMENT ON COLUMN hydra.webhook_delivered.name IS 'Name of the subscription, also of one that was deleted';
COMMENT ON COLUMN hydra.webhook_delivered.url IS 'URL of the subscription, as in hydra.webhook_subscriptions';
COMMENT ON COLUMN hydra.webhook_delivered.event_id IS 'Number of the event';
COMMENT ON COLUMN hydra.webhook_delivered.event_uuid IS
    'Id of the event as receivers see it, in the header X-Hydra-Event-Id or X-Webhook-Event-Id';
COMMENT ON COLUMN hydra.webhook_delivered.event IS 'Type of the event';
COMMENT ON COLUMN hydra.webhook_delivered.entity_type IS 'Kind of entity that the event is about';
COMMENT ON COLUMN hydra.webhook_delivered.entity_id IS 'Id of that entity';
COMMENT ON COLUMN hydra.webhook_delivered.tenant_id IS 'Tenant of the event';
COMMENT ON COLUMN hydra.webhook_delivered.operation IS
    'The change of a row that the event reports: insert, update or delete; null: it was not emitted by a trigger';
COMMENT ON COLUMN hydra.webhook_delivered.emitted_at IS 'When the event was emitted';
COMMENT ON COLUMN hydra.webhook_delivered.attempts IS 'Number of attempts made, the successful one included';
COMMENT ON COLUMN hydra.webhook_delivered.status_code IS 'HTTP status of the response to the successful attempt';
COMMENT ON COLUMN hydra.webhook_delivered.response_excerpt IS 'Start of the body of that response, at most 1024 bytes';
COMMENT ON COLUMN hydra.webhook_delivered.response_ms IS 'Milliseconds from the start of that request to its end';
COMMENT ON COLUMN hydra.webhook_delivered.delivered_at IS 'When it succeeded';
COMMENT ON COLUMN hydra.webhook_delivered.kept_until IS 'When it is removed';
COMMENT ON COLUMN hydra.webhook_delivered.body IS 'Body that each attempt has sent';

-- Two parts instead of a full join: then a condition on the hour is a condition of the index.
CREATE VIEW hydra.webhook_stats WITH (security_barrier) AS
WITH now AS (
    SELECT pg_catalog.date_trunc('hour', pg_catalog.now(), 'UTC') AS hour
), queue AS (
    SELECT p.subscription_id, now.hour, pg_catalog.count(*) AS depth, pg_catalog.min(p.due_at) AS oldest_due
    FROM hydra.webhook_pending AS p CROSS JOIN now
    WHERE NOT p.missed
    GROUP BY p.subscription_id, now.hour
)
SELECT c.subscription_id, c.hour, c.delivered, c.failed_attempts, c.failed,
       pg_catalog.round(c.delivered::numeric / nullif(c.delivered + c.failed_attempts, 0), 4) AS success_rate,
       hydra.webhook_percentile(c.response_times, 0.50) AS p50_ms, hydra.webhook_percentile(c.response_times, 0.95) AS p95_ms,
       hydra.webhook_percentile(c.response_times, 0.99) AS p99_ms,
       CASE WHEN c.hour = (SELECT now.hour FROM now) THEN coalesce(q.depth, 0) END AS depth, q.oldest_due, n.name, n.url
FROM hydra.delivery_count AS c
LEFT JOIN queue AS q ON q.subscription_id = c.subscription_id AND q.hour = c.hour
LEFT JOIN hydra._subscription_name AS n ON n.id = c.subscription_id
UNION ALL
SELECT q.subscription_id, q.hour, 0, 0, 0, NULL, NULL, NULL, NULL, q.depth, q.oldest_due, n.name, n.url
FROM queue AS q
LEFT JOIN hydra._subscription_name AS n ON n.id = q.subscription_id
WHERE NOT EXISTS (SELECT FROM hydra.delivery_count AS c WHERE c.subscription_id = q.subscription_id AND c.hour = q.hour);
COMMENT ON VIEW hydra.webhook_stats IS 'Statistics of each subscription and hour, kept for hydra_webhooks.retention; updated at most a minute later';
COMMENT ON COLUMN hydra.webhook_stats.subscription_id IS 'The subscription, which may have been deleted';
COMMENT ON COLUMN hydra.webhook_stats.hour IS 'Start of the hour, UTC';
COMMENT ON COLUMN hydra.webhook_stats.delivered IS 'Number of deliveries that succeeded';
COMMENT ON COLUMN hydra.webhook_stats.failed_attempts IS 'Number of attempts that failed';
COMMENT ON COLUMN hydra.webhook_stats.failed IS 'Number of deliveries that were given up';
COMMENT ON COLUMN hydra.webhook_stats.success_rate IS 'Share of attempts that succeeded, from 0 to 1; null: there were no attempts';
COMMENT ON COLUMN hydra.webhook_stats.p50_ms IS 'Median response time in milliseconds, to two digits, at most a quarter too high; null: there were no responses';
COMMENT ON COLUMN hydra.webhook_stats.p95_ms IS '95th percentile of the response times in milliseconds, to two digits, at most a quarter too high; null: there were no responses';
COMMENT ON COLUMN hydra.webhook_stats.p99_ms IS '99th percentile of the response times in milliseconds, to two digits, at most a quarter too high; null: there were no responses';
COMMENT ON COLUMN hydra.webhook_stats.depth IS 'Number of unfinished deliveries now; only in the row of the current hour, otherwise null';
COMMENT ON COLUMN hydra.webhook_stats.oldest_due IS 'When the earliest of the unfinished deliveries is or was due';
COMMENT ON COLUMN hydra.webhook_stats.name IS 'Name of the subscription';
COMMENT ON COLUMN hydra.webhook_stats.url IS
    'URL of the subscription; roles that may not manage subscriptions see only scheme, host and port';

CREATE VIEW hydra.webhook_watches WITH (security_barrier) AS
SELECT t.tgrelid::regclass AS source, a.arguments[1] AS event,
       pg_catalog.array_to_string(type.operations, ' or ') AS operation, type.level,
       d.condition, d.columns, d.entity, d.only_columns AS "only", d.except_columns AS "except", d.tenant,
       d.entity_type, d.previous, t.tgname::text AS trigger_name, t.tgenabled IN ('O', 'A') AS enabled,
       coalesce(CASE WHEN NOT type.may_emit THEN 'it is not an AFTER trigger for insert, update or delete'
                     WHEN t.tgfoid = 'hydra.webhook_emit_row()'::regprocedure AND type.level <> 'row'
                     THEN 'hydra.webhook_emit_row() is for triggers FOR EACH ROW'
                     WHEN t.tgfoid = 'hydra.webhook_emit_statement()'::regprocedure AND type.level <> 'statement'
                     THEN 'hydra.webhook_emit_statement() is for triggers FOR EACH STATEMENT'
                     WHEN t.tgfoid = 'hydra.webhook_emit_statement()'::regprocedure
                          AND CASE WHEN 'delete' = ANY (type.operations) THEN t.tgoldtable ELSE t.tgnewtable END IS NULL
                     THEN 'hydra.webhook_emit_statement() needs a transition table with the rows that it sends'
                     WHEN d.previous AND type.level = 'statement' AND 'update' = ANY (type.operations) AND t.tgoldtable IS NULL
                     THEN 'hydra.webhook_emit_statement() needs a transition table with the rows before the change' END,
                d.problem,
                hydra._watch_problem(t.tgrelid, t.oid),
                CASE WHEN known.name IS NULL THEN pg_catalog.format('event type "%s" is not registered', a.arguments[1]) END,
                -- Not for the default: a table need not have a column id.
                CASE WHEN d.entity IS NULL AND known.id_key <> 'id'
                          AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS c
                                          WHERE c.attrelid = t.tgrelid AND c.attname = known.id_key AND c.attnum > 0
                                                AND NOT c.attisdropped)
                     THEN pg_catalog.format('column "%s", the id_key of its event type, does not exist', known.id_key) END,
                CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_trigger AS o
                                  WHERE o.tgrelid = t.tgrelid AND o.tgparentid <> 0 AND o.tgfoid = 'hydra.webhook_emit_row()'::regprocedure
                                        AND (hydra._trigger_arguments(o.tgargs))[1] = a.arguments[1]
                                        AND (hydra._trigger_type(o.tgtype)).operations && type.operations)
                     THEN 'its table is a partition of a table that is watched for the same event: each change emits two events' END
       ) AS problem,
       ARRAY(SELECT n.note
             FROM hydra._watch_notes(t.tgrelid, a.arguments[1], type.level, d.entity, d.only_columns, d.except_columns, known.id_key) AS n)
           AS notes,
       failed.errors, failed.last_error, failed.last_error_at
FROM pg_catalog.pg_trigger AS t
CROSS JOIN LATERAL hydra._trigger_type(t.tgtype) AS type
CROSS JOIN LATERAL (SELECT hydra._trigger_arguments(t.tgargs) AS arguments) AS a
CROSS JOIN LATERAL (
    SELECT ARRAY(SELECT c.attname::text FROM pg_catalog.pg_attribute AS c
                 WHERE c.attrelid = t.tgrelid AND c.attnum = ANY (t.tgattr) ORDER BY c.attnum) AS update_of) AS columns
CROSS JOIN LATERAL hydra._watch_details(a.arguments, pg_catalog.pg_get_triggerdef(t.oid, true), columns.update_of) AS d
LEFT JOIN hydra.event_type AS known ON known.name = a.arguments[1]
-- What fires for a partition is a copy of the trigger, with the same name.
CROSS JOIN LATERAL hydra._watch_errors(
    t.oid || ARRAY(SELECT o.oid FROM pg_catalog.pg_partition_tree(t.tgrelid) AS tree
                   JOIN pg_catalog.pg_trigger AS o ON o.tgrelid = tree.relid AND o.tgname = t.tgname
                   WHERE o.tgparentid <> 0)) AS failed
WHERE t.tgparentid = 0
      AND t.tgfoid IN ('hydra.webhook_emit_row()'::regprocedure, 'hydra.webhook_emit_statement()'::regprocedure)
      -- Whoever may only emit sees the watches of the tables that it may watch.
      AND (pg_catalog.has_table_privilege('hydra.webhook_subscriptions', 'SELECT')
           OR pg_catalog.has_table_privilege(t.tgrelid, 'TRIGGER'));
COMMENT ON VIEW hydra.webhook_watches IS
    'Triggers that emit, created by hydra.webhook_watch or by hand; hydra_emitter sees those of tables that it may watch';
COMMENT ON COLUMN hydra.webhook_watches.source IS 'The table that is watched';
COMMENT ON COLUMN hydra.webhook_watches.event IS 'Event type that is emitted';
COMMENT ON COLUMN hydra.webhook_watches.operation IS 'Operations for which it is emitted, such as insert or update';
COMMENT ON COLUMN hydra.webhook_watches.level IS 'row: emits row by row; statement: emits all rows of a statement together';
COMMENT ON COLUMN hydra.webhook_watches.condition IS 'Expression that a row must satisfy; null: all rows';
COMMENT ON COLUMN hydra.webhook_watches.columns IS 'Columns of which an UPDATE must set at least one; null: any column';
COMMENT ON COLUMN hydra.webhook_watches.entity IS 'Expression for the entity; null: the row';
COMMENT ON COLUMN hydra.webhook_watches."only" IS 'Columns of the row that are sent; null: all, unless except or entity says otherwise';
COMMENT ON COLUMN hydra.webhook_watches."except" IS 'Columns of the row that are not sent; null: there are none';
COMMENT ON COLUMN hydra.webhook_watches.tenant IS 'Expression for the tenant; null: tenant_id of the entity or of the row';
COMMENT ON COLUMN hydra.webhook_watches.entity_type IS 'Kind of entity that it sends; null: that of the event type';
COMMENT ON COLUMN hydra.webhook_watches.previous IS 'Whether the row before the change is sent too; null: unknown, because its arguments are a problem';
COMMENT ON COLUMN hydra.webhook_watches.trigger_name IS 'Name of the trigger; the triggers of a table fire in order of their names';
COMMENT ON COLUMN hydra.webhook_watches.enabled IS 'Whether it fires in sessions with session_replication_role = origin, the default';
COMMENT ON COLUMN hydra.webhook_watches.problem IS
    'Why events are kept, sent without their entity or its id, not emitted or emitted twice, or statements fail, such as a column that does not exist; null: no problem is known';
COMMENT ON COLUMN hydra.webhook_watches.notes IS
    'What may not be as it was meant, such as columns that look secret and are sent: what hydra.webhook_watch says in notices, for the table as it is now; hydra.webhook_doctor says what can be done';
COMMENT ON COLUMN hydra.webhook_watches.errors IS
    'Number of events since the server started that were kept, or sent without their entity, because a part of the watch failed; null: not known, because the extension is not preloaded';
COMMENT ON COLUMN hydra.webhook_watches.last_error IS
    'What failed at the latest of them. Roles that see neither history nor the table see only its SQLSTATE, because the message may contain values of a row';
COMMENT ON COLUMN hydra.webhook_watches.last_error_at IS 'When that was';

CREATE VIEW hydra.webhook_worker_status WITH (security_barrier) AS
SELECT status.state, status.detail, status.pid, status.since, status.in_flight, status.queued, status.dropped
FROM hydra._worker_status() AS status;
COMMENT ON VIEW hydra.webhook_worker_status IS 'Whether the events of this database are being sent, and if not, why';
COMMENT ON COLUMN hydra.webhook_worker_status.state IS
    'running, starting, off, parked, standby, stopped or not preloaded; a state can have several reasons, see detail';
COMMENT ON COLUMN hydra.webhook_worker_status.detail IS 'Reason of the state, and what can be done';
COMMENT ON COLUMN hydra.webhook_worker_status.pid IS 'Process id of the dispatcher; null: it is not running';
COMMENT ON COLUMN hydra.webhook_worker_status.since IS 'When the dispatcher started; null: it is not running';
COMMENT ON COLUMN hydra.webhook_worker_status.in_flight IS 'Number of requests in progress or about to start';
COMMENT ON COLUMN hydra.webhook_worker_status.queued IS 'Number of deliveries that the dispatcher holds in memory';
COMMENT ON COLUMN hydra.webhook_worker_status.dropped IS
    'Number of events that were dropped since the server started, because hydra_webhooks.max_pending was reached';

CREATE VIEW hydra.webhook_databases WITH (security_barrier) AS
SELECT d.datname::text AS database, status.state, status.detail, status.pid, status.since, status.in_flight, status.queued,
       status.dropped
FROM hydra._database_status() AS status
JOIN pg_catalog.pg_database AS d ON d.oid = status.database
ORDER BY d.datname;
COMMENT ON VIEW hydra.webhook_databases IS
    'Whether events are being sent, for each database of this cluster that is known to have the extension; none on a standby, or if the extension is not preloaded';
COMMENT ON COLUMN hydra.webhook_databases.database IS 'Name of the database';
COMMENT ON COLUMN hydra.webhook_databases.state IS 'As in hydra.webhook_worker_status';
COMMENT ON COLUMN hydra.webhook_databases.detail IS
    'Reason of the state; hydra.webhook_worker_status in that database knows more';
COMMENT ON COLUMN hydra.webhook_databases.pid IS 'Process id of the dispatcher; null: it is not running';
COMMENT ON COLUMN hydra.webhook_databases.since IS 'When the dispatcher started; null: it is not running';
COMMENT ON COLUMN hydra.webhook_databases.in_flight IS 'Number of requests in progress or about to start';
COMMENT ON COLUMN hydra.webhook_databases.queued IS 'Number of deliveries that the dispatcher holds in memory';
COMMENT ON COLUMN hydra.webhook_databases.dropped IS
    'Number of events that were dropped since the server started, because hydra_webhooks.max_pending was reached';
SET LOCAL search_path = hydra, pg_temp;
