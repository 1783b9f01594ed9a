SET LOCAL search_path = pg_catalog, pg_temp;
-- Comments on the functions that are written in Rust.
COMMENT ON FUNCTION hydra.webhook_emit(text, jsonb, text) IS
    'Emits an event in the current transaction; returns its id, or null if no subscription that gets or misses events wants it, or it was dropped because of hydra_webhooks.max_pending';
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
COMMENT ON FUNCTION hydra._check_headers(text) IS 'Fails if a subscription cannot have these additional headers, given as JSON';
COMMENT ON FUNCTION hydra._new_secret(bigint) IS
    'Returns a new random signing secret for a subscription, or the one that _add_secret was given, in the form in which it is stored (sealed if there is a key), and its first characters';
COMMENT ON FUNCTION hydra._add_secret(bigint, text) IS 'Stores a signing secret for a subscription, the given one or a random one, and returns it';
COMMENT ON FUNCTION hydra._check_secrets_fit(bigint) IS 'Fails if a subscription signs for Standard Webhooks with a secret that the libraries refuse';
COMMENT ON FUNCTION hydra._reseal_secret(text, bigint) IS 'Returns a stored secret, sealed with the first key';
COMMENT ON FUNCTION hydra._seal_headers(jsonb, bigint) IS 'Returns the headers of a subscription in the form in which they are stored: values are sealed if there is a key';
COMMENT ON FUNCTION hydra._reseal_headers(jsonb, bigint) IS 'Returns stored headers, with their values sealed with the first key';
COMMENT ON FUNCTION hydra._origin(text) IS 'Scheme, host and port of a URL; null: it cannot be read';
COMMENT ON FUNCTION hydra._shown_url(text) IS 'Scheme, host and port of a URL, for those who may not see the rest';
COMMENT ON FUNCTION hydra._shown_error(text) IS 'Error of an attempt without the address of a refused host name, for those who may not see that';
COMMENT ON FUNCTION hydra._delivery_id(uuid, bigint, bigint, bigint) IS
    'Id of the delivery of an event to a subscription; the arguments: installation, number and random part of the event, subscription';
COMMENT ON FUNCTION hydra._event_uuid(uuid, bigint, bigint) IS
    'Id of an event as receivers see it; the arguments: installation, number and random part of the event';
COMMENT ON FUNCTION hydra._installation() IS 'The installation that this database is: hydra.identity, or another one derived from it if the database is a copy';
COMMENT ON FUNCTION hydra._at_home() IS 'Whether this database is the one that hydra.identity names, and not a copy of it';
COMMENT ON FUNCTION hydra.webhook_percentile(bigint[], double precision) IS
    'Percentile of the response times in a histogram, in milliseconds, to two digits, at most a quarter too high; the share is from 0 to 1; null: no responses';
COMMENT ON FUNCTION hydra._merge_step(internal, bigint[]) IS 'Adds a histogram, for hydra.webhook_merge';
COMMENT ON FUNCTION hydra._merge_end(internal) IS 'Returns the sum of histograms, for hydra.webhook_merge';
COMMENT ON FUNCTION hydra._column_origins(oid) IS
    'Columns of a relation, each with the relation and the number of the column that it is: its own or, of a view, one behind it; none: it is computed';
COMMENT ON FUNCTION hydra._random() IS 'A random number, different in every session and call';
COMMENT ON FUNCTION hydra._subscriptions_changed() IS 'Announces changes: of the subscription that its first argument, a column, names, or of everything';
COMMENT ON FUNCTION hydra._is_replicating() IS 'Whether this process applies the changes of another cluster, as a worker of logical replication does';
COMMENT ON FUNCTION hydra._filter_passes(jsonpath, jsonb) IS
    'Whether an entity passes the filter of a subscription: the path finds something other than false or null; null filter: always';
COMMENT ON FUNCTION hydra._filter_passes_text(jsonpath, text) IS
    'Whether an entity, given as text, passes the filter of a subscription, as one does that jsonb cannot hold; null filter or entity: always';
COMMENT ON FUNCTION hydra._own_event_passes(bigint, jsonpath, jsonb) IS
    'Whether an event of the extension itself passes the filter of a subscription; yes if the filter fails or takes too long, which is logged';
COMMENT ON FUNCTION hydra._nearest_event_type(text, text[]) IS
    'The one of these event types that was probably meant by one that is not registered; null: none is similar';
