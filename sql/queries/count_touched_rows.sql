-- Returns how many rows this transaction has inserted, updated and deleted in each table so far, and those that the
-- statistics have not taken over from the transaction before.
SELECT coalesce(pg_catalog.jsonb_object_agg(t.relid::text, pg_catalog.jsonb_build_array(t.n_tup_ins, t.n_tup_upd, t.n_tup_del)), '{}')
FROM pg_catalog.pg_stat_xact_user_tables AS t
WHERE t.schemaname <> 'hydra' AND t.n_tup_ins + t.n_tup_upd + t.n_tup_del > 0
