-- +goose Up

-- Users by a part of any text that names them. The newline is in none of them
-- and in no search, so no match reaches across it.
CREATE INDEX users_text_idx ON users USING gin
    ((name || E'\n' || COALESCE(username, '') || E'\n' || email || E'\n' || COALESCE(external_id, '')) gin_trgm_ops);
-- Few samples of so many different texts let the server take a rare word for a
-- frequent one now and then, and walk the whole table for it.
ALTER INDEX users_text_idx ALTER COLUMN 1 SET STATISTICS 1000;

-- +goose Down

DROP INDEX users_text_idx;
