-- Events that are finished, or have moved to the retry queue, by where their rows were when they were read. Which rows
-- these are now has to be looked at: see the caller.
DELETE FROM hydra.event AS e WHERE e.ctid = ANY ($1) RETURNING e.xid, e.id
