-- What holds for requests across replicas: results that a repeat gets again, rates, and who did what.
create table idempotency_keys (
    user_id uuid not null references users,
    route text not null,
    key text not null check (length(key) between 1 and 128),
    -- SHA-256 of the body.
    fingerprint bytea not null check (length(fingerprint) = 32),
    status smallint not null,
    headers jsonb not null,
    body bytea not null,
    created_at timestamptz not null,
    primary key (user_id, route, key)
);

create index idempotency_keys_by_age on idempotency_keys (created_at);

-- One row a limit and subject. Lost with a crash of the database, which forgives everybody.
create unlogged table rate_limits (
    key text primary key,
    -- The theoretical arrival time of the generic cell rate algorithm.
    arrival timestamptz not null
);

create index rate_limits_by_arrival on rate_limits (arrival);

-- Every change by an administrator. Nobody who serves requests can change or remove a line.
create table audit_log (
    id uuid primary key,
    at timestamptz not null,
    actor_id uuid references users,
    address text,
    action text not null,
    entity_type text not null,
    entity_id text not null,
    before jsonb,
    after jsonb,
    reason text check (length(reason) <= 500),
    request_id text
);

create index audit_log_of_entity on audit_log (entity_type, entity_id, id);
create index audit_log_of_actor on audit_log (actor_id, id);

grant select, insert, delete on idempotency_keys to nakhoda_app;
grant select, insert, delete, update (arrival) on rate_limits to nakhoda_app;
grant select, insert on audit_log to nakhoda_app;
