-- +goose Up

-- The audit log is listed by time, the newest first, under one filter or several:
-- each filter has an index in that order. It is found by request id too, which the
-- sealed text holds from the beginning.
ALTER TABLE audit_events ADD COLUMN request_id text NOT NULL DEFAULT '';
UPDATE audit_events SET request_id = entry::json ->> 'request_id' WHERE entry::json ->> 'request_id' IS NOT NULL;
DROP INDEX audit_events_target_idx;
CREATE INDEX audit_events_at_idx ON audit_events (at, number);
CREATE INDEX audit_events_actor_kind_idx ON audit_events (actor_kind, at, number);
CREATE INDEX audit_events_actor_idx ON audit_events (actor_id, at, number);
CREATE INDEX audit_events_action_idx ON audit_events (action, at, number);
CREATE INDEX audit_events_area_idx ON audit_events (split_part(action, '.', 1), at, number);
CREATE INDEX audit_events_target_kind_idx ON audit_events (target_kind, at, number);
CREATE INDEX audit_events_target_idx ON audit_events (target_id, at, number);
CREATE INDEX audit_events_request_idx ON audit_events (request_id) WHERE request_id <> '';

-- What stands for the rows that were pruned: the exact text that is sealed.
CREATE TABLE audit_checkpoint (
    one  boolean NOT NULL DEFAULT true CONSTRAINT audit_checkpoint_pkey PRIMARY KEY CONSTRAINT audit_checkpoint_one CHECK (one),
    text text    NOT NULL,
    seal bytea   NOT NULL
);

ALTER TABLE plans ADD COLUMN public boolean NOT NULL DEFAULT false;  -- in the price list that anybody may read

-- +goose Down

ALTER TABLE plans DROP COLUMN public;
DROP TABLE audit_checkpoint;
DROP INDEX audit_events_at_idx, audit_events_actor_kind_idx, audit_events_actor_idx, audit_events_action_idx, audit_events_area_idx,
    audit_events_target_kind_idx, audit_events_target_idx, audit_events_request_idx;
ALTER TABLE audit_events DROP COLUMN request_id;
CREATE INDEX audit_events_target_idx ON audit_events (target_id, number);
