-- Removes the subscriptions $3 from the targets of the event with transaction $1 and id $2: their deliveries have rows of
-- their own now. Other targets remain.
UPDATE hydra.event AS e
SET targets = ARRAY(SELECT target.id FROM pg_catalog.unnest(e.targets) WITH ORDINALITY AS target (id, place)
                    WHERE pg_catalog.abs(target.id) <> ALL ($3)
                    ORDER BY target.place)
WHERE e.xid = $1 AND e.id = $2
