SET LOCAL search_path = pg_catalog, pg_temp;
-- Functions that register tools. hydra.tool_register and hydra.tool_unregister are written in Rust, which knows the role of
-- their caller. Registering grants nothing: a call acts as the role of its key, and that role needs to be able to execute
-- the function.

CREATE FUNCTION hydra._check_tool_name(caller oid, name text)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    resource text;
    former record;
BEGIN
    IF name !~ '^[a-z][a-z0-9_]{0,62}$' THEN
        RAISE EXCEPTION 'invalid name of a tool: "%"', left(name, 120)
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A name has 1 to 63 letters from a to z, digits and underscores, and begins with a letter.',
                  HINT = 'Pass a name such as ''reply_to_ticket''.';
    ELSIF name ~ '^webhook_'
          OR name = ANY ('{event_types,inbound_events,flow_runs,system_status,what_would_happen,approval_status}') THEN
        RAISE EXCEPTION 'a tool cannot be named "%"', name
            USING ERRCODE = 'reserved_name',
                  DETAIL = 'The extension has a tool of this name, or may have one: such names begin with webhook_.',
                  HINT = 'Pass another name.';
    END IF;
    SELECT r.name INTO resource
    FROM hydra.api_resource AS r
    WHERE name = ANY (hydra._tools_of_resource(r.name));
    IF FOUND THEN
        RAISE EXCEPTION 'a tool cannot be named "%"', name
            USING ERRCODE = 'duplicate_object',
                  DETAIL = format('This is the name of a tool of the resource "%s".', resource),
                  HINT = 'Pass another name, or hide the resource with hydra.api_hide().';
    END IF;
    SELECT t.schema_name, t.function_name, f.owner INTO former
    FROM hydra.tool AS t
    JOIN hydra.tool_function AS f ON f.id = t.id
    WHERE t.name = name AND NOT pg_has_role(caller, f.owner, 'MEMBER');
    IF FOUND THEN
        RAISE EXCEPTION 'tool "%" exists', name
            USING ERRCODE = 'duplicate_object',
                  DETAIL = format('It calls function %I.%I, whose owner is %I.', former.schema_name, former.function_name,
                                  pg_get_userbyid(former.owner)),
                  HINT = 'Pass another name, or let that role remove the tool with hydra.tool_unregister().';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_tool_name(oid, text) IS 'Fails if the caller cannot give this name to a tool';

CREATE FUNCTION hydra._tool_function(caller oid, function oid)
    RETURNS hydra.function_for_tool LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    found hydra.function_for_tool;
BEGIN
    SELECT f.* INTO found FROM hydra.function_for_tool AS f WHERE f.function_id = function;
    IF found.function_id IS NULL THEN
        RAISE EXCEPTION 'function % does not exist', coalesce(function::text, 'null')
            USING ERRCODE = 'undefined_function',
                  DETAIL = 'A tool calls a function of the application.',
                  HINT = 'Use its name and the types of its arguments, such as ''public.close_ticket(bigint)''.';
    ELSIF found.detail IS NOT NULL AND found.schema_name ~ '^(pg_|hydra$|information_schema$)'
          OR pg_has_role(caller, found.owner, 'MEMBER') AND found.detail IS NOT NULL THEN
        RAISE EXCEPTION 'function % cannot be a tool', function::regprocedure
            USING ERRCODE = 'wrong_object_type', DETAIL = found.detail, HINT = found.hint;
    ELSIF NOT pg_has_role(caller, found.owner, 'MEMBER') THEN
        RAISE EXCEPTION 'must be owner of function %', function::regprocedure
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('Its owner is %I.', pg_get_userbyid(found.owner)),
                  HINT = 'Let its owner register it, or a member of that role.';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION hydra._tool_function(oid, oid) IS 'Returns a function; fails if the caller cannot register it as a tool';

CREATE FUNCTION hydra._check_tool(title text, writes boolean, scope text, destructive boolean, rehearsable boolean)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF length(title) NOT BETWEEN 1 AND 200 THEN
        RAISE EXCEPTION 'invalid title'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('A title has 1 to 200 characters; this one has %s.', length(title)),
                  HINT = 'Omit it for the name of the tool.';
    ELSIF scope !~ '^[a-z_][a-z0-9_]{0,62}:(read|write)$' OR scope IN ('webhooks:write', 'inbound:write', 'flows:write')
          OR writes AND scope !~ ':write$' THEN
        RAISE EXCEPTION 'invalid scope of a tool: "%"', left(scope, 120)
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = CASE WHEN writes THEN 'A tool that writes needs a scope <name>:write, which is not webhooks, inbound or flows.'
                                ELSE 'A tool that reads needs a scope <name>:read or <name>:write.' END,
                  HINT = 'Omit it for that of the toolset.';
    ELSIF NOT writes AND (destructive OR NOT rehearsable) THEN
        RAISE EXCEPTION 'a tool that reads cannot be %', CASE WHEN destructive THEN 'destructive' ELSE 'without a rehearsal' END
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'It changes nothing: it is called at once, in a read-only transaction.',
                  HINT = 'Pass writes => true if it writes.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_tool(text, boolean, text, boolean, boolean) IS 'Fails if a tool cannot have these properties';

