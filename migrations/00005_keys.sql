-- +goose Up

-- Text search. The extension is trusted: whoever owns the database may add it.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- How many live API keys there may be: of the user, else of each user under the
-- plan. NULL is no bound.
ALTER TABLE users ADD COLUMN max_keys integer CONSTRAINT users_max_keys CHECK (max_keys >= 0);
ALTER TABLE plans
    ADD COLUMN max_keys              integer CONSTRAINT plans_max_keys CHECK (max_keys >= 0),
    ADD COLUMN key_max_lifetime_days integer CONSTRAINT plans_key_max_lifetime CHECK (key_max_lifetime_days > 0);

-- A key repeats the plan of its subscription, for lists are sorted within a
-- plan by an index, and an index reaches into one table only. The foreign key
-- keeps the copy: a subscription that changes its plan takes its keys along.
ALTER TABLE subscriptions ADD CONSTRAINT subscriptions_id_plan_id_key UNIQUE (id, plan_id);
ALTER TABLE keys
    ADD COLUMN plan_id uuid,
    ADD COLUMN label                text        NOT NULL DEFAULT '',
    ADD COLUMN retires_at           timestamptz,         -- the end of the overlap, once rotated
    ADD COLUMN rotated_from         uuid,                -- history: the key may be gone
    ADD COLUMN rotated_to           uuid,
    ADD COLUMN rotate_every_days    integer     NOT NULL DEFAULT 0 CONSTRAINT keys_rotate_every CHECK (rotate_every_days >= 0),
    ADD COLUMN rotate_overlap_hours integer     NOT NULL DEFAULT 0 CONSTRAINT keys_rotate_overlap CHECK (rotate_overlap_hours >= 0),
    ADD COLUMN rotate_by            timestamptz,
    ADD COLUMN deleted_at           timestamptz,
    -- The status as it was at the last write, and the moment from which on it is
    -- to be computed anew; NULL: never. What is there already is due at once.
    ADD COLUMN status               text        NOT NULL DEFAULT 'active',
    ADD COLUMN status_until         timestamptz DEFAULT 'epoch';
UPDATE keys SET plan_id = s.plan_id FROM subscriptions s WHERE s.id = keys.subscription_id;
ALTER TABLE keys
    ALTER COLUMN status DROP DEFAULT, -- whoever writes a key has to say
    ALTER COLUMN status_until DROP DEFAULT,
    DROP CONSTRAINT keys_subscription_id_fkey,
    ADD CONSTRAINT keys_subscription_id_fkey FOREIGN KEY (subscription_id, plan_id)
        REFERENCES subscriptions (id, plan_id) ON UPDATE CASCADE,
    ADD CONSTRAINT keys_plan_id CHECK ((subscription_id IS NULL) = (plan_id IS NULL)),
    ADD CONSTRAINT keys_deleted CHECK (deleted_at IS NULL OR revoked_at IS NOT NULL);

-- One index an order for each of what lists are narrowed by first: nothing,
-- status (and environment), owner and plan, with and without status. A page is
-- then read from as many places of an index as there are statuses, merged, and
-- no row is read in vain.
CREATE INDEX keys_name_idx ON keys (name, id) WHERE deleted_at IS NULL;
CREATE INDEX keys_expires_at_idx ON keys (COALESCE(expires_at, 'infinity'), id) WHERE deleted_at IS NULL;
CREATE INDEX keys_status_created_at_idx ON keys (status, environment, created_at, id);
CREATE INDEX keys_status_name_idx ON keys (status, environment, name, id);
CREATE INDEX keys_status_expires_at_idx ON keys (status, environment, COALESCE(expires_at, 'infinity'), id);
CREATE INDEX keys_owner_id_status_created_at_idx ON keys (owner_id, status, created_at, id);
CREATE INDEX keys_owner_id_status_name_idx ON keys (owner_id, status, name, id);
CREATE INDEX keys_owner_id_status_expires_at_idx ON keys (owner_id, status, COALESCE(expires_at, 'infinity'), id);
CREATE INDEX keys_plan_id_status_created_at_idx ON keys (plan_id, status, created_at, id) WHERE plan_id IS NOT NULL;
CREATE INDEX keys_plan_id_status_name_idx ON keys (plan_id, status, name, id) WHERE plan_id IS NOT NULL;
CREATE INDEX keys_plan_id_status_expires_at_idx ON keys (plan_id, status, COALESCE(expires_at, 'infinity'), id) WHERE plan_id IS NOT NULL;
DROP INDEX keys_owner_id_idx;
DROP INDEX keys_management_idx;

CREATE INDEX keys_status_until_idx ON keys (status_until) WHERE status_until IS NOT NULL;
CREATE INDEX keys_deleted_at_idx ON keys (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX keys_label_idx ON keys (owner_id, label) WHERE label <> '';
CREATE INDEX keys_start_idx ON keys (start, last4);
CREATE INDEX keys_tags_idx ON keys USING gin (tags);
CREATE INDEX keys_scopes_idx ON keys USING gin (scopes);
-- The newline is in no name and in no search, so no match reaches across it.
CREATE INDEX keys_text_idx ON keys USING gin ((name || E'\n' || start || E'\n' || last4) gin_trgm_ops);

-- What an Idempotency-Key made, for a day. Nothing secret is in it: the header
-- and the body are kept as digests.
CREATE TABLE idempotency (
    caller     text        NOT NULL,
    key        bytea       NOT NULL,
    request    bytea       NOT NULL,
    made       uuid[]      NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT idempotency_pkey PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_created_at_idx ON idempotency (created_at);

-- +goose Down

DROP TABLE idempotency;
DROP INDEX keys_name_idx, keys_expires_at_idx, keys_status_created_at_idx, keys_status_name_idx, keys_status_expires_at_idx,
    keys_owner_id_status_created_at_idx, keys_owner_id_status_name_idx, keys_owner_id_status_expires_at_idx,
    keys_status_until_idx, keys_deleted_at_idx, keys_label_idx, keys_start_idx, keys_tags_idx, keys_scopes_idx, keys_text_idx;
CREATE INDEX keys_owner_id_idx ON keys (owner_id, id);
CREATE INDEX keys_management_idx ON keys (id) WHERE kind = 'management';
ALTER TABLE keys
    DROP CONSTRAINT keys_subscription_id_fkey,
    DROP COLUMN plan_id, DROP COLUMN label, DROP COLUMN retires_at, DROP COLUMN rotated_from, DROP COLUMN rotated_to,
    DROP COLUMN rotate_every_days, DROP COLUMN rotate_overlap_hours, DROP COLUMN rotate_by, DROP COLUMN deleted_at,
    DROP COLUMN status, DROP COLUMN status_until,
    ADD CONSTRAINT keys_subscription_id_fkey FOREIGN KEY (subscription_id) REFERENCES subscriptions;
ALTER TABLE subscriptions DROP CONSTRAINT subscriptions_id_plan_id_key;
ALTER TABLE users DROP COLUMN max_keys;
ALTER TABLE plans DROP COLUMN max_keys, DROP COLUMN key_max_lifetime_days;
DROP EXTENSION pg_trgm;