COMMENT ON FUNCTION hydra._event_type_correction(text, text[]) IS
    'What to do about an event type that is not registered, if these are; names the one that was probably meant';
COMMENT ON FUNCTION hydra._watch_errors(oid[]) IS 'Errors of the watch that is these triggers, for hydra.webhook_watches';
COMMENT ON FUNCTION hydra._check_event_type(text) IS 'Fails if this event type cannot be emitted';
COMMENT ON FUNCTION hydra._id_key(text) IS 'The id_key of an event type; fails if it cannot be emitted';
COMMENT ON FUNCTION hydra._check_expression(text, text) IS 'Fails if a text is not exactly one SQL expression';
COMMENT ON FUNCTION hydra._check_watch(oid, text[], boolean, boolean) IS
    'Fails if the expressions of a watch do not fit its table; the last two arguments: whether there are old rows, and new rows';
COMMENT ON FUNCTION hydra._trigger_arguments(bytea) IS 'Arguments of a trigger, from its tgargs';
COMMENT ON FUNCTION hydra._watch_details(text[], text, text[]) IS
    'Returns the details of a watch, from the arguments, the definition and the columns of its trigger';
COMMENT ON FUNCTION hydra._watch_problem(oid, oid) IS
    'Returns why a watch, given by its table and its trigger, does not fit; runs no code of its author';
COMMENT ON FUNCTION hydra._representation(anyelement, text[]) IS
    'Returns a row with only these columns as the REST API shows it: as a webhook of a watch with "only" sends it';
COMMENT ON FUNCTION hydra._announce_changes() IS
    'Makes the dispatcher and all sessions read again what they keep in memory, after the current transaction commits';
COMMENT ON FUNCTION hydra._announce_change(bigint) IS
    'Makes the dispatcher and all sessions read one subscription again, after the current transaction commits; null: everything';
COMMENT ON FUNCTION hydra.serve(integer, text, bytea, text, text, text, jsonb, bytea, inet) IS
    'Answers one HTTP request; docs/gateway-seam.md describes arguments and result';
COMMENT ON FUNCTION hydra.serve_packed(integer, text, bytea, text, text, text, bytea, bytea, text) IS
    'The same as hydra.serve, with headers and answer as bytes; docs/gateway-seam.md describes them';
COMMENT ON FUNCTION hydra.current_tenant() IS 'Tenant of the request that is being answered; null: none, or no request. SQL cannot set it';
COMMENT ON FUNCTION hydra.current_key() IS 'Id of the API key of the request that is being answered; null: none, or no request. SQL cannot set it';
COMMENT ON FUNCTION hydra.current_scopes() IS 'Scopes of the request that is being answered; null: no request. SQL cannot set them';
COMMENT ON FUNCTION hydra.api_key_create(text, text[], text, text, timestamptz, text, integer) IS
    'Creates an API key; returns its id and the key, which is not shown again';
COMMENT ON FUNCTION hydra.api_key_rotate(bigint, interval) IS
    'Gives an API key a new text and returns it, once; during the overlap the old one is accepted too';
COMMENT ON FUNCTION hydra.console_link(text, text, interval) IS
    'Makes a link with which one person can open the settings pages once, as this role and for this tenant';
COMMENT ON FUNCTION hydra.api_expose(regclass, text, text[], text[], text[], text[], text[], boolean, text, text, text, text) IS
    'Shows a table or view in the REST API; returns the name of the resource, and replaces a resource of the same name';
COMMENT ON FUNCTION hydra.api_hide(text) IS 'Removes a resource from the REST API; returns whether there was one';
COMMENT ON FUNCTION hydra.tool_register(regprocedure, text, text, boolean, text, text, boolean, boolean, boolean) IS
    'Lets models call a function of the application; returns the name of the tool, and replaces a tool of the same name';
COMMENT ON FUNCTION hydra.tool_unregister(text) IS 'Removes a tool; returns whether there was one';
COMMENT ON FUNCTION hydra.approve(bigint) IS
    'Confirms what a tool would write: writes it if it is still what was shown; returns done, changed (it has a new preview) or failed, see hydra.approvals';
COMMENT ON FUNCTION hydra.refuse(bigint) IS 'Refuses what a tool would write';
COMMENT ON FUNCTION hydra._resources_changed() IS 'Makes all sessions read resources again, after the current transaction commits';
COMMENT ON FUNCTION hydra.rehearse(text, jsonb) IS
    'Calls a function with one argument of type jsonb and undoes everything: returns its result, the rows that it wrote, the webhooks that it would send, and its notices';