CREATE FUNCTION hydra._tell_of_execution(name text)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    called record;
    usable boolean;
    executable boolean;
BEGIN
    SELECT t.schema_name, f.function_id::regprocedure AS function INTO called
    FROM hydra.tool AS t JOIN hydra.tool_function AS f ON f.id = t.id WHERE t.name = name;
    usable := has_schema_privilege('hydra_api', called.schema_name, 'USAGE');
    executable := has_function_privilege('hydra_api', called.function::oid, 'EXECUTE');
    IF NOT (usable AND executable) THEN
        RAISE NOTICE 'role hydra_api may not execute the function of tool "%"', name
            USING DETAIL = 'API keys act as this role unless another one was given to them.',
                  HINT = concat_ws(' ', CASE WHEN NOT usable THEN format('GRANT USAGE ON SCHEMA %I TO hydra_api;', called.schema_name) END,
                                   CASE WHEN NOT executable THEN format('GRANT EXECUTE ON FUNCTION %s TO hydra_api;', called.function) END);
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._tell_of_execution(text) IS 'Says which privileges the default role of API keys lacks for a tool';

CREATE FUNCTION hydra._register_tool(
    caller oid, function oid, name text, title text, writes boolean, scope text, toolset text, destructive boolean,
    idempotent boolean, rehearsable boolean)
    RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    found hydra.function_for_tool := hydra._tool_function(caller, function);
BEGIN
    name := coalesce(name, found.function_name);
    title := coalesce(title, upper(left(name, 1)) || replace(substr(name, 2), '_', ' '));
    writes := coalesce(writes, (SELECT p.provolatile = 'v' FROM pg_proc AS p WHERE p.oid = function));
    toolset := coalesce(toolset, 'data');
    scope := coalesce(scope, toolset || CASE WHEN writes THEN ':write' ELSE ':read' END);
    destructive := coalesce(destructive, false);
    rehearsable := coalesce(rehearsable, true);
    PERFORM hydra._check_tool_name(caller, name);
    PERFORM hydra._check_toolset(toolset);
    PERFORM hydra._check_tool(title, writes, scope, destructive, rehearsable);
    INSERT INTO hydra.tool (
        name, title, schema_name, function_name, arguments, owner, writes, scope, toolset, destructive, idempotent, rehearsable,
        created_by)
    VALUES (name, title, found.schema_name, found.function_name, found.arguments, found.owner, writes, scope, toolset, destructive,
            coalesce(idempotent, false), rehearsable, pg_get_userbyid(caller))
    ON CONFLICT ON CONSTRAINT tool_name_key DO UPDATE
    SET title = excluded.title, schema_name = excluded.schema_name, function_name = excluded.function_name,
        arguments = excluded.arguments, owner = excluded.owner, writes = excluded.writes, scope = excluded.scope,
        toolset = excluded.toolset, destructive = excluded.destructive, idempotent = excluded.idempotent,
        rehearsable = excluded.rehearsable, created_at = now(), created_by = excluded.created_by;
    PERFORM hydra._tell_of_execution(name);
    RETURN name;
END
$$;
COMMENT ON FUNCTION hydra._register_tool(oid, oid, text, text, boolean, text, text, boolean, boolean, boolean) IS
    'Checks and stores a tool, or replaces the one of this name; returns its name';

CREATE FUNCTION hydra._unregister_tool(caller oid, name text)
    RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    owner oid := (SELECT f.owner
                  FROM hydra.tool AS t
                  JOIN hydra.tool_function AS f ON f.id = t.id
                  WHERE t.name = name);
BEGIN
    IF NOT pg_has_role(caller, owner, 'MEMBER') THEN
        RAISE EXCEPTION 'must be owner of the function of tool "%"', name
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('Its owner is %I.', pg_get_userbyid(owner)),
                  HINT = 'Let its owner remove the tool, or a member of that role.';
    END IF;
    DELETE FROM hydra.tool AS t WHERE t.name = name;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION hydra._unregister_tool(oid, text) IS 'Removes a tool; returns whether there was one';
SET LOCAL search_path = hydra, pg_temp;
