SET LOCAL search_path = pg_catalog, pg_temp;
CREATE FUNCTION hydra._events_and_deliveries(events bigint, deliveries bigint) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('%s event%s and %s %s', events, CASE WHEN events <> 1 THEN 's' END, deliveries,
                  CASE WHEN deliveries = 1 THEN 'delivery' ELSE 'deliveries' END)
$$;
COMMENT ON FUNCTION hydra._events_and_deliveries(bigint, bigint) IS 'Both numbers as text, such as 1 event and 2 deliveries';

CREATE FUNCTION hydra._and_inbound(events bigint) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE events WHEN 0 THEN '' WHEN 1 THEN ' and 1 inbound event' ELSE format(' and %s inbound events', events) END
$$;
COMMENT ON FUNCTION hydra._and_inbound(bigint) IS 'A number of inbound events as the end of a text, such as " and 2 inbound events"; empty if there are none';

CREATE FUNCTION hydra._waiting(installation uuid, OUT own text, OUT copied text, OUT is_copied boolean)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT hydra._events_and_deliveries(event.own, delivery.own) || hydra._and_inbound(inbound.own),
           hydra._events_and_deliveries(event.copied, delivery.copied) || hydra._and_inbound(inbound.copied),
           event.copied + delivery.copied + inbound.copied > 0
    FROM (SELECT count(*) FILTER (WHERE e.installation = _waiting.installation) AS own,
                 count(*) FILTER (WHERE e.installation <> _waiting.installation) AS copied
          FROM hydra.event AS e) AS event,
         (SELECT count(*) FILTER (WHERE d.installation = _waiting.installation) AS own,
                 count(*) FILTER (WHERE d.installation <> _waiting.installation) AS copied
          FROM hydra.delivery AS d
          WHERE d.state = 'pending') AS delivery,
         (SELECT count(*) FILTER (WHERE i.installation = _waiting.installation) AS own,
                 count(*) FILTER (WHERE i.installation <> _waiting.installation) AS copied
          FROM hydra.inbound_event AS i
          WHERE i.due_at IS NOT NULL) AS inbound
$$;
COMMENT ON FUNCTION hydra._waiting(uuid) IS
    'What waits to be sent or processed, of this installation (own) or of another one (copied), and whether anything was copied';

CREATE FUNCTION hydra._let_worker_connect() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    command text := format('GRANT CONNECT ON DATABASE %I TO hydra_worker', current_database());
BEGIN
    EXECUTE command;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'role hydra_worker could not be granted CONNECT'
        USING DETAIL = 'The owner of the extension does not own the database.',
              HINT = format('If hydra.webhook_worker_status says that the privilege is missing, run %s.', command);
END
$$;
COMMENT ON FUNCTION hydra._let_worker_connect() IS 'Grants the worker the privilege to connect to this database, which a copy of a database does not have';

CREATE FUNCTION hydra.webhook_adopt(keep_queue boolean DEFAULT NULL, new_identity boolean DEFAULT false)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    becomes uuid;
    waiting record;
BEGIN
    IF new_identity IS NULL THEN
        RAISE EXCEPTION 'new_identity must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  DETAIL = 'It decides whether a database that cannot be recognized as a copy becomes a new installation.',
                  HINT = 'Pass true in a clone that was made of files, and omit it otherwise.';
    END IF;
    LOCK TABLE hydra.identity IN SHARE ROW EXCLUSIVE MODE;
    PERFORM hydra._let_worker_connect();
    IF NOT hydra._at_home() THEN
        becomes := hydra._installation();
    ELSIF new_identity THEN
        becomes := gen_random_uuid();
    ELSE
        RAISE NOTICE 'this database is not a copy'
            USING HINT = 'A clone that was made of files cannot be recognized; new_identity => true makes it a new installation.';
        PERFORM hydra._announce_changes();
        RETURN;
    END IF;

    SELECT known.* INTO waiting FROM hydra._waiting(becomes) AS known;
    IF waiting.is_copied AND keep_queue IS NULL THEN
        RAISE EXCEPTION 'keep_queue must be given, because events were copied that were not sent'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = format('Copied: %s. Emitted here, and kept in any case: %s.', waiting.copied, waiting.own),
                  HINT = 'keep_queue => true: what was copied is sent from here; right after pg_upgrade, or if the original no longer sends. '
                         || 'keep_queue => false: what was copied is left to the original; right if that sends it.';
    ELSIF waiting.is_copied AND NOT keep_queue THEN
        DELETE FROM hydra.event AS copied WHERE copied.installation <> becomes;
        DELETE FROM hydra.delivery AS copied WHERE copied.state = 'pending' AND copied.installation <> becomes;
        -- They stay in the list of what came, and can be processed by hydra.inbound_replay().
        UPDATE hydra.inbound_event AS copied
        SET state = 'failed', due_at = NULL, error = coalesce(copied.error, 'left to the database that this one was copied from'),
            sqlstate = coalesce(copied.sqlstate, '55000')
        WHERE copied.due_at IS NOT NULL AND copied.installation <> becomes;
    END IF;
    DELETE FROM hydra.identity;
    INSERT INTO hydra.identity (namespace, system_identifier, database_oid, server_version)
    SELECT becomes, here.system_identifier, here.database_oid, here.server_version FROM hydra._here() AS here;
    PERFORM hydra._announce_changes();
    RAISE NOTICE 'this database sends its own events now'
        USING DETAIL = format('Copied, and %s: %s. Emitted here, and kept: %s.',
                              CASE WHEN keep_queue IS FALSE THEN 'left to the original' ELSE 'kept' END, waiting.copied, waiting.own);
END
$$;
COMMENT ON FUNCTION hydra.webhook_adopt(boolean, boolean) IS
    'Makes a restored, copied or upgraded database an installation that sends. keep_queue: whether it sends events that were copied, too, or leaves them to the original; needed if there are any. new_identity: for clones that were made of files';
SET LOCAL search_path = hydra, pg_temp;
