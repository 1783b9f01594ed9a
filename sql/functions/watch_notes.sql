SET LOCAL search_path = pg_catalog, pg_temp;
-- Notes on watches: a watch that can be created, but may do something else than what was meant. hydra.webhook_watch says them
-- in notices. Frameworks do not show notices, so the view hydra.webhook_watches has them too, from the table as it is now.

CREATE FUNCTION hydra._level_note(source regclass, event text, level text, OUT note text, OUT detail text, OUT hint text)
    RETURNS SETOF record LANGUAGE sql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT known.note, known.detail, known.hint
    FROM pg_class AS c
    CROSS JOIN LATERAL (VALUES
        (c.relkind = 'p', 'statement', format('statements that name a partition of %s will not emit %s', source, event),
         'A trigger FOR EACH STATEMENT fires only for statements that name its own table. And it does not see an update by MERGE that moves a row to another partition.',
         'With level => ''row'', such statements emit too.'),
        (c.relkind = 'p', 'row', format('an update that moves a row of %s to another partition is a delete and an insert', source),
         'A trigger FOR EACH ROW fires for the delete in one partition and for the insert in the other, not for an update.',
         'With level => ''statement'', it is one update; then statements that name a partition do not emit.'),
        (c.relkind <> 'p', 'statement', format('statements that name a child table of %s will not emit %s', source, event),
         'A trigger FOR EACH STATEMENT fires only for statements that name its own table, but then also for rows of child tables.',
         'With level => ''row'', watch this table and each of its child tables.'),
        (c.relkind <> 'p', 'row', format('rows of the child tables of %s will not emit %s', source, event),
         'A trigger FOR EACH ROW fires only for rows of its own table.',
         'Watch each of the child tables too.')) AS known (is_kind, level, note, detail, hint)
    WHERE c.oid = source AND known.is_kind AND known.level = _level_note.level
          AND (c.relkind = 'p' OR EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = source))
$$;
COMMENT ON FUNCTION hydra._level_note(regclass, text, text) IS
    'How the events of a watch of a table with partitions or child tables depend on its level; no row: the table has neither';

-- A name is all that is looked at. So nothing is refused or left out because of it.
CREATE FUNCTION hydra._looks_secret(name text)
    RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
AS $$
    -- In apiKey, a word begins with its capital letter. What is no letter, such as the space of "API key", is between words.
    SELECT lower(regexp_replace(regexp_replace(name, '([a-z0-9])([A-Z])', '\1_\2', 'g'), '[^a-zA-Z]+', '_', 'g') COLLATE "C") ~
           ('(^|_)(password|passwd|passphrase|passcode|pwd|secret|token|salt|otp|totp|cvv|cvc|ssn|social_security'
            || '|credentials?|credit_card|card_number|(api|private|secret|access|signing|encryption)_?key)(_|$)')
$$;
COMMENT ON FUNCTION hydra._looks_secret(text) IS 'Whether a column of this name probably has secrets, such as password_hash or apiKey';

CREATE FUNCTION hydra._secrets_note(source regclass, event text, except_columns text[], OUT note text, OUT detail text, OUT hint text)
    RETURNS SETOF record LANGUAGE sql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('the events %s of %s have columns that look secret: %s', event, source, found.secret),
           'All columns of a row are sent, also those that will be added, unless the watch has "only", "except" or entity.',
           format('To send only the others, use "only" => %L.', coalesce(found.others, '{…}'))
    FROM (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FILTER (WHERE s.looks_secret) AS secret,
                 (array_agg(a.attname ORDER BY a.attnum) FILTER (WHERE NOT s.looks_secret))::text AS others
          FROM pg_attribute AS a CROSS JOIN LATERAL hydra._looks_secret(a.attname) AS s (looks_secret)
          WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped
                AND a.attname <> ALL (coalesce(except_columns, '{}'))) AS found
    WHERE found.secret IS NOT NULL
$$;
COMMENT ON FUNCTION hydra._secrets_note(regclass, text, text[]) IS
    'Which of the columns that a watch sends look secret, if it sends all but the last argument; no row: none does';

CREATE FUNCTION hydra._id_note(source regclass, event text, id_key text, OUT note text, OUT detail text, OUT hint text)
    RETURNS SETOF record LANGUAGE sql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('the events %s of %s have no entity_id', event, source),
           format('The table has no column %s, which is the id_key of the event type.', quote_ident(id_key)),
           format('SELECT hydra.webhook_register_event_type(%L, id_key => %L);', event,
                  coalesce((SELECT a.attname
                            FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                            WHERE i.indrelid = source AND i.indisprimary AND i.indnkeyatts = 1), '<column>'))
    WHERE id_key IS NOT NULL
          AND NOT EXISTS (SELECT FROM pg_attribute AS a
                          WHERE a.attrelid = source AND a.attname = id_key AND a.attnum > 0 AND NOT a.attisdropped)
$$;
COMMENT ON FUNCTION hydra._id_note(regclass, text, text) IS
    'That a table lacks the column of which the id of its entities is taken; no row: it has the column, or the column is not known';

CREATE FUNCTION hydra._watch_notes(
    source regclass, event text, level text, entity text, only_columns text[], except_columns text[], id_key text,
    OUT note text, OUT detail text, OUT hint text)
    RETURNS SETOF record LANGUAGE sql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $$
    SELECT l.note, l.detail, l.hint FROM hydra._level_note(source, event, level) AS l
    UNION ALL
    SELECT s.note, s.detail, s.hint FROM hydra._secrets_note(source, event, except_columns) AS s
    WHERE entity IS NULL AND only_columns IS NULL
    UNION ALL
    SELECT i.note, i.detail, i.hint FROM hydra._id_note(source, event, id_key) AS i
    WHERE entity IS NULL
$$;
COMMENT ON FUNCTION hydra._watch_notes(regclass, text, text, text, text[], text[], text) IS
    'Notes on a watch with these settings; the last argument: the id_key of its event type';
SET LOCAL search_path = hydra, pg_temp;
