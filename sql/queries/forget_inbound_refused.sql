-- Removes the refused requests of an adapter ($1) but the latest 20. Does not wait for another request that does the same.
DELETE FROM hydra.inbound_refused AS r
WHERE r.id = ANY (ARRAY(SELECT old.id FROM hydra.inbound_refused AS old
                        WHERE old.adapter_id = $1
                              AND old.id <= (SELECT latest.id FROM hydra.inbound_refused AS latest
                                             WHERE latest.adapter_id = $1
                                             ORDER BY latest.id DESC
                                             OFFSET 20 LIMIT 1)
                        FOR UPDATE SKIP LOCKED))