COMMENT ON FUNCTION hydra.inbound_create(text, jsonb, text, text, text, jsonb, text, text, text, jsonb, interval, integer) IS
    'Creates an inbound adapter; returns its id and its URL, which is not shown again';
COMMENT ON FUNCTION hydra.inbound_rotate_url(bigint, interval) IS
    'Gives an inbound adapter a new URL and returns it, once; during the overlap the old one is accepted too';
COMMENT ON FUNCTION hydra.inbound_rotate_secret(bigint, text, interval) IS
    'Gives an inbound adapter the secret that the provider shows now; during the overlap the old one is accepted too';
COMMENT ON FUNCTION hydra.inbound_try(bigint, jsonb, bytea, text, text, jsonb, bigint) IS
    'Says, stage by stage, what would become of a request to an inbound adapter, or of one that was refused; nothing is written and no flow runs';
COMMENT ON FUNCTION hydra.inbound_replay(bigint, timestamptz, timestamptz) IS
    'Processes events of an inbound adapter again that came in this time and are failed or unmatched; returns how many';
COMMENT ON FUNCTION hydra._check_inbound(text, text, text) IS
    'Fails if an inbound adapter cannot have this provider, scheme and mapping; says what else has to be checked';
COMMENT ON FUNCTION hydra._given_inbound_secret(bigint) IS 'The secret that is being given to an inbound adapter, in the form in which it is stored; null: none';
COMMENT ON FUNCTION hydra._given_inbound_token(bigint) IS 'The secret part of the URL that is being given to an inbound adapter, in the form in which it is stored; null: none';
COMMENT ON FUNCTION hydra._reseal_inbound_secret(text, bigint) IS 'Returns a stored secret of an inbound adapter, sealed with the first key';
COMMENT ON FUNCTION hydra._reseal_inbound_token(text, bigint) IS 'Returns the stored secret part of a URL of an inbound adapter, sealed with the first key';
COMMENT ON FUNCTION hydra.flow_create(text, text, text, jsonpath, interval, text) IS
    'Creates a flow in testing: a function with one argument of type jsonb, called for each mapped event of the event type whose entity the filter selects; returns its id';
COMMENT ON FUNCTION hydra.flow_deploy(bigint) IS
    'Lets a flow run, as the owner of its function, from the next event on; accepts the present owner of the function';
COMMENT ON FUNCTION hydra.flow_test(bigint) IS
    'Lets a flow be rehearsed from the next event on: its effects are recorded in hydra.flow_runs and undone';
COMMENT ON FUNCTION hydra._flow_filter_passes(jsonpath, jsonb) IS
    'Whether an entity passes the filter of a flow; null filter: always. Fails if that cannot be found out';
COMMENT ON FUNCTION hydra._set_gateway_verifier(text) IS
    'Gives the role hydra_gateway_embedded a password, of which only the SCRAM verifier is passed';
COMMENT ON FUNCTION hydra._database_status() IS 'State of the dispatcher of each database, for hydra.webhook_databases';
COMMENT ON FUNCTION hydra._worker_status() IS 'State of the dispatcher of this database, for hydra.webhook_worker_status';
COMMENT ON FUNCTION hydra.mail_channel_create(text, text, text, text, bigint, interval) IS
    'Creates a mail channel: each message to the address is passed to a function with one argument of type jsonb, which runs as its owner; returns its id';
COMMENT ON FUNCTION hydra.mail_channel_update(bigint, text, text, bigint, interval) IS
    'Changes a mail channel, and accepts the present owner of its function; what is left out stays, and an empty trusted_server is none';
COMMENT ON FUNCTION hydra.mail_tag(text, text, text, text) IS
    'What is put into the subject of messages about an entity, such as [Ticket #k3f9x2qd], so that replies lead to it';
COMMENT ON FUNCTION hydra.mail_reply_address(text, text, text, text) IS
    'Address of a channel to which replies about an entity are to be sent, so that they lead to it';
COMMENT ON FUNCTION hydra.mail_sent(text, text, text, text[], text) IS
    'Records the Message-ID of a message that the application has sent about an entity, and makes its recipients participants';
COMMENT ON FUNCTION hydra.mail_raw(bigint) IS 'A message as it came; null: it is not kept any more. The function of a channel may read its own message';
COMMENT ON FUNCTION hydra.mail_attachment(bigint, integer) IS
    'Content of an attachment of a message, by its index; null: there is none. The function of a channel may read those of its own message';
