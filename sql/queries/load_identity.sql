-- Returns the namespace that delivery ids are derived from, and whether this database is the installation that it says it is.
-- One row always; the namespace is null if there is none.
SELECT (SELECT i.namespace FROM hydra.current_identity AS i) AS namespace, hydra._at_home() AS at_home
