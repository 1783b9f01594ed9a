SET LOCAL search_path = pg_catalog, pg_temp;
-- Functions for mail. Those that get the role of their caller as an argument, or that begin with an underscore, are called
-- from Rust and are granted to nobody.

CREATE FUNCTION hydra._check_mail_channel(address text, trusted_server text, timeout interval, tenant_id text)
    RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF address IS NULL OR address !~ '^[^[:space:]<>@+]+@[^[:space:]<>@+]+$' OR octet_length(address) > 254 THEN
        RAISE EXCEPTION 'invalid address: "%"', left(coalesce(address, 'null'), 120)
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The address of a channel has the form name@domain, without a plus sign, and at most 254 bytes.',
                  HINT = 'Use the address that customers write to, such as support@example.com.';
    ELSIF trusted_server !~ '^[^[:space:];]{1,253}$' THEN
        RAISE EXCEPTION 'invalid trusted_server: "%"', left(trusted_server, 120)
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'It is the name that a mail server puts in front of its Authentication-Results.',
                  HINT = 'Look at that field of a message that has come, or omit it: then no sender is proven.';
    ELSIF extract(epoch FROM timeout) NOT BETWEEN 0.1 AND 8 THEN
        RAISE EXCEPTION 'invalid timeout: %', timeout
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The time limit of a call is between 0.1 and 8 seconds.',
                  HINT = 'Omit it for 5 seconds.';
    END IF;
    PERFORM hydra._check_tenant(tenant_id);
END
$$;
COMMENT ON FUNCTION hydra._check_mail_channel(text, text, interval, text) IS 'Fails if a channel cannot have these settings';

CREATE FUNCTION hydra._check_mail_adapter(id bigint)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF id IS NOT NULL AND NOT EXISTS (SELECT FROM hydra.inbound_adapter AS a WHERE a.id = id AND a.provider = 'mime') THEN
        RAISE EXCEPTION 'inbound adapter % has no messages', id
            USING ERRCODE = 'undefined_object',
                  DETAIL = 'No inbound adapter of the provider mime has this id.',
                  HINT = 'Create one with hydra.inbound_create(..., provider => ''mime'').';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_mail_adapter(bigint) IS 'Fails if this is no inbound adapter for messages; null: no adapter';

CREATE FUNCTION hydra._insert_mail_channel(
    caller oid, address text, function text, tenant_id text, trusted_server text, adapter_id bigint, timeout interval)
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    found record;
    id bigint;
BEGIN
    PERFORM hydra._check_mail_channel(address, trusted_server, timeout, tenant_id);
    PERFORM hydra._check_mail_adapter(adapter_id);
    found := hydra._flow_function(caller, function);
    INSERT INTO hydra.mail_channel AS c (address, function, owner, tenant_id, trusted_server, adapter_id, timeout, created_by)
    VALUES (address, found.name, found.owner, tenant_id, trusted_server, adapter_id, coalesce(timeout, '5 s'),
            pg_get_userbyid(caller))
    ON CONFLICT ON CONSTRAINT one_channel_for_an_address DO NOTHING
    RETURNING c.id INTO id;
    IF id IS NULL THEN
        RAISE EXCEPTION 'there is a channel for "%"', address
            USING ERRCODE = 'duplicate_object',
                  DETAIL = 'An address has one channel.',
                  HINT = 'Change that channel with hydra.mail_channel_update(), or choose another address.';
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION hydra._insert_mail_channel(oid, text, text, text, text, bigint, interval) IS 'Checks and stores a channel; returns its id';

CREATE FUNCTION hydra._locked_mail_channel(id bigint)
    RETURNS hydra.mail_channel LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    found hydra.mail_channel;
BEGIN
    SELECT known.* INTO found FROM hydra.mail_channel AS known WHERE known.id = id FOR NO KEY UPDATE;
    IF found.id IS NULL THEN
        RAISE EXCEPTION 'mail channel % does not exist', coalesce(id::text, 'null')
            USING ERRCODE = 'undefined_object',
                  DETAIL = 'No channel has this id; it may have been deleted.',
                  HINT = 'SELECT id, address FROM hydra.mail_channels lists them.';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION hydra._locked_mail_channel(bigint) IS 'Locks a channel for a change and returns it; fails if it does not exist';

CREATE FUNCTION hydra._update_mail_channel(
    caller oid, id bigint, function text, trusted_server text, adapter_id bigint, timeout interval)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    was hydra.mail_channel := hydra._locked_mail_channel(id);
    found record := hydra._flow_function(caller, coalesce(function, was.function));
BEGIN
    PERFORM hydra._check_mail_channel(was.address, nullif(trusted_server, ''), timeout, NULL);
    PERFORM hydra._check_mail_adapter(adapter_id);
    UPDATE hydra.mail_channel AS changed
    SET function = found.name, owner = found.owner,
        trusted_server = nullif(coalesce(trusted_server, was.trusted_server), ''),
        adapter_id = coalesce(adapter_id, was.adapter_id), timeout = coalesce(timeout, was.timeout)
    WHERE changed.id = was.id;