COMMENT ON FUNCTION hydra._reseal_mail_secret(text) IS 'Returns the stored secret of tags and reply addresses, sealed with the first key';
COMMENT ON FUNCTION hydra._new_mail_secret() IS 'Makes the secret of tags and reply addresses, in the form in which it is stored';
COMMENT ON FUNCTION hydra._runner_status() IS 'State of the runner of this database, for hydra.runner_status';
COMMENT ON FUNCTION hydra._note_for_runner(timestamptz) IS
    'Makes the runner start at this time, or after the commit if it has passed then';
COMMENT ON FUNCTION hydra._gateway_status() IS 'State of the gateway that this server runs, for hydra.gateway_status';

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
GRANT USAGE ON SCHEMA hydra
    TO hydra_admin, hydra_member, hydra_analyst, hydra_emitter, hydra_worker, hydra_api, hydra_gateway, hydra_gateway_embedded;

GRANT EXECUTE ON FUNCTION
    hydra.serve(integer, text, bytea, text, text, text, jsonb, bytea, inet),
    hydra.serve_packed(integer, text, bytea, text, text, text, bytea, bytea, text)
    TO hydra_gateway, hydra_gateway_embedded;
-- For policies and functions of the application. They run as the roles that requests act as.
GRANT EXECUTE ON FUNCTION hydra.current_tenant(), hydra.current_key(), hydra.current_scopes()
    TO hydra_api, hydra_admin, hydra_member, hydra_analyst, hydra_emitter;
GRANT EXECUTE ON FUNCTION
    hydra.api_key_create(text, text[], text, text, timestamptz, text, integer), hydra.api_key_revoke(bigint),
    hydra.api_key_rotate(bigint, interval), hydra.console_link(text, text, interval), hydra.rehearse(text, jsonb)
    TO hydra_admin;
GRANT SELECT ON hydra.api_keys TO hydra_admin;
GRANT EXECUTE ON FUNCTION
    hydra.api_expose(regclass, text, text[], text[], text[], text[], text[], boolean, text, text, text, text), hydra.api_hide(text),
    hydra.tool_register(regprocedure, text, text, boolean, text, text, boolean, boolean, boolean), hydra.tool_unregister(text)
    TO hydra_admin;
GRANT EXECUTE ON FUNCTION
    hydra.flow_create(text, text, text, jsonpath, interval, text), hydra.flow_deploy(bigint), hydra.flow_test(bigint),
    hydra.flow_pause(bigint), hydra.flow_delete(bigint), hydra.flow_would_match(bigint, text, jsonb, text),
    hydra._flow_choice(bigint, text), hydra._flow_filter_passes(jsonpath, jsonb)
    TO hydra_admin;
GRANT EXECUTE ON FUNCTION hydra.approve(bigint), hydra.refuse(bigint) TO hydra_admin;
GRANT SELECT ON hydra.approvals TO hydra_admin;
GRANT SELECT ON hydra.api_resources, hydra.tools TO hydra_admin, hydra_member, hydra_analyst;
GRANT SELECT ON hydra.flows, hydra.flow_runs, hydra.runner_status TO hydra_admin, hydra_member, hydra_analyst;
GRANT SELECT ON hydra.gateways, hydra.gateway_status TO hydra_admin, hydra_member, hydra_analyst;
GRANT EXECUTE ON FUNCTION hydra._set_gateway_verifier(text) TO hydra_worker;
GRANT EXECUTE ON FUNCTION
    hydra.inbound_create(text, jsonb, text, text, text, jsonb, text, text, text, jsonb, interval, integer),
    hydra.inbound_update(bigint, text, jsonb, text, text, jsonb, text, text, text, jsonb, interval, integer),
    hydra.inbound_pause(bigint), hydra.inbound_resume(bigint), hydra.inbound_delete(bigint),
    hydra.inbound_rotate_url(bigint, interval), hydra.inbound_rotate_secret(bigint, text, interval),
    hydra.inbound_try(bigint, jsonb, bytea, text, text, jsonb, bigint), hydra.inbound_replay(bigint, timestamptz, timestamptz)
    TO hydra_admin;
GRANT EXECUTE ON FUNCTION
    hydra.mail_channel_create(text, text, text, text, bigint, interval), hydra.mail_channel_update(bigint, text, text, bigint, interval),
    hydra.mail_channel_pause(bigint), hydra.mail_channel_resume(bigint), hydra.mail_channel_delete(bigint)
    TO hydra_admin;
