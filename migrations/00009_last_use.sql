-- +goose Up

-- When and from where a key was last used, as it is heard of some time later.
-- It is no change of the key: neither its version nor its journal knows of it.
ALTER TABLE keys
    ADD COLUMN last_used_at timestamptz, -- NULL: never
    ADD COLUMN last_used_ip inet,
    ADD CONSTRAINT keys_last_used_ip CHECK (last_used_ip IS NULL OR last_used_at IS NOT NULL);

-- The fourth order of lists; what was never used comes before what was.
CREATE INDEX keys_last_used_at_idx ON keys (COALESCE(last_used_at, '-infinity'), id) WHERE deleted_at IS NULL;
CREATE INDEX keys_status_last_used_at_idx ON keys (status, environment, COALESCE(last_used_at, '-infinity'), id);
CREATE INDEX keys_owner_id_status_last_used_at_idx ON keys (owner_id, status, COALESCE(last_used_at, '-infinity'), id);
CREATE INDEX keys_plan_id_status_last_used_at_idx ON keys (plan_id, status, COALESCE(last_used_at, '-infinity'), id) WHERE plan_id IS NOT NULL;

-- +goose Down

DROP INDEX keys_last_used_at_idx, keys_status_last_used_at_idx, keys_owner_id_status_last_used_at_idx, keys_plan_id_status_last_used_at_idx;
ALTER TABLE keys DROP COLUMN last_used_at, DROP COLUMN last_used_ip;
