-- Returns why the worker cannot connect to this database, with the command that allows it; null: it can. Background workers
-- do not count towards the connection limit of a database, but the sessions of clients do.
SELECT CASE
    WHEN role.oid IS NULL THEN 'role hydra_worker does not exist'
    WHEN NOT role.rolcanlogin THEN 'role hydra_worker may not log in: ALTER ROLE hydra_worker LOGIN'
    WHEN NOT database.datallowconn
        THEN format('connections to this database are not allowed: ALTER DATABASE %I ALLOW_CONNECTIONS true', database.datname)
    WHEN database.datistemplate
        THEN format('the worker does not enter templates: ALTER DATABASE %I IS_TEMPLATE false', database.datname)
    WHEN NOT has_database_privilege(role.oid, database.oid, 'CONNECT')
        THEN format('role hydra_worker may not connect: GRANT CONNECT ON DATABASE %I TO hydra_worker', database.datname)
    WHEN database.datconnlimit = 0 OR database.datconnlimit BETWEEN 1 AND clients.count - 1
        THEN format('the connection limit of this database is reached: ALTER DATABASE %I CONNECTION LIMIT -1', database.datname)
    END AS reason
FROM pg_database AS database
LEFT JOIN pg_roles AS role ON role.rolname = 'hydra_worker'
CROSS JOIN LATERAL (SELECT count(*) FROM pg_stat_activity AS a
                    WHERE a.datid = database.oid AND a.backend_type = 'client backend') AS clients
WHERE database.datname = current_database()
