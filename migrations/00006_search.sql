-- +goose Up

-- Users by a part of any text that names them. The newline is in none of them
-- and in no search, so no match reaches across it.
CREATE INDEX users_text_idx ON users USING gin
    ((name || E'\n' || COALESCE(username, '') || E'\n' || email || E'\n' || COALESCE(external_id, '')) gin_trgm_ops);

-- +goose Down

DROP INDEX users_text_idx;
