-- +goose Up

-- What a search looks through, as the index over trigrams is to see it: to that,
-- only letters and digits are characters, so it cannot find "---", and takes
-- "eu-1" for words of one and two letters that stand anywhere. Here every other
-- character is a letter. What the index finds is compared with the text itself,
-- in lower case as well, which must come first: in some locales a letter's lower
-- case depends on whether a letter follows (Σ), or is two characters (İ).
-- +goose StatementBegin
CREATE FUNCTION searchable(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT regexp_replace(translate(lower($1), E' \n-_.:/@', 'xwqjzvkv'), '[^[:alnum:]]', 'v', 'g')
$$;
-- +goose StatementEnd
CREATE INDEX keys_search_idx ON keys USING gin (searchable(name || E'\n' || start || E'\n' || last4) gin_trgm_ops);
CREATE INDEX users_search_idx ON users USING gin
    (searchable(name || E'\n' || COALESCE(username, '') || E'\n' || email || E'\n' || COALESCE(external_id, '')) gin_trgm_ops);
ALTER INDEX users_search_idx ALTER COLUMN 1 SET STATISTICS 1000; -- as 00006 says of the old one

-- +goose Down

DROP INDEX keys_search_idx, users_search_idx;
DROP FUNCTION searchable;
