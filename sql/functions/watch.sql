SET LOCAL search_path = pg_catalog, pg_temp;
-- Functions that watch tables. A watch is stored only as a trigger, so dumps, copies and ALTER TABLE treat it like any
-- other trigger. These functions create and drop triggers with the privileges of the caller: nobody can do more with
-- them than with CREATE TRIGGER and DROP TRIGGER.

CREATE FUNCTION hydra._watches(source regclass)
    RETURNS TABLE (trigger oid, trigger_name text, event text, operations text[], level text, inherited boolean, replaceable boolean)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.oid, t.tgname, (hydra._trigger_arguments(t.tgargs))[1], type.operations, type.level,
           t.tgparentid <> 0, t.tgparentid = 0 AND t.tgconstraint = 0
    FROM pg_trigger AS t CROSS JOIN LATERAL hydra._trigger_type(t.tgtype) AS type
    WHERE t.tgrelid = source
          AND t.tgfoid IN ('hydra.webhook_emit_row()'::regprocedure, 'hydra.webhook_emit_statement()'::regprocedure)
$$;
COMMENT ON FUNCTION hydra._watches(regclass) IS 'Triggers of a table that emit, created by webhook_watch or by hand; inherited: from the table of which it is a partition';

CREATE FUNCTION hydra._check_columns(source regclass, part text, columns text[])
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing text;
BEGIN
    IF cardinality(columns) = 0 OR array_ndims(columns) > 1 OR array_position(columns, NULL) IS NOT NULL
       OR cardinality(columns) > (SELECT count(DISTINCT name) FROM unnest(columns) AS name) THEN
        RAISE EXCEPTION 'invalid %', part
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'Columns are a one-dimensional array of one or more names, without nulls and without repetitions.',
                  HINT = CASE part WHEN 'columns' THEN 'Omit it for updates of any column.'
                                   ELSE 'Omit it to send all columns.' END;
    END IF;
    SELECT name INTO missing
    FROM unnest(columns) AS name
    WHERE NOT EXISTS (SELECT FROM pg_attribute AS a
                      WHERE a.attrelid = source AND a.attname = name AND a.attnum > 0 AND NOT a.attisdropped)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'column % of % does not exist', quote_ident(missing), source
            USING ERRCODE = 'undefined_column',
                  DETAIL = format('A watch can only name columns of its table in %s. Names are case-sensitive here.', part),
                  HINT = 'Use the names in the definition of the table.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_columns(regclass, text, text[]) IS 'Fails if an argument of a watch, called part, is not a list of columns of its table; null: it is not given';

CREATE FUNCTION hydra._check_watched(source regclass, columns text[], level text, operations text[])
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    watched record;
BEGIN
    SELECT c.relkind, n.nspname INTO watched
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = source;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'table % does not exist', source::oid
            USING ERRCODE = 'undefined_table',
                  DETAIL = 'No relation has this OID.',
                  HINT = 'Use the name of a table, such as ''public.tickets''.';
    ELSIF watched.relkind NOT IN ('r', 'p', 'f') THEN
        RAISE EXCEPTION '% cannot be watched', source
            USING ERRCODE = 'wrong_object_type',
                  DETAIL = 'It is not a table. The rows of a view change in its underlying tables.',
                  HINT = 'Watch the underlying tables.';
    ELSIF watched.nspname = 'hydra' THEN
        RAISE EXCEPTION '% cannot be watched', source
            USING ERRCODE = 'wrong_object_type',
                  DETAIL = 'It belongs to the extension: emitting an event would emit another one.',
                  HINT = 'hydra.webhook_pending, hydra.webhook_failed and hydra.webhook_history show what happened to events.';
    ELSIF watched.relkind = 'f' AND level = 'statement' THEN
        RAISE EXCEPTION 'foreign table % cannot be watched by statement', source
            USING ERRCODE = 'feature_not_supported',
                  DETAIL = 'Foreign tables have no transition tables.',
                  HINT = 'Omit level to watch it row by row.';
    END IF;

    IF columns IS NOT NULL AND NOT 'update' = ANY (operations) THEN
        RAISE EXCEPTION 'columns are for updates'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('The operation is %s. Only an update sets some columns and not others.',
                                  array_to_string(operations, ' or ')),
                  HINT = 'Omit columns, or watch updates. To send some columns and not others, use "only" or "except".';
    END IF;
    PERFORM hydra._check_columns(source, 'columns', columns);
