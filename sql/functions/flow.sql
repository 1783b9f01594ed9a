SET LOCAL search_path = pg_catalog, pg_temp;
-- Functions that manage flows. Those that get the role of their caller as an argument are called from Rust, which knows that
-- role, and are granted to nobody.

CREATE FUNCTION hydra._check_flow(caller oid, name text, event text, function text, filter jsonpath, timeout interval, tenant_id text)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    IF name IS NULL OR length(name) NOT BETWEEN 1 AND 200 THEN
        RAISE EXCEPTION 'invalid name of a flow'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('A name has 1 to 200 characters; this one has %s.', coalesce(length(name), 0)),
                  HINT = 'Say what the flow does, such as ''ticket from an issue''.';
    ELSIF event IS NULL OR event ^@ 'webhook.'
          OR NOT EXISTS (SELECT FROM hydra.event_type AS known WHERE hydra._names_event_type(event, known.name)) THEN
        RAISE EXCEPTION 'no flow can listen to event type "%"', left(coalesce(event, 'null'), 120)
            USING ERRCODE = 'undefined_object',
                  DETAIL = 'A flow listens to a registered event type, to all that begin with "ticket." (''ticket.*''), or to all (''*'').',
                  HINT = 'SELECT name FROM hydra.webhook_event_types lists the event types.';
    ELSIF extract(epoch FROM timeout) NOT BETWEEN 0.1 AND 60 THEN
        RAISE EXCEPTION 'invalid timeout: %', timeout
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The time limit of a run is between 0.1 and 60 seconds.',
                  HINT = 'Omit it for 5 seconds.';
    ELSIF octet_length(filter::text) > 8192 THEN
        RAISE EXCEPTION 'filter is too long'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('As text it has %s bytes; a filter has at most 8192.', octet_length(filter::text)),
                  HINT = 'Compare with fewer values, or decide in the function.';
    ELSIF regexp_replace(filter::text, E'(?<![$])"(\\\\.|[^"\\\\])*"', '', 'g') ~ '[$]"' THEN
        RAISE EXCEPTION 'invalid filter: %', filter
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A filter sees the entity as $ and has no variables.',
                  HINT = 'Use a path such as ''$.priority == "high"''.';
    END IF;
    PERFORM hydra._check_tenant(tenant_id);
END
$$;
COMMENT ON FUNCTION hydra._check_flow(oid, text, text, text, jsonpath, interval, text) IS 'Fails if a flow cannot have these settings';

CREATE FUNCTION hydra._flow_function(caller oid, function text, accepted oid DEFAULT NULL, OUT name text, OUT owner oid)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    found oid;
    refusal text;
BEGIN
    BEGIN
        found := to_regprocedure(CASE WHEN function LIKE '%(%' THEN function ELSE function || '(jsonb)' END);
    EXCEPTION WHEN OTHERS THEN
        NULL; -- An error in the name is that there is no such function, too.
    END;
    SELECT format('%I.%I(jsonb)', n.nspname, p.proname), p.proowner INTO name, owner
    FROM hydra.function_of_json AS f
    JOIN pg_proc AS p ON p.oid = f.function_id
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE p.oid = found AND n.nspname !~ '^pg_';
    IF name IS NULL THEN
        RAISE EXCEPTION 'there is no function "%" for a flow', left(coalesce(function, 'null'), 120)
            USING ERRCODE = 'undefined_function',
                  DETAIL = 'A flow calls a function of the application that has one argument of type jsonb, and that names the columns of the record that it may return.',
                  HINT = 'Pass its name with its schema, such as ''public.ticket_from_issue''.';
    END IF;
    refusal := hydra._role_refusal(owner);
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION 'no flow may act as the owner of function %', name
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('The owner is %I. %s', pg_get_userbyid(owner), refusal),
                  HINT = format('ALTER FUNCTION %s OWNER TO a role that has only the privileges that the flow needs.', name);
    END IF;
    IF owner IS DISTINCT FROM accepted THEN
        PERFORM hydra._role_for_requests(caller, pg_get_userbyid(owner));
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._flow_function(oid, text, oid) IS
    'Finds the function of a flow and its owner; fails if there is none, or the caller may not let flows act as the owner and it is not the one that was accepted before';

CREATE FUNCTION hydra._insert_flow(
    caller oid, name text, event text, function text, filter jsonpath, timeout interval, tenant_id text)
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    found record;
    id bigint;
