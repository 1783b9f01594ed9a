SET LOCAL search_path = pg_catalog, pg_temp;
-- Comments on the functions that are written in Rust.
COMMENT ON FUNCTION hydra.webhook_emit(text, jsonb, text) IS
    'Emits an event in the current transaction; returns its id, or null if no active subscription wants it or it was dropped because of hydra_webhooks.max_pending';
COMMENT ON FUNCTION hydra.webhook_emit_row() IS
    'For AFTER triggers FOR EACH ROW: emits the new row, or for DELETE the old row, as an event of the type that its argument names';
COMMENT ON FUNCTION hydra.webhook_emit_statement() IS
    'For AFTER triggers FOR EACH STATEMENT with transition tables, as hydra.webhook_watch creates them: emits all rows';
COMMENT ON FUNCTION hydra.webhook_send_test(bigint) IS
    'Makes one signed request of type webhook.test now and returns the response; records no history';
COMMENT ON FUNCTION hydra.webhook_verify(text, text, text, interval) IS
    'Whether an X-Hydra-Signature header is a valid signature of the body with the secret, and its time differs from now by at most the tolerance';
COMMENT ON FUNCTION hydra.webhook_park() IS
    'Stops the dispatcher of this database at once, until hydra.webhook_unpark() or a restart of the server, so that the database can be renamed, copied or dropped';
COMMENT ON FUNCTION hydra.webhook_unpark() IS 'Starts the dispatcher of this database again, after hydra.webhook_park() or after it failed several times';
COMMENT ON FUNCTION hydra._check_url(text) IS 'Fails if no request may be sent to this URL';
COMMENT ON FUNCTION hydra._names_event_type(text, text) IS
    'Whether an entry of the event types of a subscription matches this event type: its name; ticket.*: all that begin with ticket.; *: all except those of the extension';
COMMENT ON FUNCTION hydra._check_headers(jsonb) IS 'Fails if a subscription cannot have these additional headers';
COMMENT ON FUNCTION hydra._new_secret(bigint) IS
    'Returns a new random signing secret for a subscription, in the form in which it is stored (sealed if there is a key), and its first characters';
COMMENT ON FUNCTION hydra._add_secret(bigint) IS 'Makes a signing secret for a subscription, stores it and returns it';
COMMENT ON FUNCTION hydra._reseal_secret(text, bigint) IS 'Returns a stored secret, sealed with the first key';
COMMENT ON FUNCTION hydra._seal_headers(jsonb, bigint) IS 'Returns the headers of a subscription in the form in which they are stored: values are sealed if there is a key';
COMMENT ON FUNCTION hydra._reseal_headers(jsonb, bigint) IS 'Returns stored headers, with their values sealed with the first key';
COMMENT ON FUNCTION hydra._origin(text) IS 'Scheme, host and port of a URL; null: it cannot be read';
COMMENT ON FUNCTION hydra._shown_url(text) IS 'Scheme, host and port of a URL, for those who may not see the rest';
COMMENT ON FUNCTION hydra._delivery_id(uuid, bigint, bigint) IS 'Id of the delivery of an event to a subscription';
COMMENT ON FUNCTION hydra._subscriptions_changed() IS 'Announces a change of subscriptions, secrets or event types, as hydra._announce_changes() does';
COMMENT ON FUNCTION hydra._filter_passes(jsonpath, jsonb) IS
    'Whether an entity passes the filter of a subscription: the path finds something other than false or null; null filter: always';
COMMENT ON FUNCTION hydra._own_event_passes(bigint, jsonpath, jsonb) IS
    'Whether an event of the extension itself passes the filter of a subscription; yes if the filter fails or takes too long, which is logged';
COMMENT ON FUNCTION hydra._check_event_type(text) IS 'Fails if this event type cannot be emitted';
COMMENT ON FUNCTION hydra._check_expression(text, text) IS 'Fails if a text is not exactly one SQL expression';
COMMENT ON FUNCTION hydra._check_watch(oid, text[], boolean, boolean) IS
    'Fails if the expressions of a watch do not fit its table; the last two arguments: whether there are old rows, and new rows';
COMMENT ON FUNCTION hydra._trigger_arguments(bytea) IS 'Arguments of a trigger, from its tgargs';
COMMENT ON FUNCTION hydra._watch_details(text[], text, text[], text[]) IS
    'Returns the details of a watch, from the arguments, the definition and the columns of its trigger, and the columns of its table';
COMMENT ON FUNCTION hydra._announce_changes() IS
    'Makes the dispatcher and all sessions read again what they keep in memory, after the current transaction commits';
COMMENT ON FUNCTION hydra._worker_status() IS 'State of the dispatcher of this database, for hydra.webhook_worker_status';

-- Nothing is granted to PUBLIC. Each role gets the privileges for its purpose, and the worker those for its statements.
COMMENT ON SCHEMA hydra IS 'Hydra Webhooks: signed, retried webhooks from this database';
REVOKE ALL ON SCHEMA hydra FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA hydra FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA hydra FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA hydra FROM PUBLIC;

-- Revokes also the privileges of roles that are granted everything that a superuser creates (ALTER DEFAULT PRIVILEGES),
-- or that had a privilege on the schema while it was empty.
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT DISTINCT a.grantee::regrole AS role
        FROM (SELECT n.nspacl, n.nspowner FROM pg_namespace AS n WHERE n.nspname = 'hydra'
              UNION ALL
              SELECT c.relacl, c.relowner FROM pg_class AS c WHERE c.relnamespace = 'hydra'::regnamespace
              UNION ALL
              SELECT p.proacl, p.proowner FROM pg_proc AS p WHERE p.pronamespace = 'hydra'::regnamespace) AS object (acl, owner),
             aclexplode(object.acl) AS a
        WHERE a.grantee <> object.owner AND a.grantee <> 0
    LOOP
        EXECUTE format('REVOKE ALL ON SCHEMA hydra FROM %s CASCADE', given.role);
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA hydra FROM %s CASCADE', given.role);
        EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA hydra FROM %s CASCADE', given.role);
        EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA hydra FROM %s CASCADE', given.role);
    END LOOP;