END
$$;
COMMENT ON FUNCTION hydra._update_mail_channel(oid, bigint, text, text, bigint, interval) IS
    'Changes a channel, and accepts the present owner of its function; null: unchanged';

CREATE FUNCTION hydra.mail_channel_pause(id bigint)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.mail_channel := hydra._locked_mail_channel(id);
BEGIN
    UPDATE hydra.mail_channel AS changed SET state = 'paused' WHERE changed.id = was.id;
END
$$;
COMMENT ON FUNCTION hydra.mail_channel_pause(bigint) IS 'Leaves the messages of a channel with the mail server, which tries again';

CREATE FUNCTION hydra.mail_channel_resume(id bigint)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.mail_channel := hydra._locked_mail_channel(id);
BEGIN
    UPDATE hydra.mail_channel AS changed SET state = 'active' WHERE changed.id = was.id;
END
$$;
COMMENT ON FUNCTION hydra.mail_channel_resume(bigint) IS 'Takes the messages of a paused channel again';

CREATE FUNCTION hydra.mail_channel_delete(id bigint)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.mail_channel := hydra._locked_mail_channel(id);
BEGIN
    DELETE FROM hydra.mail_channel AS gone WHERE gone.id = was.id;
END
$$;
COMMENT ON FUNCTION hydra.mail_channel_delete(bigint) IS
    'Deletes a channel: messages to its address are refused. Threads and messages stay';

CREATE FUNCTION hydra._find_mail_thread(tenant text, kind text, key text)
    RETURNS hydra.mail_thread LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.* FROM hydra.mail_thread AS t
    WHERE t.tenant_id IS NOT DISTINCT FROM tenant AND t.entity_type = kind AND t.entity_id = key
$$;
COMMENT ON FUNCTION hydra._find_mail_thread(text, text, text) IS 'Returns the thread of an entity; null: it has none';

CREATE FUNCTION hydra._insert_mail_thread(tenant text, kind text, key text, new_tag text)
    RETURNS hydra.mail_thread LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found hydra.mail_thread;
BEGIN
    IF kind IS NULL OR octet_length(kind) NOT BETWEEN 1 AND 200 OR key IS NULL OR octet_length(key) NOT BETWEEN 1 AND 300 THEN
        RAISE EXCEPTION 'invalid entity of a thread'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The type of an entity has 1 to 200 bytes, its id 1 to 300.',
                  HINT = 'Pass the kind of thing and its key, such as ''ticket'', ''7''.';
    END IF;
    PERFORM hydra._check_tenant(tenant);
    INSERT INTO hydra.mail_thread (tenant_id, entity_type, entity_id, tag) VALUES (tenant, kind, key, new_tag) ON CONFLICT DO NOTHING;
    found := hydra._find_mail_thread(tenant, kind, key);
    RETURN found;
END
$$;
COMMENT ON FUNCTION hydra._insert_mail_thread(text, text, text, text) IS
    'Makes the thread of an entity with this tag, and returns it; null: another entity has this tag';

CREATE FUNCTION hydra._record_sent_mail(thread bigint, ids text[], recipients text[])
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wrong text := (SELECT one FROM unnest(recipients) AS one WHERE one IS NULL OR one !~ '^[^[:space:]<>@]+@[^[:space:]<>@]+$' LIMIT 1);
BEGIN
    IF ids IS NULL OR cardinality(ids) <> 1 OR octet_length(ids[1]) NOT BETWEEN 1 AND 900 THEN
        RAISE EXCEPTION 'invalid message_id'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'It is the Message-ID of one message, in angle brackets.',
                  HINT = 'Pass what the mail library has set, such as ''<1@example.com>''.';
    ELSIF wrong IS NOT NULL OR array_position(recipients, NULL) IS NOT NULL OR cardinality(recipients) > 200 THEN
        RAISE EXCEPTION 'invalid recipient: "%"', left(coalesce(wrong, 'null'), 120)
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A message has up to 200 recipients, each of the form name@domain.',
                  HINT = 'Pass the addresses without names.';
    END IF;
    INSERT INTO hydra.mail_known_id (message_id, thread_id, sent) VALUES (ids[1], thread, true)
    ON CONFLICT (message_id, thread_id) DO UPDATE SET sent = true;
    INSERT INTO hydra.mail_participant (thread_id, address)
    SELECT DISTINCT thread, one FROM unnest(recipients) AS one
    ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION hydra._record_sent_mail(bigint, text[], text[]) IS
    'Records a message that the application has sent in a thread, and makes its recipients participants';

