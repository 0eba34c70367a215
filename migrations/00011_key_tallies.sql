-- +goose Up

-- How many keys there are in each environment and status, as sums of what every
-- statement added and took away: nobody counts a million keys to show a number,
-- and no two writers wait for each other's. Rows are summed up now and then.
CREATE TABLE key_tallies (
    environment text   NOT NULL, -- '' for management keys
    status      text   NOT NULL, -- as it is stamped: see keys.status_until
    n           bigint NOT NULL
);

-- +goose StatementBegin
CREATE FUNCTION keys_tally() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    CASE TG_OP
    WHEN 'INSERT' THEN
        INSERT INTO key_tallies SELECT environment, status, count(*) FROM now_there GROUP BY 1, 2;
    WHEN 'DELETE' THEN
        INSERT INTO key_tallies SELECT environment, status, -count(*) FROM was_there GROUP BY 1, 2;
    WHEN 'UPDATE' THEN
        INSERT INTO key_tallies SELECT environment, status, sum(n) FROM (
            SELECT environment, status, 1 AS n FROM now_there UNION ALL SELECT environment, status, -1 FROM was_there) AS moved
        GROUP BY 1, 2 HAVING sum(n) <> 0;
    END CASE;
    RETURN NULL;
END $$;
-- +goose StatementEnd

LOCK TABLE keys IN SHARE ROW EXCLUSIVE MODE; -- what is counted here is not counted by a trigger, too
INSERT INTO key_tallies SELECT environment, status, count(*) FROM keys GROUP BY 1, 2;
CREATE TRIGGER keys_tally_insert AFTER INSERT ON keys REFERENCING NEW TABLE AS now_there FOR EACH STATEMENT EXECUTE FUNCTION keys_tally();
CREATE TRIGGER keys_tally_update AFTER UPDATE ON keys REFERENCING OLD TABLE AS was_there NEW TABLE AS now_there FOR EACH STATEMENT EXECUTE FUNCTION keys_tally();
CREATE TRIGGER keys_tally_delete AFTER DELETE ON keys REFERENCING OLD TABLE AS was_there FOR EACH STATEMENT EXECUTE FUNCTION keys_tally();

-- +goose Down

DROP TRIGGER keys_tally_insert ON keys;
DROP TRIGGER keys_tally_update ON keys;
DROP TRIGGER keys_tally_delete ON keys;
DROP FUNCTION keys_tally();
DROP TABLE key_tallies;
