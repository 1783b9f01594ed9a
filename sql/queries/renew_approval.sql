-- Gives the approval $1 the preview $2 with the digest $3 and the varying places $4, and the hash $5 of a token.
UPDATE hydra.approval AS a
SET preview = $2::text::json, digest = $3, varying = $4::text::json, token_hash = $5, previews = a.previews + 1,
    expires_at = pg_catalog.now() + interval '10 min'
WHERE a.id = $1
RETURNING a.id, pg_catalog.to_jsonb(a.expires_at) #>> '{}' AS expires_at