CREATE FUNCTION hydra._mail_signals(tenant text, address_tag text, subject_tags text[], known_ids text[], sender text)
    RETURNS TABLE (by_address bigint, by_subject bigint, by_references bigint, missed integer, guesses boolean)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    WITH tried AS (
        -- Who has guessed so often gets no more answers.
        SELECT coalesce(sum(m.missed_tags), 0) >= 20 AS guesses
        FROM hydra.mail_message AS m
        WHERE m.from_address = sender AND m.missed_tags > 0 AND m.received_at > now() - interval '1 hour'),
    tagged AS (
        SELECT t.id, given.place
        FROM unnest(subject_tags) WITH ORDINALITY AS given (tag, place)
        JOIN hydra.mail_thread AS t ON t.tag = given.tag AND t.tenant_id IS NOT DISTINCT FROM tenant
        WHERE NOT (SELECT tried.guesses FROM tried))
    SELECT (SELECT t.id FROM hydra.mail_thread AS t WHERE t.tag = address_tag AND t.tenant_id IS NOT DISTINCT FROM tenant),
           (SELECT tagged.id FROM tagged ORDER BY tagged.place LIMIT 1),
           (SELECT t.id
            FROM unnest(known_ids) WITH ORDINALITY AS given (message_id, place)
            JOIN hydra.mail_known_id AS k ON k.message_id = given.message_id
            JOIN hydra.mail_thread AS t ON t.id = k.thread_id AND t.tenant_id IS NOT DISTINCT FROM tenant
            -- Strangers can choose the ids of their own messages.
            ORDER BY k.sent DESC, given.place, t.id LIMIT 1),
           cardinality(subject_tags) - (SELECT count(*) FROM tagged)::integer,
           (SELECT tried.guesses FROM tried)
$$;
COMMENT ON FUNCTION hydra._mail_signals(text, text, text[], text[], text) IS
    'Returns the thread to which each signal of a message leads, how many of its tags lead to none, and whether its sender guesses tags';

CREATE FUNCTION hydra._begin_mail(channel bigint, new_key bytea, facts jsonb, bytes bytea, OUT id bigint, OUT state text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict error
DECLARE
    was record;
BEGIN
    INSERT INTO hydra.mail_message AS m (channel_id, key, recipient, from_address, from_name, subject, message_id, size, attachments)
    VALUES (channel, new_key, facts ->> 'recipient', facts ->> 'from_address', facts ->> 'from_name', facts ->> 'subject',
            facts ->> 'message_id', octet_length(bytes), facts -> 'attachments')
    ON CONFLICT ON CONSTRAINT mail_received_once DO NOTHING
    RETURNING m.id, m.state INTO was;
    IF FOUND THEN
        INSERT INTO hydra.mail_raw (mail_message_id, raw) VALUES (was.id, bytes);
    ELSE
        SELECT m.id, m.state INTO STRICT was FROM hydra.mail_message AS m
        WHERE m.channel_id = channel AND m.key = new_key FOR NO KEY UPDATE;
        UPDATE hydra.mail_message AS m
        SET attempts = m.attempts + (was.state = 'failed')::integer, duplicates = m.duplicates + (was.state <> 'failed')::integer,
            state = CASE WHEN was.state = 'failed' THEN 'received' ELSE was.state END, error = NULL, sqlstate = NULL
        WHERE m.id = was.id;
    END IF;
    id := was.id;
    state := was.state;
END
$$;
COMMENT ON FUNCTION hydra._begin_mail(bigint, bytea, jsonb, bytea) IS
    'Stores a message, or finds it if it came before, and returns the state that it had; two sessions with the same message wait for each other';

CREATE FUNCTION hydra._finish_mail(message bigint, outcome jsonb, thread bigint, linked bigint)
    RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE hydra.mail_message AS m
    SET thread_id = thread, linked_thread_id = linked, found_by = outcome ->> 'found_by',
        missed_tags = (outcome ->> 'missed')::integer, verdict = outcome -> 'verdict',
        state = outcome ->> 'state', result = nullif(outcome -> 'result', 'null'),
        reopened = coalesce(outcome -> 'result' -> 'reopened' = 'true', false),
        error = outcome ->> 'error', sqlstate = outcome ->> 'sqlstate',
        finished_at = CASE WHEN outcome ->> 'state' <> 'failed' THEN clock_timestamp() END
    WHERE m.id = message
$$;
COMMENT ON FUNCTION hydra._finish_mail(bigint, jsonb, bigint, bigint) IS 'Records what became of a message';

CREATE FUNCTION hydra._join_mail_thread(thread bigint, sender text, own_id text)
    RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO hydra.mail_participant (thread_id, address)
    SELECT thread, sender
    WHERE sender IS NOT NULL AND NOT EXISTS (SELECT FROM hydra.mail_participant AS p WHERE p.thread_id = thread);
    INSERT INTO hydra.mail_known_id (message_id, thread_id, sent)
    SELECT own_id, thread, false WHERE own_id IS NOT NULL
    ON CONFLICT DO NOTHING;
$$;
COMMENT ON FUNCTION hydra._join_mail_thread(bigint, text, text) IS
    'Lets the Message-ID of a message lead to a thread; its sender becomes a participant of a thread that has none';

CREATE FUNCTION hydra._seal_mail_secret()
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    sealed bigint;
BEGIN
    UPDATE hydra.mail_secret AS s SET secret = hydra._reseal_mail_secret(s.secret);
    GET DIAGNOSTICS sealed = ROW_COUNT;
    RETURN sealed;
END
$$;
COMMENT ON FUNCTION hydra._seal_mail_secret() IS 'Seals the secret of tags and reply addresses with the first key; returns how many there are';
SET LOCAL search_path = hydra, pg_temp;