BEGIN
    PERFORM hydra._check_flow(caller, name, event, function, filter, timeout, tenant_id);
    found := hydra._flow_function(caller, function);
    INSERT INTO hydra.flow AS f (name, event, function, owner, filter, timeout, tenant_id, created_by)
    VALUES (name, event, found.name, found.owner, CASE WHEN filter::text <> '$' THEN filter END, coalesce(timeout, '5 s'),
            tenant_id, pg_get_userbyid(caller))
    ON CONFLICT ON CONSTRAINT flow_name_key DO NOTHING
    RETURNING f.id INTO id;
    IF id IS NULL THEN
        RAISE EXCEPTION 'a flow named "%" exists', name
            USING ERRCODE = 'duplicate_object',
                  DETAIL = 'Names of flows are unique.',
                  HINT = 'Choose another name, or delete that flow with hydra.flow_delete().';
    END IF;
    RETURN id;
END
$$;
COMMENT ON FUNCTION hydra._insert_flow(oid, text, text, text, jsonpath, interval, text) IS
    'Checks and stores a flow in testing; returns its id';

CREATE FUNCTION hydra._locked_flow(id bigint)
    RETURNS hydra.flow LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    found hydra.flow;
BEGIN
    SELECT known.* INTO found FROM hydra.flow AS known WHERE known.id = id FOR NO KEY UPDATE;
    IF found.id IS NULL THEN
        RAISE EXCEPTION 'flow % does not exist', coalesce(id::text, 'null')
            USING ERRCODE = 'undefined_object',
                  DETAIL = 'No flow has this id; it may have been deleted.',
                  HINT = 'SELECT id, name FROM hydra.flows lists them.';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION hydra._locked_flow(bigint) IS 'Locks a flow for a change and returns it; fails if it does not exist';

CREATE FUNCTION hydra._set_flow_state(caller oid, id bigint, state text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    was hydra.flow := hydra._locked_flow(id);
    found record := hydra._flow_function(caller, was.function, was.owner);
BEGIN
    UPDATE hydra.flow AS changed SET state = state, owner = found.owner WHERE changed.id = was.id;
END
$$;
COMMENT ON FUNCTION hydra._set_flow_state(oid, bigint, text) IS
    'Puts a flow into a state in which its function is called, and accepts the present owner of the function';

CREATE FUNCTION hydra.flow_pause(id bigint)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.flow := hydra._locked_flow(id);
BEGIN
    UPDATE hydra.flow AS changed SET state = 'paused' WHERE changed.id = was.id;
END
$$;
COMMENT ON FUNCTION hydra.flow_pause(bigint) IS 'Lets a flow neither run nor be rehearsed, from the next event on';

CREATE FUNCTION hydra.flow_delete(id bigint)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.flow := hydra._locked_flow(id);
BEGIN
    DELETE FROM hydra.flow AS gone WHERE gone.id = was.id;
    DELETE FROM hydra.flow_rehearsal AS queued WHERE queued.flow_id = was.id;
END
$$;
COMMENT ON FUNCTION hydra.flow_delete(bigint) IS 'Deletes a flow; its runs are kept for hydra_webhooks.inbound_retention';

-- Not SECURITY DEFINER: the filter is evaluated with the privileges of the caller.
CREATE FUNCTION hydra.flow_would_match(id bigint, event text, entity jsonb, tenant_id text DEFAULT NULL)
    RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    choice record;
BEGIN
    PERFORM hydra._check_event_type(event);
    SELECT * INTO choice FROM hydra._flow_choice(id, event);
    RETURN choice.named AND coalesce(choice.tenant_id = flow_would_match.tenant_id, choice.tenant_id IS NULL)
           AND hydra._flow_filter_passes(choice.filter, entity);
END
$$;
COMMENT ON FUNCTION hydra.flow_would_match(bigint, text, jsonb, text) IS
    'Whether the flow is meant for such an event, whatever its state';

CREATE FUNCTION hydra._flow_choice(id bigint, event text, OUT named boolean, OUT tenant_id text, OUT filter jsonpath)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    found hydra.flow;
BEGIN
    SELECT known.* INTO found FROM hydra.flow AS known WHERE known.id = id;
    IF found.id IS NULL THEN
        PERFORM hydra._locked_flow(id);
    END IF;
    named := hydra._names_event_type(found.event, event);
    tenant_id := found.tenant_id;
    filter := found.filter;
END
$$;
COMMENT ON FUNCTION hydra._flow_choice(bigint, text) IS 'Whether a flow listens to the event type, and its tenant and filter';
SET LOCAL search_path = hydra, pg_temp;
