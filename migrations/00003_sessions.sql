-- +goose Up

ALTER TABLE users ADD COLUMN session_stamp bigint NOT NULL DEFAULT 0;
-- Signing in by email address.
CREATE INDEX users_sign_in_email_idx ON users (lower(email)) WHERE email <> '' AND password_hash <> '';

CREATE TABLE sessions (
    id           uuid        NOT NULL CONSTRAINT sessions_pkey PRIMARY KEY,
    digest       bytea       NOT NULL CONSTRAINT sessions_digest_key UNIQUE,  -- SHA-256 of the token
    user_id      uuid        NOT NULL CONSTRAINT sessions_user_id_fkey REFERENCES users ON DELETE CASCADE,
    stamp        bigint      NOT NULL,                   -- the user's session_stamp when it began
    created_at   timestamptz NOT NULL,
    refreshed_at timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,                   -- the idle end
    ends_at      timestamptz NOT NULL,                   -- the absolute end
    address      text        NOT NULL,
    user_agent   text        NOT NULL
);
CREATE INDEX sessions_user_id_idx ON sessions (user_id, id);
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);

-- +goose Down

DROP TABLE sessions;
DROP INDEX users_sign_in_email_idx;
ALTER TABLE users DROP COLUMN session_stamp;
