-- +goose Up

-- The settings of the installation, in the one row. NULL: the default counts.
CREATE TABLE settings (
    one                        boolean NOT NULL DEFAULT true CONSTRAINT settings_pkey PRIMARY KEY CONSTRAINT settings_one CHECK (one),
    restore_window_days        integer CONSTRAINT settings_restore_window CHECK (restore_window_days >= 0),
    deleted_key_retention_days integer CONSTRAINT settings_deleted_key_retention CHECK (deleted_key_retention_days > 0),
    key_max_lifetime_days      integer CONSTRAINT settings_key_max_lifetime CHECK (key_max_lifetime_days >= 0),
    rotation_overlap_hours     integer CONSTRAINT settings_rotation_overlap CHECK (rotation_overlap_hours >= 0),
    session_idle_hours         integer CONSTRAINT settings_session_idle CHECK (session_idle_hours > 0),
    session_max_days           integer CONSTRAINT settings_session_max CHECK (session_max_days > 0),
    changed_at                 timestamptz,
    version                    bigint  NOT NULL DEFAULT 1
);
INSERT INTO settings DEFAULT VALUES;

-- +goose Down

DROP TABLE settings;
