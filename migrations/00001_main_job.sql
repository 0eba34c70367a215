-- +goose Up

-- The end of both logs. Its row is locked last in every change, so numbers are
-- in commit order; it is rewritten by every change, so pages keep room for it.
CREATE TABLE journal_head (
    one    boolean NOT NULL DEFAULT true CONSTRAINT journal_head_pkey PRIMARY KEY CONSTRAINT journal_head_one CHECK (one),
    number bigint  NOT NULL DEFAULT 0,
    mac    bytea   NOT NULL DEFAULT '',
    low    bigint  NOT NULL DEFAULT 0,                   -- the change log holds everything after this number
    epoch  uuid    NOT NULL DEFAULT gen_random_uuid(),   -- names this history of the logs
    system text    NOT NULL DEFAULT ''                   -- of the server that wrote it: another one makes a new epoch
) WITH (fillfactor = 10);
INSERT INTO journal_head DEFAULT VALUES;

CREATE TABLE audit_events (
    number      bigint      NOT NULL CONSTRAINT audit_events_pkey PRIMARY KEY,
    id          uuid        NOT NULL CONSTRAINT audit_events_id_key UNIQUE,
    at          timestamptz NOT NULL,
    actor_kind  text        NOT NULL,
    actor_id    text        NOT NULL,
    action      text        NOT NULL,
    target_kind text        NOT NULL,
    target_id   text        NOT NULL,
    entry       text        NOT NULL,                    -- the exact text that is sealed
    mac         bytea       NOT NULL
);
CREATE INDEX audit_events_target_idx ON audit_events (target_id, number);

CREATE TABLE changes (
    number bigint      NOT NULL CONSTRAINT changes_pkey PRIMARY KEY,
    at     timestamptz NOT NULL,
    forget boolean     NOT NULL,
    ids    text[]      NOT NULL
);

CREATE TABLE bootstrap (
    one       boolean     NOT NULL DEFAULT true CONSTRAINT bootstrap_pkey PRIMARY KEY CONSTRAINT bootstrap_one CHECK (one),
    tokens    bytea[]     NOT NULL DEFAULT '{}',
    closed_at timestamptz
);
INSERT INTO bootstrap DEFAULT VALUES;

CREATE TABLE peppers (
    id    text   NOT NULL CONSTRAINT peppers_pkey PRIMARY KEY,
    turn  bigint NOT NULL GENERATED ALWAYS AS IDENTITY,  -- the order in which they were first put in front
    proof text   NOT NULL
);

CREATE TABLE key_prefixes (
    prefix text NOT NULL CONSTRAINT key_prefixes_pkey PRIMARY KEY
);

CREATE TABLE users (
    id            uuid        NOT NULL CONSTRAINT users_pkey PRIMARY KEY,
    kind          text        NOT NULL CONSTRAINT users_kind CHECK (kind IN ('person', 'service')),
    name          text        NOT NULL,
    username      text        CONSTRAINT users_username_key UNIQUE,
    email         text        NOT NULL DEFAULT '',
    external_id   text        CONSTRAINT users_external_id_key UNIQUE,
    role          text        NOT NULL CONSTRAINT users_role CHECK (role IN ('member', 'viewer', 'operator', 'admin', 'owner')),
    password_hash text        NOT NULL DEFAULT '',
    metadata      text        NOT NULL DEFAULT '{}',
    disabled_at   timestamptz,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    version       bigint      NOT NULL
);
INSERT INTO users (id, kind, name, username, role, created_at, updated_at, version)
VALUES ('00000000-0000-7000-8000-000000000001', 'service', 'Default owner', 'default', 'member', now(), now(), 1);

CREATE TABLE plans (
    id          uuid        NOT NULL CONSTRAINT plans_pkey PRIMARY KEY,
    slug        text        NOT NULL CONSTRAINT plans_slug_key UNIQUE,
    name        text        NOT NULL,
    scopes      text[]      NOT NULL,
    archived_at timestamptz,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    version     bigint      NOT NULL
);

CREATE TABLE subscriptions (
    id            uuid        NOT NULL CONSTRAINT subscriptions_pkey PRIMARY KEY,
    user_id       uuid        NOT NULL CONSTRAINT subscriptions_user_id_fkey REFERENCES users,
    plan_id       uuid        NOT NULL CONSTRAINT subscriptions_plan_id_fkey REFERENCES plans,
    status        text        NOT NULL CONSTRAINT subscriptions_status CHECK (status IN ('active', 'trialing', 'paused', 'canceled', 'ended')),
    trial_ends_at timestamptz CONSTRAINT subscriptions_trial CHECK (status <> 'trialing' OR trial_ends_at IS NOT NULL),
    period_end    timestamptz CONSTRAINT subscriptions_period CHECK (status <> 'canceled' OR period_end IS NOT NULL),
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    version       bigint      NOT NULL
);
CREATE UNIQUE INDEX subscriptions_live_key ON subscriptions (user_id, plan_id) WHERE status <> 'ended';
CREATE INDEX subscriptions_plan_id_idx ON subscriptions (plan_id, id);

CREATE TABLE keys (
    id              uuid        NOT NULL CONSTRAINT keys_pkey PRIMARY KEY,
    digest          bytea       NOT NULL CONSTRAINT keys_digest_key UNIQUE,
    pepper_id       text        NOT NULL CONSTRAINT keys_pepper_id_fkey REFERENCES peppers,
    kind            text        NOT NULL CONSTRAINT keys_kind CHECK (kind IN ('api', 'management')),
    environment     text        NOT NULL CONSTRAINT keys_environment CHECK (environment IN ('live', 'test', '')),
    owner_id        uuid        NOT NULL CONSTRAINT keys_owner_id_fkey REFERENCES users,
    subscription_id uuid        CONSTRAINT keys_subscription_id_fkey REFERENCES subscriptions,
    name            text        NOT NULL,
    start           text        NOT NULL,
    last4           text        NOT NULL,
    scopes          text[]      NOT NULL,
    tags            text[]      NOT NULL,
    metadata        text        NOT NULL,
    allow_cidrs     text[]      NOT NULL,
    deny_cidrs      text[]      NOT NULL,
    allow_methods   text[]      NOT NULL,
    allow_paths     text[]      NOT NULL,
    not_before      timestamptz,
    expires_at      timestamptz,
    disabled_at     timestamptz,
    revoked_at      timestamptz,
    revoke_reason   text        NOT NULL DEFAULT '',
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    version         bigint      NOT NULL
);
CREATE INDEX keys_owner_id_idx ON keys (owner_id, id);
CREATE INDEX keys_subscription_id_idx ON keys (subscription_id, id) WHERE subscription_id IS NOT NULL;
CREATE INDEX keys_pepper_id_idx ON keys (pepper_id);
CREATE INDEX keys_management_idx ON keys (id) WHERE kind = 'management';

-- +goose Down

DROP TABLE keys, subscriptions, plans, users, key_prefixes, peppers, bootstrap, changes, audit_events, journal_head;