END
$$;
COMMENT ON FUNCTION hydra._check_watched(regclass, text[], text, text[]) IS 'Fails if the table or its columns cannot be watched';

CREATE FUNCTION hydra._watch_operations(operation text, level text)
    RETURNS text[] LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- No longer text is split.
    named text[] := regexp_split_to_array(lower(btrim(left(operation, 200)) COLLATE "C"), '[[:space:]]+or[[:space:]]+');
    operations text[] := ARRAY(SELECT known.name
                               FROM unnest('{insert,update,delete}'::text[]) WITH ORDINALITY AS known (name, n)
                               WHERE known.name = ANY (named)
                               ORDER BY known.n);
BEGIN
    IF length(operation) > 200 OR NOT named <@ '{insert,update,delete}' THEN
        RAISE EXCEPTION 'invalid operation: %', quote_literal(left(operation, 120))
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'An operation is insert, update or delete, or several of these joined by or.',
                  HINT = 'Use an operation such as ''insert'' or ''insert or update''.';
    ELSIF level NOT IN ('row', 'statement') THEN
        RAISE EXCEPTION 'invalid level: %', quote_literal(left(level, 120))
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The level is row, which emits row by row, or statement, which emits all rows of a statement together.',
                  HINT = 'Use ''statement'' for statements that change many rows, or omit it for ''row''.';
    END IF;
    IF level = 'statement' AND cardinality(operations) > 1 THEN
        RAISE EXCEPTION 'a watch with level statement must have one operation'
            USING ERRCODE = 'feature_not_supported',
                  DETAIL = 'A trigger with transition tables cannot be for more than one operation.',
                  HINT = 'Call hydra.webhook_watch once for each operation.';
    END IF;
    RETURN operations;
END
$$;
COMMENT ON FUNCTION hydra._watch_operations(text, text) IS 'Operations of a watch, as in _trigger_type; fails if the operation or the level is invalid';

CREATE FUNCTION hydra._check_choice(source regclass, entity text, only_columns text[], except_columns text[], previous boolean)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF num_nonnulls(entity, only_columns, except_columns) > 1 THEN
        RAISE EXCEPTION 'only one of entity, "only" and "except" can be given'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'Each of them says what is sent: "only" and "except" choose columns of the row, and entity replaces the row.',
                  HINT = 'An expression can leave out columns itself: to_jsonb(new) - ''password''.';
    ELSIF entity IS NOT NULL AND previous THEN
        RAISE EXCEPTION 'only one of entity and previous can be given'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'previous sends the row before the change beside the row. An entity is not a row.',
                  HINT = 'An expression can use the row before the change itself: to_jsonb(new) || jsonb_build_object(''was'', to_jsonb(old)).';
    END IF;
    PERFORM hydra._check_columns(source, '"only"', only_columns);
    PERFORM hydra._check_columns(source, '"except"', except_columns);
END
$$;
COMMENT ON FUNCTION hydra._check_choice(regclass, text, text[], text[], boolean) IS 'Fails if a watch cannot have this entity, send these columns, or send the row before the change with them';

CREATE FUNCTION hydra._check_entity_type(entity_type text)
    RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF length(entity_type) NOT BETWEEN 1 AND 200 THEN
        RAISE EXCEPTION 'invalid entity_type'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('A kind of entity has 1 to 200 characters; this one has %s.', length(entity_type)),
                  HINT = 'Omit it for that of the event type.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_entity_type(text) IS 'Fails if a watch cannot have this kind of entity; null: not given';

