-- +goose Up

-- A subscription that is made under the plan starts with a trial of so many
-- days. NULL: it starts active.
ALTER TABLE plans ADD COLUMN trial_days integer CONSTRAINT plans_trial_days CHECK (trial_days > 0);

ALTER TABLE subscriptions
    ADD COLUMN period_start   timestamptz,
    -- What resuming makes of it, while it is paused or canceled.
    ADD COLUMN resumes_to     text NOT NULL DEFAULT 'active' CONSTRAINT subscriptions_resumes_to CHECK (resumes_to IN ('active', 'trialing')),
    -- The plan that it changes to by itself, and when.
    ADD COLUMN next_plan_id   uuid CONSTRAINT subscriptions_next_plan_id_fkey REFERENCES plans,
    ADD COLUMN next_plan_at   timestamptz,
    -- What it was by the clock at the last write, and the moment from which on
    -- that is to be computed anew; NULL: never.
    ADD COLUMN standing       text NOT NULL DEFAULT 'active',
    ADD COLUMN standing_until timestamptz,
    ADD CONSTRAINT subscriptions_next_plan CHECK ((next_plan_id IS NULL) = (next_plan_at IS NULL)),
    ADD CONSTRAINT subscriptions_another_plan CHECK (next_plan_id <> plan_id),
    ADD CONSTRAINT subscriptions_period_order CHECK (period_start < period_end);
UPDATE subscriptions SET standing = status,
    resumes_to = CASE status WHEN 'trialing' THEN 'trialing' ELSE 'active' END,
    standing_until = CASE WHEN status IN ('trialing', 'canceled') THEN 'epoch'::timestamptz END;
ALTER TABLE subscriptions
    ALTER COLUMN resumes_to DROP DEFAULT, -- whoever writes a subscription has to say
    ALTER COLUMN standing DROP DEFAULT;

-- Live is what has not ended, by the clock too: see subscriptions.Store.Insert.
DROP INDEX subscriptions_live_key;
CREATE UNIQUE INDEX subscriptions_live_key ON subscriptions (user_id, plan_id) WHERE standing <> 'ended';
CREATE INDEX subscriptions_user_id_idx ON subscriptions (user_id, id);
CREATE INDEX subscriptions_standing_idx ON subscriptions (standing, id);
CREATE INDEX subscriptions_plan_id_standing_idx ON subscriptions (plan_id, standing, id);
CREATE INDEX subscriptions_standing_until_idx ON subscriptions (standing_until) WHERE standing_until IS NOT NULL;
CREATE INDEX subscriptions_next_plan_at_idx ON subscriptions (next_plan_at) WHERE next_plan_at IS NOT NULL;

-- Users are listed by kind, role and whether they are disabled, the newest first.
CREATE INDEX users_kind_idx ON users (kind, id);
CREATE INDEX users_role_idx ON users (role, id);
CREATE INDEX users_disabled_idx ON users ((disabled_at IS NOT NULL), id);

-- +goose Down

DROP INDEX users_kind_idx, users_role_idx, users_disabled_idx;
-- What has ended by the clock must say so, for the older index knows no clock.
UPDATE subscriptions SET status = 'ended' WHERE status = 'canceled' AND period_end <= now();
DROP INDEX subscriptions_live_key, subscriptions_user_id_idx, subscriptions_standing_idx, subscriptions_plan_id_standing_idx,
    subscriptions_standing_until_idx, subscriptions_next_plan_at_idx;
CREATE UNIQUE INDEX subscriptions_live_key ON subscriptions (user_id, plan_id) WHERE status <> 'ended';
ALTER TABLE subscriptions
    DROP COLUMN period_start, DROP COLUMN resumes_to, DROP COLUMN next_plan_id, DROP COLUMN next_plan_at,
    DROP COLUMN standing, DROP COLUMN standing_until;
ALTER TABLE plans DROP COLUMN trial_days;
