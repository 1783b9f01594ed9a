-- Locks the thread $1 and returns it: whether the sender $2 takes part in it, whether the application has sent the message
-- with the Message-ID $3, and how often the entity was reopened in the last hour.
WITH locked AS (
    SELECT t.id, t.entity_type, t.entity_id FROM hydra.mail_thread AS t WHERE t.id = $1 FOR NO KEY UPDATE)
SELECT locked.entity_type, locked.entity_id,
       EXISTS (SELECT FROM hydra.mail_participant AS p WHERE p.thread_id = locked.id AND p.address = $2) AS is_participant,
       EXISTS (SELECT FROM hydra.mail_known_id AS k WHERE k.message_id = $3 AND k.sent) AS is_own,
       (SELECT count(*) FROM hydra.mail_message AS m
        WHERE m.thread_id = locked.id AND m.reopened AND m.received_at > pg_catalog.now() - interval '1 hour') AS reopened
FROM (SELECT) AS one
LEFT JOIN locked ON true