-- Reading a message is decided by the functions: that of a channel reads the message that it gets.
GRANT EXECUTE ON FUNCTION
    hydra.mail_tag(text, text, text, text), hydra.mail_reply_address(text, text, text, text), hydra.mail_sent(text, text, text, text[], text),
    hydra.mail_raw(bigint), hydra.mail_attachment(bigint, integer)
    TO hydra_admin, hydra_emitter;
GRANT EXECUTE ON FUNCTION hydra.mail_raw(bigint), hydra.mail_attachment(bigint, integer) TO hydra_analyst;
GRANT SELECT ON hydra.mail_channels TO hydra_admin, hydra_member, hydra_analyst;
GRANT SELECT ON hydra.mail_messages TO hydra_admin, hydra_analyst;
GRANT SELECT ON hydra.inbound_adapters, hydra.inbound_events, hydra.inbound_refusals TO hydra_admin, hydra_member, hydra_analyst;

GRANT SELECT ON hydra.webhook_subscriptions, hydra.webhook_worker_status, hydra.webhook_databases TO hydra_admin, hydra_member, hydra_analyst;
-- A migration sees what it has registered and watched.
GRANT SELECT ON hydra.webhook_event_types, hydra.webhook_watches TO hydra_admin, hydra_member, hydra_analyst, hydra_emitter;
GRANT SELECT ON hydra.webhook_pending, hydra.webhook_failed, hydra.webhook_delivered, hydra.webhook_history, hydra.webhook_stats,
                hydra.webhook_kept, hydra.webhook_counts, hydra._subscription_name
    TO hydra_admin, hydra_analyst;
-- Functions in a view are executed as the role that reads it.
GRANT EXECUTE ON FUNCTION hydra._worker_status(), hydra._database_status(), hydra._gateway_status(), hydra._runner_status(), hydra._shown_url(text),
    hydra._shown_error(text), hydra._refused_columns(oid, text, text[]), hydra._column_origins(oid)
    TO hydra_admin, hydra_member, hydra_analyst;
GRANT EXECUTE ON FUNCTION
    hydra._trigger_arguments(bytea), hydra._trigger_type(smallint), hydra._watch_details(text[], text, text[]),
    hydra._watch_problem(oid, oid), hydra._watch_errors(oid[]), hydra._watches(regclass), hydra._watch_settings(oid),
    hydra._watch_notes(regclass, text, text, text, text[], text[], text), hydra._level_note(regclass, text, text),
    hydra._secrets_note(regclass, text, text[]), hydra._looks_secret(text), hydra._id_note(regclass, text, text),
    hydra.webhook_watch_definition(regclass, text)
    TO hydra_admin, hydra_member, hydra_analyst, hydra_emitter;
GRANT EXECUTE ON FUNCTION hydra._delivery_id(uuid, bigint, bigint, bigint), hydra._event_uuid(uuid, bigint, bigint)
    TO hydra_admin, hydra_analyst;
-- For those who watch over the server, whatever they do with webhooks.
GRANT USAGE ON SCHEMA hydra TO pg_monitor;
GRANT EXECUTE ON FUNCTION hydra.webhook_doctor() TO hydra_admin, hydra_analyst, pg_monitor;
GRANT EXECUTE ON FUNCTION hydra._doctor_for_others() TO hydra_analyst, pg_monitor;
-- hydra.webhook_stats_between runs as its caller, who needs what it uses.
GRANT EXECUTE ON FUNCTION
    hydra.webhook_stats_between(timestamptz, timestamptz, text[], bigint, text, text),
    hydra.webhook_percentile(bigint[], double precision), hydra.webhook_merge(bigint[]),
    hydra._check_span(timestamptz, timestamptz), hydra._check_groups(text[]), hydra._names_event_type(text, text)
    TO hydra_admin, hydra_analyst;

GRANT EXECUTE ON FUNCTION
    hydra.webhook_emit(text, jsonb, text), hydra.webhook_emit_row(), hydra.webhook_emit_statement(),
    hydra.webhook_watch(regclass, text, text, text, text, text[], text, text, text[], text[], text, boolean), hydra.webhook_unwatch(regclass, text)
    TO hydra_emitter;
GRANT EXECUTE ON FUNCTION
    hydra.webhook_register_event_type(text, text, text, text), hydra.webhook_unregister_event_type(text),
    hydra.webhook_unregister_catalogue(text)
    TO hydra_admin, hydra_emitter;