END
$$;
GRANT USAGE ON SCHEMA hydra TO hydra_admin, hydra_member, hydra_analyst, hydra_emitter, hydra_worker;

GRANT SELECT ON hydra.webhook_subscriptions, hydra.webhook_event_types, hydra.webhook_watches, hydra.webhook_worker_status
    TO hydra_admin, hydra_member, hydra_analyst;
GRANT SELECT ON hydra.webhook_pending, hydra.webhook_failed, hydra.webhook_history, hydra.webhook_stats TO hydra_admin, hydra_analyst;
-- Functions in a view are executed as the role that reads it.
GRANT EXECUTE ON FUNCTION hydra._worker_status(), hydra._watch_details(text[], text, text[], text[]), hydra._shown_url(text)
    TO hydra_admin, hydra_member, hydra_analyst;
GRANT EXECUTE ON FUNCTION hydra._trigger_arguments(bytea), hydra._trigger_type(smallint) TO hydra_admin, hydra_member, hydra_analyst, hydra_emitter;
GRANT EXECUTE ON FUNCTION hydra._delivery_id(uuid, bigint, bigint), hydra._percentile(bigint[], double precision) TO hydra_admin, hydra_analyst;

GRANT EXECUTE ON FUNCTION
    hydra.webhook_emit(text, jsonb, text), hydra.webhook_emit_row(), hydra.webhook_emit_statement(),
    hydra.webhook_watch(regclass, text, text, text, text, text[], text, text), hydra.webhook_unwatch(regclass, text)
    TO hydra_emitter;
-- hydra.webhook_watch and hydra.webhook_unwatch run as their caller, who needs each of these functions. None of these
-- functions shows or does anything that the caller could not see or do without it.
GRANT EXECUTE ON FUNCTION
    hydra._define_watch(regclass, text, text, text, text, text[], text, text, name[]), hydra._watches(regclass),
    hydra._new_watch_name(text, text[]),
    hydra._watch_operations(text, text), hydra._watch_arguments(text, text, text, text[], text, boolean, name[]),
    hydra._create_watch(text, text, text[], text[], text, boolean, text[], boolean, boolean),
    hydra._check_watched(regclass, text[], text, text[]), hydra._check_watch(oid, text[], boolean, boolean),
    hydra._check_expression(text, text), hydra._check_event_type(text)
    TO hydra_emitter;

GRANT EXECUTE ON FUNCTION
    hydra.webhook_create(
        text, text[], text, text, text, text[], jsonb, interval, interval[], jsonpath, integer, integer, integer, boolean),
    hydra.webhook_update(
        bigint, text, text[], text, text, text, text[], jsonb, interval, interval[], jsonpath, integer, integer, integer, boolean),
    hydra.webhook_would_match(bigint, text, jsonb, text), hydra._choice(bigint, text), hydra._check_event_type(text),
    hydra._filter_passes(jsonpath, jsonb),
    hydra.webhook_delete(bigint), hydra.webhook_pause(bigint), hydra.webhook_resume(bigint),
    hydra.webhook_rotate_secret(bigint, interval), hydra.webhook_send_test(bigint),
    hydra.webhook_retry(uuid), hydra.webhook_cancel(uuid), hydra.webhook_replay(bigint, timestamptz, timestamptz), hydra.webhook_adopt(boolean),
    hydra.webhook_park(), hydra.webhook_unpark(), hydra.webhook_seal_secrets(),
    hydra.webhook_register_event_type(text, text, text, text),
    hydra.webhook_verify(text, text, text, interval)
    TO hydra_admin;

GRANT EXECUTE ON FUNCTION hydra._at_home(), hydra._here(), hydra._names_event_type(text, text),
    hydra._own_event_passes(bigint, jsonpath, jsonb), hydra._wanted_by(text, text, jsonb, bigint),
    hydra._shown_url(text),
    hydra._seconds(interval[]) -- in a CHECK of hydra.subscription
    TO hydra_worker;
GRANT SELECT, DELETE ON hydra.signing_secret TO hydra_worker;
GRANT SELECT ON hydra.effective_subscription, hydra.identity, hydra.current_identity TO hydra_worker;
GRANT SELECT, UPDATE (status, disabled_reason, status_since) ON hydra.subscription TO hydra_worker;
GRANT SELECT, INSERT, DELETE, UPDATE (targets) ON hydra.event TO hydra_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON hydra.delivery TO hydra_worker;
GRANT SELECT, INSERT, UPDATE ON hydra.subscription_health TO hydra_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON hydra.delivery_count TO hydra_worker;
GRANT SELECT, INSERT, DELETE ON hydra.attempt TO hydra_worker;

-- Makes the launcher look for the new extension.
SELECT hydra._announce_changes();

DO $$
BEGIN
    IF (SELECT status.state FROM hydra._worker_status() AS status) OPERATOR(pg_catalog.=) 'not preloaded' THEN
        RAISE WARNING 'hydra_webhooks is not preloaded, so nothing is sent'
            USING HINT = 'Add it to shared_preload_libraries and restart the server. Events are kept until then.';
    END IF;
END
$$;
