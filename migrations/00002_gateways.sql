-- +goose Up

-- The processes at the edge, as they last said. Every heartbeat rewrites a row,
-- so pages keep room for it and no column that changes is in an index. It is
-- logged all the same: after a crash of the database a gateway that is cut off
-- must still be known.
CREATE TABLE gateways (
    instance      uuid        NOT NULL CONSTRAINT gateways_pkey PRIMARY KEY,
    name          text        NOT NULL,
    version       text        NOT NULL,
    address       text        NOT NULL,
    budget_ms     bigint      NOT NULL CONSTRAINT gateways_budget CHECK (budget_ms >= 0),
    applied       bigint      NOT NULL,                  -- everything up to this change number, in
    epoch         text        NOT NULL,                  -- this history of the log
    registered_at timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL
) WITH (fillfactor = 50);

-- +goose Down

DROP TABLE gateways;
