-- +goose Up

-- The indexes of 00013 take the place and the names of the old ones.
DROP INDEX keys_name_idx, keys_expires_at_idx, keys_last_used_at_idx,
    keys_status_created_at_idx, keys_status_name_idx, keys_status_expires_at_idx, keys_status_last_used_at_idx,
    keys_owner_id_status_created_at_idx, keys_owner_id_status_name_idx, keys_owner_id_status_expires_at_idx, keys_owner_id_status_last_used_at_idx,
    keys_plan_id_status_created_at_idx, keys_plan_id_status_name_idx, keys_plan_id_status_expires_at_idx, keys_plan_id_status_last_used_at_idx;
ALTER INDEX new_keys_id_idx RENAME TO keys_id_idx;
ALTER INDEX new_keys_name_idx RENAME TO keys_name_idx;
ALTER INDEX new_keys_expires_at_idx RENAME TO keys_expires_at_idx;
ALTER INDEX new_keys_last_used_at_idx RENAME TO keys_last_used_at_idx;
ALTER INDEX new_keys_status_created_at_idx RENAME TO keys_status_created_at_idx;
ALTER INDEX new_keys_status_name_idx RENAME TO keys_status_name_idx;
ALTER INDEX new_keys_status_expires_at_idx RENAME TO keys_status_expires_at_idx;
ALTER INDEX new_keys_status_last_used_at_idx RENAME TO keys_status_last_used_at_idx;
ALTER INDEX new_keys_owner_id_status_created_at_idx RENAME TO keys_owner_id_status_created_at_idx;
ALTER INDEX new_keys_owner_id_status_name_idx RENAME TO keys_owner_id_status_name_idx;
ALTER INDEX new_keys_owner_id_status_expires_at_idx RENAME TO keys_owner_id_status_expires_at_idx;
ALTER INDEX new_keys_owner_id_status_last_used_at_idx RENAME TO keys_owner_id_status_last_used_at_idx;
ALTER INDEX new_keys_plan_id_status_created_at_idx RENAME TO keys_plan_id_status_created_at_idx;
ALTER INDEX new_keys_plan_id_status_name_idx RENAME TO keys_plan_id_status_name_idx;
ALTER INDEX new_keys_plan_id_status_expires_at_idx RENAME TO keys_plan_id_status_expires_at_idx;
ALTER INDEX new_keys_plan_id_status_last_used_at_idx RENAME TO keys_plan_id_status_last_used_at_idx;

-- +goose Down

ALTER INDEX keys_id_idx RENAME TO new_keys_id_idx;
ALTER INDEX keys_name_idx RENAME TO new_keys_name_idx;
ALTER INDEX keys_expires_at_idx RENAME TO new_keys_expires_at_idx;
ALTER INDEX keys_last_used_at_idx RENAME TO new_keys_last_used_at_idx;
ALTER INDEX keys_status_created_at_idx RENAME TO new_keys_status_created_at_idx;
ALTER INDEX keys_status_name_idx RENAME TO new_keys_status_name_idx;
ALTER INDEX keys_status_expires_at_idx RENAME TO new_keys_status_expires_at_idx;
ALTER INDEX keys_status_last_used_at_idx RENAME TO new_keys_status_last_used_at_idx;
ALTER INDEX keys_owner_id_status_created_at_idx RENAME TO new_keys_owner_id_status_created_at_idx;
ALTER INDEX keys_owner_id_status_name_idx RENAME TO new_keys_owner_id_status_name_idx;
ALTER INDEX keys_owner_id_status_expires_at_idx RENAME TO new_keys_owner_id_status_expires_at_idx;
ALTER INDEX keys_owner_id_status_last_used_at_idx RENAME TO new_keys_owner_id_status_last_used_at_idx;
ALTER INDEX keys_plan_id_status_created_at_idx RENAME TO new_keys_plan_id_status_created_at_idx;
ALTER INDEX keys_plan_id_status_name_idx RENAME TO new_keys_plan_id_status_name_idx;
ALTER INDEX keys_plan_id_status_expires_at_idx RENAME TO new_keys_plan_id_status_expires_at_idx;
ALTER INDEX keys_plan_id_status_last_used_at_idx RENAME TO new_keys_plan_id_status_last_used_at_idx;
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