-- hydra.webhook_watch and hydra.webhook_unwatch run as their caller, who needs each of these functions. None of these
-- functions shows or does anything that the caller could not see or do without it.
GRANT EXECUTE ON FUNCTION
    hydra._define_watch(regclass, text, text, text, text, text[], text, text, text[], text[], text, boolean, name[]), hydra._tell_of_changes(regclass, text, oid, text, text[], text, text),
    hydra._new_watch_name(text, text[]),
    hydra._watch_operations(text, text), hydra._watch_arguments(text, text, text, text[], text, text[], text[], text, boolean, name[]),
    hydra._check_columns(regclass, text, text[]), hydra._check_choice(regclass, text, text[], text[], boolean),
    hydra._id_key(text),
    hydra._check_entity_type(text),
    hydra._create_watch(text, text, text[], boolean, text[], boolean, boolean),
    hydra._check_watched(regclass, text[], text, text[]), hydra._check_watch(oid, text[], boolean, boolean),
    hydra._check_expression(text, text), hydra._check_event_type(text)
    TO hydra_emitter;

GRANT EXECUTE ON FUNCTION
    hydra.webhook_create(
        text, text[], text, text, text, text[], jsonb, interval, interval[], jsonpath, integer, integer, integer, boolean, interval, boolean, text,
        interval),
    hydra.webhook_update(
        bigint, text, text[], text, text, text, text[], jsonb, interval, interval[], jsonpath, integer, integer, integer, boolean, interval,
        text[], interval),
    hydra.webhook_would_match(bigint, text, jsonb, text), hydra._choice(bigint, text), hydra._check_event_type(text),
    hydra._filter_passes(jsonpath, jsonb),
    hydra.webhook_delete(bigint), hydra.webhook_pause(bigint, boolean), hydra.webhook_resume(bigint, text),
    hydra.webhook_rotate_secret(bigint, interval, text), hydra.webhook_end_overlap(bigint), hydra.webhook_send_test(bigint),
    hydra.webhook_send_kept(bigint, text), hydra.webhook_drop_kept(bigint),
    hydra.webhook_retry(uuid, bigint, text, text, timestamptz, timestamptz, text, text),
    hydra.webhook_cancel(uuid, bigint, text, text, timestamptz, timestamptz, text, text),
    hydra.webhook_replay(bigint, timestamptz, timestamptz, text, text, text), hydra.webhook_adopt(boolean, boolean),
    hydra.webhook_park(), hydra.webhook_unpark(), hydra._doctor_for_admins(), hydra.webhook_seal_secrets(),
    hydra.webhook_verify(text, text, text, interval)
    TO hydra_admin;

GRANT EXECUTE ON FUNCTION hydra._installation(), hydra._random(), hydra._waiting(uuid), hydra._events_and_deliveries(bigint, bigint), hydra._and_inbound(bigint), hydra._names_event_type(text, text),
    hydra._own_event_passes(bigint, jsonpath, jsonb), hydra._wanted_by(text, text, jsonb, bigint),
    hydra._shown_url(text), hydra._shown_error(text), hydra.webhook_merge(bigint[]),
    hydra._seconds(interval[]), -- in a CHECK of hydra.subscription
    hydra._event_uuid(uuid, bigint, bigint) -- in indexes
    TO hydra_worker;
GRANT SELECT (installation, due_at) ON hydra.inbound_event TO hydra_worker;
GRANT SELECT, DELETE ON hydra.signing_secret TO hydra_worker;
GRANT SELECT ON hydra.effective_subscription, hydra.identity TO hydra_worker;
GRANT SELECT, UPDATE (status, disabled_reason, status_since) ON hydra.subscription TO hydra_worker;
GRANT SELECT, INSERT, DELETE, UPDATE (targets) ON hydra.event TO hydra_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON hydra.delivery, hydra.delivered TO hydra_worker;
GRANT SELECT, INSERT, UPDATE ON hydra.subscription_health TO hydra_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON hydra.delivery_count, hydra.attempt_count TO hydra_worker;
GRANT SELECT, INSERT, DELETE ON hydra.attempt TO hydra_worker;
GRANT SELECT, DELETE ON hydra.kept_event, hydra.former_subscription TO hydra_worker;

-- Whoever may write all tables can restore a dump. The constraints of the tables call these functions.
GRANT EXECUTE ON FUNCTION hydra._is_event_type_name(text), hydra._seconds(interval[]) TO pg_write_all_data;

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
