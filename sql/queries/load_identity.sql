-- Returns one row: the namespace that delivery ids are derived from (null: there is none), and whether this database is
-- the one that hydra.identity names, and not a copy.
SELECT (SELECT i.namespace FROM hydra.current_identity AS i) AS namespace, hydra._at_home() AS at_home
