-- +goose Up

-- Every index of a list ends in what a list can be cut off at: when keys expire
-- and when they were last used. A list in another order than that is then cut
-- within the index, and no row of the table is read in vain.
DROP INDEX keys_name_idx, keys_expires_at_idx, keys_last_used_at_idx,
    keys_status_created_at_idx, keys_status_name_idx, keys_status_expires_at_idx, keys_status_last_used_at_idx,
    keys_owner_id_status_created_at_idx, keys_owner_id_status_name_idx, keys_owner_id_status_expires_at_idx, keys_owner_id_status_last_used_at_idx,
    keys_plan_id_status_created_at_idx, keys_plan_id_status_name_idx, keys_plan_id_status_expires_at_idx, keys_plan_id_status_last_used_at_idx;
CREATE INDEX keys_id_idx ON keys (id, COALESCE(expires_at, 'infinity'), COALESCE(last_used_at, '-infinity')) WHERE deleted_at IS NULL;
CREATE INDEX keys_name_idx ON keys (name, id, COALESCE(expires_at, 'infinity'), COALESCE(last_used_at, '-infinity')) WHERE deleted_at IS NULL;
CREATE INDEX keys_expires_at_idx ON keys (COALESCE(expires_at, 'infinity'), id, COALESCE(last_used_at, '-infinity')) WHERE deleted_at IS NULL;
CREATE INDEX keys_last_used_at_idx ON keys (COALESCE(last_used_at, '-infinity'), id, COALESCE(expires_at, 'infinity')) WHERE deleted_at IS NULL;
CREATE INDEX keys_status_created_at_idx ON keys (status, environment, created_at, id, COALESCE(expires_at, 'infinity'), COALESCE(last_used_at, '-infinity'));
CREATE INDEX keys_status_name_idx ON keys (status, environment, name, id, COALESCE(expires_at, 'infinity'), COALESCE(last_used_at, '-infinity'));
CREATE INDEX keys_status_expires_at_idx ON keys (status, environment, COALESCE(expires_at, 'infinity'), id, COALESCE(last_used_at, '-infinity'));
CREATE INDEX keys_status_last_used_at_idx ON keys (status, environment, COALESCE(last_used_at, '-infinity'), id, COALESCE(expires_at, 'infinity'));
CREATE INDEX keys_owner_id_status_created_at_idx ON keys (owner_id, status, created_at, id, COALESCE(expires_at, 'infinity'), COALESCE(last_used_at, '-infinity'));
CREATE INDEX keys_owner_id_status_name_idx ON keys (owner_id, status, name, id, COALESCE(expires_at, 'infinity'), COALESCE(last_used_at, '-infinity'));
CREATE INDEX keys_owner_id_status_expires_at_idx ON keys (owner_id, status, COALESCE(expires_at, 'infinity'), id, COALESCE(last_used_at, '-infinity'));
CREATE INDEX keys_owner_id_status_last_used_at_idx ON keys (owner_id, status, COALESCE(last_used_at, '-infinity'), id, COALESCE(expires_at, 'infinity'));
CREATE INDEX keys_plan_id_status_created_at_idx ON keys (plan_id, status, created_at, id, COALESCE(expires_at, 'infinity'), COALESCE(last_used_at, '-infinity')) WHERE plan_id IS NOT NULL;
CREATE INDEX keys_plan_id_status_name_idx ON keys (plan_id, status, name, id, COALESCE(expires_at, 'infinity'), COALESCE(last_used_at, '-infinity')) WHERE plan_id IS NOT NULL;
CREATE INDEX keys_plan_id_status_expires_at_idx ON keys (plan_id, status, COALESCE(expires_at, 'infinity'), id, COALESCE(last_used_at, '-infinity')) WHERE plan_id IS NOT NULL;
CREATE INDEX keys_plan_id_status_last_used_at_idx ON keys (plan_id, status, COALESCE(last_used_at, '-infinity'), id, COALESCE(expires_at, 'infinity')) WHERE plan_id IS NOT NULL;

-- +goose Down

DROP INDEX keys_id_idx, keys_name_idx, keys_expires_at_idx, keys_last_used_at_idx,
    keys_status_created_at_idx, keys_status_name_idx, keys_status_expires_at_idx, keys_status_last_used_at_idx,
    keys_owner_id_status_created_at_idx, keys_owner_id_status_name_idx, keys_owner_id_status_expires_at_idx, keys_owner_id_status_last_used_at_idx,
    keys_plan_id_status_created_at_idx, keys_plan_id_status_name_idx, keys_plan_id_status_expires_at_idx, keys_plan_id_status_last_used_at_idx;
CREATE INDEX keys_name_idx ON keys (name, id) WHERE deleted_at IS NULL;
CREATE INDEX keys_expires_at_idx ON keys (COALESCE(expires_at, 'infinity'), id) WHERE deleted_at IS NULL;
CREATE INDEX keys_last_used_at_idx ON keys (COALESCE(last_used_at, '-infinity'), id) WHERE deleted_at IS NULL;
CREATE INDEX keys_status_created_at_idx ON keys (status, environment, created_at, id);
CREATE INDEX keys_status_name_idx ON keys (status, environment, name, id);
CREATE INDEX keys_status_expires_at_idx ON keys (status, environment, COALESCE(expires_at, 'infinity'), id);
CREATE INDEX keys_status_last_used_at_idx ON keys (status, environment, COALESCE(last_used_at, '-infinity'), id);
CREATE INDEX keys_owner_id_status_created_at_idx ON keys (owner_id, status, created_at, id);
CREATE INDEX keys_owner_id_status_name_idx ON keys (owner_id, status, name, id);
CREATE INDEX keys_owner_id_status_expires_at_idx ON keys (owner_id, status, COALESCE(expires_at, 'infinity'), id);
CREATE INDEX keys_owner_id_status_last_used_at_idx ON keys (owner_id, status, COALESCE(last_used_at, '-infinity'), id);
CREATE INDEX keys_plan_id_status_created_at_idx ON keys (plan_id, status, created_at, id) WHERE plan_id IS NOT NULL;
CREATE INDEX keys_plan_id_status_name_idx ON keys (plan_id, status, name, id) WHERE plan_id IS NOT NULL;
CREATE INDEX keys_plan_id_status_expires_at_idx ON keys (plan_id, status, COALESCE(expires_at, 'infinity'), id) WHERE plan_id IS NOT NULL;
CREATE INDEX keys_plan_id_status_last_used_at_idx ON keys (plan_id, status, COALESCE(last_used_at, '-infinity'), id) WHERE plan_id IS NOT NULL;
