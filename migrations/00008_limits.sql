-- +goose Up

-- Limits are archived and never removed, so what refers to one stays true.
CREATE TABLE limits (
    id             uuid        NOT NULL CONSTRAINT limits_pkey PRIMARY KEY,
    name           text        NOT NULL,
    kind           text        NOT NULL,
    amount         bigint      NOT NULL CONSTRAINT limits_amount CHECK (amount > 0),
    window_seconds integer     CONSTRAINT limits_window CHECK (window_seconds BETWEEN 1 AND 3600),
    period         text        NOT NULL,
    time_zone      text        NOT NULL,
    subject        text        NOT NULL CONSTRAINT limits_subject CHECK (subject IN ('key', 'subscription', 'user', 'client_ip')),
    mode           text        NOT NULL CONSTRAINT limits_mode CHECK (mode IN ('enforce', 'soft', 'shadow')),
    on_unavailable text        NOT NULL CONSTRAINT limits_on_unavailable CHECK (on_unavailable IN ('allow', 'deny')),
    archived_at    timestamptz,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    version        bigint      NOT NULL,
    CONSTRAINT limits_kind CHECK (
        kind = 'rate' AND window_seconds IS NOT NULL AND period = ''
        OR kind = 'quota' AND window_seconds IS NULL AND period IN ('day', 'month', 'subscription'))
);
CREATE INDEX limits_name_idx ON limits (name, id);

ALTER TABLE plans ADD COLUMN limit_ids uuid[] NOT NULL DEFAULT '{}';
-- The amounts of a key's own, by the names of limits: a JSON object.
ALTER TABLE keys ADD COLUMN limit_overrides text NOT NULL DEFAULT '{}';

-- +goose Down

ALTER TABLE keys DROP COLUMN limit_overrides;
ALTER TABLE plans DROP COLUMN limit_ids;
DROP TABLE limits;
