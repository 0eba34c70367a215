-- +goose Up

-- Every index of a list ends in what a list can be cut off at: when keys expire
-- and when they were last used. A list in another order than that is then cut
-- within the index, and no row of the table is read in vain.
-- They are built beside the old ones, which keys are looked up by meanwhile, and
-- take their place in the next migration: what builds an index holds up all who
-- write keys, and to drop another it would have to wait for them.
CREATE INDEX new_keys_id_idx ON keys (id, COALESCE(expires_at, 'infinity'), COALESCE(last_used_at, '-infinity')) WHERE deleted_at IS NULL;
CREATE INDEX new_keys_name_idx ON keys (name, id, COALESCE(expires_at, 'infinity'), COALESCE(last_used_at, '-infinity')) WHERE deleted_at IS NULL;
CREATE INDEX new_keys_expires_at_idx ON keys (COALESCE(expires_at, 'infinity'), id, COALESCE(last_used_at, '-infinity')) WHERE deleted_at IS NULL;
CREATE INDEX new_keys_last_used_at_idx ON keys (COALESCE(last_used_at, '-infinity'), id, COALESCE(expires_at, 'infinity')) WHERE deleted_at IS NULL;
CREATE INDEX new_keys_status_created_at_idx ON keys (status, environment, created_at, id, COALESCE(expires_at, 'infinity'), COALESCE(last_used_at, '-infinity'));
CREATE INDEX new_keys_status_name_idx ON keys (status, environment, name, id, COALESCE(expires_at, 'infinity'), COALESCE(last_used_at, '-infinity'));
CREATE INDEX new_keys_status_expires_at_idx ON keys (status, environment, COALESCE(expires_at, 'infinity'), id, COALESCE(last_used_at, '-infinity'));
CREATE INDEX new_keys_status_last_used_at_idx ON keys (status, environment, COALESCE(last_used_at, '-infinity'), id, COALESCE(expires_at, 'infinity'));
CREATE INDEX new_keys_owner_id_status_created_at_idx ON keys (owner_id, status, created_at, id, COALESCE(expires_at, 'infinity'), COALESCE(last_used_at, '-infinity'));
CREATE INDEX new_keys_owner_id_status_name_idx ON keys (owner_id, status, name, id, COALESCE(expires_at, 'infinity'), COALESCE(last_used_at, '-infinity'));
CREATE INDEX new_keys_owner_id_status_expires_at_idx ON keys (owner_id, status, COALESCE(expires_at, 'infinity'), id, COALESCE(last_used_at, '-infinity'));
CREATE INDEX new_keys_owner_id_status_last_used_at_idx ON keys (owner_id, status, COALESCE(last_used_at, '-infinity'), id, COALESCE(expires_at, 'infinity'));
CREATE INDEX new_keys_plan_id_status_created_at_idx ON keys (plan_id, status, created_at, id, COALESCE(expires_at, 'infinity'), COALESCE(last_used_at, '-infinity')) WHERE plan_id IS NOT NULL;
CREATE INDEX new_keys_plan_id_status_name_idx ON keys (plan_id, status, name, id, COALESCE(expires_at, 'infinity'), COALESCE(last_used_at, '-infinity')) WHERE plan_id IS NOT NULL;
CREATE INDEX new_keys_plan_id_status_expires_at_idx ON keys (plan_id, status, COALESCE(expires_at, 'infinity'), id, COALESCE(last_used_at, '-infinity')) WHERE plan_id IS NOT NULL;
CREATE INDEX new_keys_plan_id_status_last_used_at_idx ON keys (plan_id, status, COALESCE(last_used_at, '-infinity'), id, COALESCE(expires_at, 'infinity')) WHERE plan_id IS NOT NULL;

-- +goose Down

DROP INDEX new_keys_id_idx, new_keys_name_idx, new_keys_expires_at_idx, new_keys_last_used_at_idx,
    new_keys_status_created_at_idx, new_keys_status_name_idx, new_keys_status_expires_at_idx, new_keys_status_last_used_at_idx,
    new_keys_owner_id_status_created_at_idx, new_keys_owner_id_status_name_idx, new_keys_owner_id_status_expires_at_idx, new_keys_owner_id_status_last_used_at_idx,
    new_keys_plan_id_status_created_at_idx, new_keys_plan_id_status_name_idx, new_keys_plan_id_status_expires_at_idx, new_keys_plan_id_status_last_used_at_idx;
