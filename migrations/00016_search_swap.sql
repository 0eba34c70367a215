-- +goose Up

-- The indexes of 00015 take the place of the old ones. Lists are found by the
-- server's statistics, which new indexes have none of.
DROP INDEX keys_text_idx, users_text_idx;
ANALYZE keys, users;

-- +goose Down

CREATE INDEX keys_text_idx ON keys USING gin ((name || E'\n' || start || E'\n' || last4) gin_trgm_ops);
CREATE INDEX users_text_idx ON users USING gin
    ((name || E'\n' || COALESCE(username, '') || E'\n' || email || E'\n' || COALESCE(external_id, '')) gin_trgm_ops);
ALTER INDEX users_text_idx ALTER COLUMN 1 SET STATISTICS 1000;
