SET LOCAL search_path = pg_catalog, pg_temp;
-- The bits of tgtype are used only here.
CREATE FUNCTION hydra._trigger_type(tgtype smallint, OUT operations text[], OUT level text, OUT may_emit boolean)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_remove(ARRAY[CASE WHEN tgtype & 4 <> 0 THEN 'insert' END,
                              CASE WHEN tgtype & 16 <> 0 THEN 'update' END,
                              CASE WHEN tgtype & 8 <> 0 THEN 'delete' END], NULL),
           CASE WHEN tgtype & 1 <> 0 THEN 'row' ELSE 'statement' END,
           -- Neither BEFORE (2) nor INSTEAD OF (64), and not for TRUNCATE (32).
           tgtype & (2 | 32 | 64) = 0
$$;
COMMENT ON FUNCTION hydra._trigger_type(smallint) IS
    'Operations and level of a trigger, as webhook_watch accepts them, and whether it is an AFTER trigger for only these operations';
SET LOCAL search_path = hydra, pg_temp;