CREATE FUNCTION hydra._watch_arguments(
    event text, condition text, entity text, columns text[], tenant text, only_columns text[], except_columns text[],
    entity_type text, previous boolean, schemas name[])
    RETURNS text[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    -- Names in expressions are looked up in the search_path of the caller of webhook_watch, without the schema of its
    -- temporary tables, which belongs to its session. pg_temp is last in the list, because it is searched first if it
    -- is not in the list.
    SELECT ARRAY[event]
           || CASE WHEN condition IS NOT NULL THEN ARRAY['condition', condition] END
           || (SELECT array_agg(part ORDER BY list.place, c.n, part = c.name)
               FROM (VALUES (1, 'column', columns), (2, 'only', only_columns), (3, 'except', except_columns))
                        AS list (place, argument, names),
                    unnest(list.names) WITH ORDINALITY AS c (name, n), unnest(ARRAY[list.argument, c.name]) AS part)
           || CASE WHEN entity IS NOT NULL THEN ARRAY['entity', entity] END
           || CASE WHEN tenant IS NOT NULL THEN ARRAY['tenant', tenant] END
           || CASE WHEN entity_type IS NOT NULL THEN ARRAY['entity_type', entity_type] END
           || CASE WHEN previous THEN ARRAY['previous', 'true'] END
           || CASE WHEN num_nonnulls(condition, entity, tenant) > 0
                   THEN ARRAY['search_path',
                              concat_ws(', ', (SELECT string_agg(quote_ident(s.name), ', ' ORDER BY s.n)
                                               FROM unnest(schemas) WITH ORDINALITY AS s (name, n)
                                               WHERE NOT s.name::text ^@ 'pg_temp_'),
                                        'pg_temp')] END
$$;
COMMENT ON FUNCTION hydra._watch_arguments(text, text, text, text[], text, text[], text[], text, boolean, name[]) IS 'Arguments of the trigger of a watch';

-- The trigger has neither WHEN nor UPDATE OF: a column that these name cannot be altered and takes the trigger with it
-- when it is dropped. Condition and columns are arguments instead.
CREATE FUNCTION hydra._create_watch(
    trigger_name text, table_name text, operations text[], needs_old_rows boolean, arguments text[],
    by_statement boolean, replaces boolean)
    RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws(' ', 'CREATE', CASE WHEN replaces THEN 'OR REPLACE' END, format('TRIGGER %I AFTER', trigger_name),
        upper(array_to_string(operations, ' or ') COLLATE "C"), 'ON ' || table_name,
        CASE WHEN by_statement THEN 'REFERENCING' END,
        CASE WHEN by_statement AND (operations = '{delete}' OR operations = '{update}' AND needs_old_rows)
             THEN 'OLD TABLE AS hydra_old' END,
        CASE WHEN by_statement AND operations <> '{delete}' THEN 'NEW TABLE AS hydra_new' END,
        CASE WHEN by_statement THEN 'FOR EACH STATEMENT' ELSE 'FOR EACH ROW' END,
        format('EXECUTE FUNCTION hydra.%I(%s)',
            CASE WHEN by_statement THEN 'webhook_emit_statement' ELSE 'webhook_emit_row' END,
            (SELECT string_agg(quote_literal(a.value), ', ' ORDER BY a.n)
             FROM unnest(arguments) WITH ORDINALITY AS a (value, n))))
$$;
COMMENT ON FUNCTION hydra._create_watch(text, text, text[], boolean, text[], boolean, boolean) IS 'The CREATE TRIGGER command of a watch';

CREATE FUNCTION hydra._watch_settings(trigger oid)
    RETURNS TABLE (condition text, entity text, columns text[], tenant text, only_columns text[], except_columns text[],
                   entity_type text, previous boolean, names_in text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT d.condition, d.entity, d.columns, d.tenant, d.only_columns, d.except_columns, d.entity_type, d.previous,
           (SELECT value.argument
            FROM unnest(a.arguments) WITH ORDINALITY AS name (argument, n)
            JOIN unnest(a.arguments) WITH ORDINALITY AS value (argument, n) ON value.n = name.n + 1
            WHERE name.n % 2 = 0 AND name.argument = 'search_path')
    FROM pg_trigger AS t
    CROSS JOIN LATERAL (SELECT hydra._trigger_arguments(t.tgargs) AS arguments) AS a
    CROSS JOIN LATERAL hydra._watch_details(
        a.arguments, pg_get_triggerdef(t.oid, true),
        ARRAY(SELECT c.attname::text FROM pg_attribute AS c
              WHERE c.attrelid = t.tgrelid AND c.attnum = ANY (t.tgattr) ORDER BY c.attnum)) AS d
    WHERE t.oid = trigger
$$;
COMMENT ON FUNCTION hydra._watch_settings(oid) IS
    'Settings of the watch that is this trigger, as arguments of webhook_watch, and the search_path in which names in its expressions are looked up';

CREATE FUNCTION hydra.webhook_watch_definition(source regclass, trigger_name text)
    RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    watch record;
    settings record;
    table_name text;
BEGIN
    SELECT w.* INTO watch FROM hydra._watches(source) AS w WHERE w.trigger_name = trigger_name AND NOT w.inherited;
    IF NOT FOUND THEN
        RAISE EXCEPTION '% has no watch %', coalesce(source::text, 'null'), coalesce(quote_ident(trigger_name), 'null')
            USING ERRCODE = 'undefined_object',
                  DETAIL = 'No trigger of this name on it emits events, or it comes from the table of which this is a partition.',
                  HINT = 'SELECT source, trigger_name FROM hydra.webhook_watches lists all watches.';
    END IF;
    SELECT s.* INTO settings FROM hydra._watch_settings(watch.trigger) AS s;
    SELECT format('%I.%I', n.nspname, c.relname) INTO table_name
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = source;
    RETURN concat(
        format('SELECT hydra.webhook_watch(%L, %L, %L', table_name, watch.event, array_to_string(watch.operations, ' or ')),
        ', condition => ' || quote_literal(settings.condition), ', entity => ' || quote_literal(settings.entity),
        ', columns => ' || quote_literal(settings.columns), ', tenant => ' || quote_literal(settings.tenant),
        CASE watch.level WHEN 'statement' THEN ', level => ''statement''' END,
        ', "only" => ' || quote_literal(settings.only_columns), ', "except" => ' || quote_literal(settings.except_columns),
        ', entity_type => ' || quote_literal(settings.entity_type), CASE WHEN settings.previous THEN ', previous => true' END,
        ');', ' -- with search_path = ' || settings.names_in);
END
$$;
COMMENT ON FUNCTION hydra.webhook_watch_definition(regclass, text) IS
    'The call of webhook_watch that makes this watch again; a comment says which search_path its expressions need';

CREATE FUNCTION hydra._tell_of_changes(
    source regclass, event text, former oid, former_call text, arguments text[], former_level text, level text)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    changes text;
BEGIN
    SELECT string_agg(format('%s %s, and was %s', setting.name, coalesce('is ' || left(setting.now, 200), 'is not set'),
                             coalesce(left(setting.was, 200), 'not set')), '; ' ORDER BY setting.place)
    INTO changes
    FROM hydra._watch_settings(former) AS was
    CROSS JOIN hydra._watch_details(arguments, '', '{}') AS now
    CROSS JOIN LATERAL (
        VALUES (1, 'condition', was.condition, now.condition), (2, 'columns', was.columns::text, now.columns::text),
               (3, 'entity', was.entity, now.entity), (4, '"only"', was.only_columns::text, now.only_columns::text),
               (5, '"except"', was.except_columns::text, now.except_columns::text),
               (6, 'tenant', was.tenant, now.tenant), (7, 'level', former_level, level),
               (8, 'entity_type', was.entity_type, now.entity_type), (9, 'previous', was.previous::text, now.previous::text),
               -- The last argument, if there are expressions.
               (10, 'search_path', was.names_in,
                CASE WHEN was.names_in IS NOT NULL AND num_nonnulls(now.condition, now.entity, now.tenant) > 0
                     THEN arguments[cardinality(arguments)] ELSE was.names_in END)) AS setting (place, name, was, now)
    WHERE setting.was IS DISTINCT FROM setting.now;
    IF changes IS NOT NULL THEN
        RAISE NOTICE 'the watch of % on % was replaced', event, source
            USING DETAIL = format('Changed: %s.', changes),
                  HINT = format('To have it as before: %s', former_call);
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._tell_of_changes(regclass, text, oid, text, text[], text, text) IS
    'Says which settings of a watch its replacement changes, and which call makes it as it was';

-- Checks the arguments and returns the commands. webhook_watch itself executes them, as its caller.
CREATE FUNCTION hydra._define_watch(
    source regclass, event text, operation text, condition text, entity text, columns text[], tenant text, level text,
    only_columns text[], except_columns text[], entity_type text, previous boolean, schemas name[], OUT trigger_name text, OUT drop_former text, OUT create_trigger text)
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    operations text[];
    by_statement boolean := level = 'statement';
    has_old boolean;
    has_new boolean;
    arguments text[];
    other record;
    former record;
    table_name text;
    note record;
BEGIN
    IF source IS NULL OR event IS NULL OR operation IS NULL OR level IS NULL THEN
        RAISE EXCEPTION '% must not be null', CASE WHEN source IS NULL THEN 'source' WHEN event IS NULL THEN 'event'
                                                   WHEN operation IS NULL THEN 'operation' ELSE 'level' END
            USING ERRCODE = 'null_value_not_allowed',
                  DETAIL = 'A watch needs a table, an event type and an operation, and its level must not be null.',
                  HINT = 'SELECT hydra.webhook_watch(''tickets'', ''ticket.created'', ''insert'');';
    END IF;
    PERFORM hydra._check_event_type(event);
    operations := hydra._watch_operations(operation, level);
    PERFORM hydra._check_watched(source, columns, level, operations);
    PERFORM hydra._check_choice(source, entity, only_columns, except_columns, previous);
    PERFORM hydra._check_entity_type(entity_type);
    IF condition IS NOT NULL THEN PERFORM hydra._check_expression('condition', condition); END IF;
    IF entity IS NOT NULL THEN PERFORM hydra._check_expression('entity', entity); END IF;
    IF tenant IS NOT NULL THEN PERFORM hydra._check_expression('tenant', tenant); END IF;

    -- Whether all of the operations have old rows, and new rows.
    has_old := NOT 'insert' = ANY (operations);
    has_new := NOT 'delete' = ANY (operations);
    arguments := hydra._watch_arguments(
        event, condition, entity, columns, tenant, only_columns, except_columns, entity_type, previous, schemas);
    PERFORM hydra._check_watch(source, arguments, has_old, has_new);

    SELECT w.* INTO former
    FROM hydra._watches(source) AS w
    WHERE w.event = event AND w.operations = operations AND w.replaceable
    ORDER BY w.trigger_name
    LIMIT 1;
    -- A partition has the row triggers of its parent too. Triggers FOR EACH STATEMENT fire only for the table that the
    -- statement names, so one of a table and one of its partition never fire for the same change.
    SELECT w.*, related.watched INTO other
    FROM (SELECT source AS watched
          UNION SELECT tree.relid FROM pg_partition_tree(source) AS tree
          UNION SELECT ancestors.relid FROM pg_partition_ancestors(source) AS ancestors) AS related
    CROSS JOIN LATERAL hydra._watches(related.watched) AS w
    WHERE w.event = event AND w.operations && operations
          AND CASE WHEN related.watched = source THEN w.trigger_name IS DISTINCT FROM former.trigger_name
                   ELSE NOT w.inherited AND 'row' IN (w.level, level) END
    ORDER BY related.watched = source DESC
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% is already watched for %', other.watched, event
            USING ERRCODE = 'duplicate_object',
                  DETAIL = format('Trigger %I on %s fires on %s. The same change would emit two events.',
                                  other.trigger_name, other.watched, array_to_string(other.operations, ' or ')),
                  HINT = CASE WHEN other.inherited THEN 'The trigger comes from the table of which this is a partition. Change the watch of that table.'
                              ELSE format('Drop it with SELECT hydra.webhook_unwatch(%L, %L);', other.watched, event) END;
    END IF;

    SELECT format('%I.%I', n.nspname, c.relname) INTO table_name
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = source;
    trigger_name := coalesce(former.trigger_name, hydra._new_watch_name(event, operations));
    -- CREATE OR REPLACE would not change the triggers of partitions.
    IF former.level <> level THEN
        drop_former := format('DROP TRIGGER %I ON %s', trigger_name, table_name);
    END IF;
    create_trigger := hydra._create_watch(
        trigger_name, table_name, operations, num_nonnulls(condition, entity, tenant) > 0 OR coalesce(previous, false), arguments,
        by_statement, former.level = level);

    IF former.trigger IS NOT NULL THEN
        PERFORM hydra._tell_of_changes(
            source, event, former.trigger, hydra.webhook_watch_definition(source, former.trigger_name), arguments,
            former.level, level);
    END IF;
    FOR note IN SELECT n.* FROM hydra._watch_notes(source, event, level, entity, only_columns, except_columns, hydra._id_key(event)) AS n LOOP
        RAISE NOTICE '%', note.note USING DETAIL = note.detail, HINT = note.hint;
    END LOOP;
END
$$;
COMMENT ON FUNCTION hydra._define_watch(regclass, text, text, text, text, text[], text, text, text[], text[], text, boolean, name[]) IS 'Commands that webhook_watch has to execute; fails if the table cannot be watched in this way';

-- The triggers of a table fire in the order of their names. Because the names have numbers, this is the order of their
-- creation. A number is used only once in a database: a table with a trigger of the same name could not become a
-- partition.
CREATE FUNCTION hydra._new_watch_name(event text, operations text[])
    RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat_ws('_', 'webhook', lpad(number::text, greatest(5, length(number::text)), '0'),
                     left(replace(event, '.', '_'), 28), array_to_string(operations, '_'))
    FROM (SELECT 1 + coalesce(max(substring(t.tgname from '^webhook_([0-9]{5,6})_')::integer), 0) AS number
          FROM pg_trigger AS t) AS next
$$;
COMMENT ON FUNCTION hydra._new_watch_name(text, text[]) IS
    'Name for a new trigger, which fires after the existing triggers of watches and is the name of no other trigger';

CREATE FUNCTION hydra.webhook_watch(
    source regclass, event text, operation text, condition text DEFAULT NULL, entity text DEFAULT NULL,
    columns text[] DEFAULT NULL, tenant text DEFAULT NULL, level text DEFAULT 'row', "only" text[] DEFAULT NULL,
    "except" text[] DEFAULT NULL, entity_type text DEFAULT NULL, previous boolean DEFAULT false)
    -- Without search_path: that of the caller is the one in which names of the expressions are looked up.
    RETURNS text LANGUAGE plpgsql SET standard_conforming_strings = on
AS $$
DECLARE
    watch record;
BEGIN
    watch := hydra._define_watch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, pg_catalog.current_schemas(false));
    IF watch.drop_former IS NOT NULL THEN
        EXECUTE watch.drop_former;
    END IF;
    EXECUTE watch.create_trigger;
    RETURN watch.trigger_name;
END
$$;
COMMENT ON FUNCTION hydra.webhook_watch(regclass, text, text, text, text, text[], text, text, text[], text[], text, boolean) IS
    'Creates a trigger that emits an event for each row that an operation changes in a table, and returns its name; for the same table, event and operation, it replaces the trigger';

CREATE FUNCTION hydra.webhook_unwatch(source regclass, event text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    statement text;
    dropped boolean := false;
BEGIN
    IF source IS NULL OR event IS NULL THEN
        RAISE EXCEPTION '% must not be null', CASE WHEN source IS NULL THEN 'source' ELSE 'event' END
            USING ERRCODE = 'null_value_not_allowed',
                  DETAIL = 'A watch is identified by its table and its event type.',
                  HINT = 'SELECT source, event FROM hydra.webhook_watches lists all watches.';
    END IF;
    FOR statement IN
        SELECT format('DROP TRIGGER %I ON %I.%I', w.trigger_name, n.nspname, c.relname)
        FROM hydra._watches(source) AS w, pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE w.event = event AND NOT w.inherited AND c.oid = source
    LOOP
        EXECUTE statement;
        dropped := true;
    END LOOP;
    IF NOT dropped THEN
        RAISE EXCEPTION '% is not watched for %', source, event
            USING ERRCODE = 'undefined_object',
                  DETAIL = CASE WHEN EXISTS (SELECT FROM hydra._watches(source) AS w WHERE w.event = event)
                                THEN 'Its triggers for this event come from the table of which it is a partition.'
                                ELSE 'No trigger on it emits this event.' END,
                  HINT = 'SELECT source, event FROM hydra.webhook_watches lists all watches.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra.webhook_unwatch(regclass, text) IS
    'Drops the triggers of a table that emit an event, whether created by webhook_watch or by hand; fails if there are none';
SET LOCAL search_path = hydra, pg_temp;
