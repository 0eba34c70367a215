-- +goose Up

-- The keys under a subscription that changes its plan follow it by and by where
-- there are very many, so that no key waits for the others to be revoked.
-- keys.plan_id is for lists alone: what counts is the subscription's.
ALTER TABLE keys DROP CONSTRAINT keys_subscription_id_fkey;
ALTER TABLE subscriptions
    DROP CONSTRAINT subscriptions_id_plan_id_key,
    ADD COLUMN keys_moving boolean NOT NULL DEFAULT false;
ALTER TABLE keys ADD CONSTRAINT keys_subscription_id_fkey FOREIGN KEY (subscription_id) REFERENCES subscriptions;
CREATE INDEX subscriptions_keys_moving_idx ON subscriptions (id) WHERE keys_moving;

-- +goose Down

UPDATE keys SET plan_id = s.plan_id FROM subscriptions s WHERE s.id = keys.subscription_id AND s.plan_id <> keys.plan_id;
ALTER TABLE keys DROP CONSTRAINT keys_subscription_id_fkey;
DROP INDEX subscriptions_keys_moving_idx;
ALTER TABLE subscriptions
    DROP COLUMN keys_moving,
    ADD CONSTRAINT subscriptions_id_plan_id_key UNIQUE (id, plan_id);
ALTER TABLE keys ADD CONSTRAINT keys_subscription_id_fkey FOREIGN KEY (subscription_id, plan_id)
    REFERENCES subscriptions (id, plan_id) ON UPDATE CASCADE;
