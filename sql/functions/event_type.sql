SET LOCAL search_path = pg_catalog, pg_temp;
CREATE FUNCTION hydra.webhook_register_event_type(
    name text, description text DEFAULT NULL, entity_type text DEFAULT NULL, id_key text DEFAULT NULL)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    note record;
BEGIN
    IF name IS NULL OR NOT hydra._is_event_type_name(name) THEN
        RAISE EXCEPTION 'invalid event type name: %', coalesce(quote_literal(left(name, 120)), 'null')
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A name has two or more parts, separated by dots, of the characters a-z, 0-9 and _. It has at most 100 characters.',
                  HINT = 'Use a name such as ticket.created.';
    ELSIF name ^@ 'webhook.' THEN
        RAISE EXCEPTION 'event type "%" is reserved', name
            USING ERRCODE = 'reserved_name',
                  DETAIL = 'Only the extension itself emits events named webhook.*.',
                  HINT = 'Choose a name with another first part.';
    ELSIF entity_type = '' OR id_key = '' THEN
        RAISE EXCEPTION '% must not be empty', CASE WHEN entity_type = '' THEN 'entity_type' ELSE 'id_key' END
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'An empty string is neither a kind of entity nor a key of one.',
                  HINT = 'Omit it for the default: entity_type is the first part of the name, id_key is id.';
    ELSIF length(description) > 1000 THEN
        RAISE EXCEPTION 'description is too long'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('A description has at most 1000 characters; this one has %s.', length(description)),
                  HINT = 'Shorten it.';
    ELSIF length(entity_type) > 200 OR length(id_key) > 200 THEN
        RAISE EXCEPTION '% is too long', CASE WHEN length(entity_type) > 200 THEN 'entity_type' ELSE 'id_key' END
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('It has at most 200 characters; this one has %s.', greatest(length(entity_type), length(id_key))),
                  HINT = 'Omit it for the default: entity_type is the first part of the name, id_key is id.';
    END IF;

    DELETE FROM hydra.removed_event_type AS removed WHERE removed.name = webhook_register_event_type.name;
    -- INSERT comes first. If another session registers the same name at the same time, the UPDATE below changes its
    -- row.
    IF NOT EXISTS (SELECT FROM hydra.event_type AS known WHERE known.name = webhook_register_event_type.name) THEN
        INSERT INTO hydra.event_type (name, description, entity_type, id_key, origin)
        VALUES (name, coalesce(description, ''), coalesce(entity_type, split_part(name, '.', 1)),
                coalesce(id_key, 'id'), 'application')
        ON CONFLICT ON CONSTRAINT event_type_pkey DO NOTHING;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    UPDATE hydra.event_type AS known
    SET description = coalesce(webhook_register_event_type.description, known.description),
        entity_type = coalesce(webhook_register_event_type.entity_type, known.entity_type),
        id_key = coalesce(webhook_register_event_type.id_key, known.id_key),
        origin = 'application',
        catalogue = NULL
    WHERE known.name = webhook_register_event_type.name;
    IF id_key IS NOT NULL THEN
        FOR note IN
            SELECT n.note, n.detail, n.hint
            FROM (SELECT DISTINCT t.tgrelid::regclass AS source
                  FROM pg_trigger AS t CROSS JOIN LATERAL hydra._trigger_arguments(t.tgargs) AS a (arguments)
                  WHERE t.tgfoid IN ('hydra.webhook_emit_row()'::regprocedure, 'hydra.webhook_emit_statement()'::regprocedure)
                        AND t.tgparentid = 0 AND a.arguments[1] = name AND NOT 'entity' = ANY (a.arguments)) AS watched
            CROSS JOIN LATERAL hydra._id_note(watched.source, name, id_key) AS n
        LOOP
            RAISE NOTICE '%', note.note USING DETAIL = note.detail, HINT = note.hint;
        END LOOP;
    END IF;
END
$$;
COMMENT ON FUNCTION hydra.webhook_register_event_type(text, text, text, text) IS
    'Registers an event type, or changes it where an argument is not null; by default, the entity type is the first part of the name and the id key is id';

CREATE FUNCTION hydra._uses_of_event_type(name text)
    RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    RETURN (
        SELECT string_agg(used.by, ', ' ORDER BY used.place, used.by)
        FROM (SELECT 1 AS place, format('subscription %s', s.id) AS by FROM hydra.subscription AS s WHERE name = ANY (s.event_types)
              UNION ALL
              SELECT 2, format('watch %I of %s', t.tgname, t.tgrelid::regclass)
              FROM pg_trigger AS t
              WHERE t.tgfoid IN ('hydra.webhook_emit_row()'::regprocedure, 'hydra.webhook_emit_statement()'::regprocedure)
                    AND t.tgparentid = 0 AND (hydra._trigger_arguments(t.tgargs))[1] = name
              UNION ALL
              SELECT 3, format('inbound adapter %s', a.id)
              FROM hydra.inbound_adapter AS a
              WHERE jsonb_path_exists(a.mapping, '$.** ? (@ == $name)', jsonb_build_object('name', name))
              UNION ALL
              SELECT 4, format('flow %s', f.id) FROM hydra.flow AS f WHERE f.event = name
              LIMIT 20) AS used);
END
$$;
COMMENT ON FUNCTION hydra._uses_of_event_type(text) IS
    'Subscriptions, watches, inbound adapters and flows that name this event type, at most 20; null: there are none';

CREATE FUNCTION hydra.webhook_unregister_event_type(name text)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    uses text;
BEGIN
    IF name ^@ 'webhook.' THEN
        RAISE EXCEPTION 'event type "%" is reserved', left(name, 120)
            USING ERRCODE = 'reserved_name',
                  DETAIL = 'The extension emits it.',
                  HINT = 'Subscriptions get such events only if they name them.';
    END IF;
    PERFORM FROM hydra.event_type AS known WHERE known.name = name FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'event type % is not registered', coalesce('"' || left(name, 120) || '"', 'null')
            USING ERRCODE = 'undefined_object',
                  DETAIL = 'There is nothing to remove.',
                  HINT = 'SELECT name FROM hydra.webhook_event_types lists the event types.';
    END IF;
    uses := hydra._uses_of_event_type(name);
    IF uses IS NOT NULL THEN
        RAISE EXCEPTION 'event type "%" is in use', name
            USING ERRCODE = 'dependent_objects_still_exist',
                  DETAIL = format('It is named by %s.', uses),
                  HINT = 'Change or remove these first.';
    END IF;
    DELETE FROM hydra.event_type AS known WHERE known.name = name;
    INSERT INTO hydra.removed_event_type (name) VALUES (name) ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION hydra.webhook_unregister_event_type(text) IS
    'Removes an event type, which then can be neither emitted nor subscribed to; fails while something names it';

CREATE FUNCTION hydra.webhook_unregister_catalogue(catalogue text)
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    known record;
    removed bigint := 0;
    kept text[];
BEGIN
    IF catalogue IS NULL OR catalogue NOT IN ('helpdesk', 'field_service') THEN
        RAISE EXCEPTION 'catalogue % does not exist', coalesce('"' || left(catalogue, 120) || '"', 'null')
            USING ERRCODE = 'undefined_object',
                  DETAIL = 'Catalogues are helpdesk and field_service.',
                  HINT = 'hydra.webhook_unregister_event_type removes one event type.';
    END IF;
    FOR known IN SELECT t.name, hydra._uses_of_event_type(t.name) AS uses
                 FROM hydra.event_type AS t WHERE t.catalogue = catalogue ORDER BY t.name LOOP
        IF known.uses IS NULL THEN
            PERFORM hydra.webhook_unregister_event_type(known.name);
            removed := removed + 1;
        ELSE
            kept := kept || known.name;
        END IF;
    END LOOP;
    IF kept IS NOT NULL THEN
        RAISE NOTICE 'event types in use stay registered: %', array_to_string(kept, ', ');
    END IF;
    RETURN removed;
END
$$;
COMMENT ON FUNCTION hydra.webhook_unregister_catalogue(text) IS
    'Removes the event types of a catalogue, helpdesk or field_service, that the extension registered and that nothing names; returns how many';
SET LOCAL search_path = hydra, pg_temp;
