-- A session is what one sees and ends; its refresh tokens follow each other, each good once.
create table sessions (
    id uuid primary key,
    user_id uuid not null references users,
    created_at timestamptz not null,
    last_used_at timestamptz not null,
    expires_at timestamptz not null,
    ended_at timestamptz,
    end_reason text check (end_reason in ('LOGOUT', 'ENDED_BY_USER', 'REUSED_TOKEN', 'PASSWORD_CHANGED', 'EMAIL_CHANGED', 'DEACTIVATED', 'DELETED')),
    user_agent text check (length(user_agent) <= 300),
    address text check (length(address) <= 45),
    check ((ended_at is null) = (end_reason is null))
);

create index sessions_of_user on sessions (user_id, created_at desc) where ended_at is null;
create index sessions_by_expiry on sessions (expires_at);

create table refresh_tokens (
    -- SHA-256 of the token.
    digest bytea primary key check (length(digest) = 32),
    session_id uuid not null references sessions on delete cascade,
    issued_at timestamptz not null,
    used_at timestamptz
);

create index refresh_tokens_of_session on refresh_tokens (session_id);

-- What a mailed link stands for. The token itself is computed from the id and a key, and stored nowhere.
create table one_time_tokens (
    id uuid primary key,
    user_id uuid not null references users,
    purpose text not null check (purpose in ('VERIFY_EMAIL', 'RESET_PASSWORD', 'CHANGE_EMAIL')),
    -- The address that it proves.
    email text not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    -- Used, or no longer good because of something newer.
    spent_at timestamptz
);

create index one_time_tokens_of_user on one_time_tokens (user_id, purpose) where spent_at is null;
create index one_time_tokens_by_expiry on one_time_tokens (expires_at);

-- The keys of access tokens. The private half is sealed with the installation's secret.
create table signing_keys (
    id text primary key,
    created_at timestamptz not null,
    -- Replicas have all seen it by then.
    signs_from timestamptz not null,
    -- Shown and accepted until then.
    expires_at timestamptz not null,
    public_key bytea not null check (length(public_key) = 32),
    sealed_key bytea not null,
    check (created_at <= signs_from and signs_from < expires_at)
);

-- Where somebody has logged in from before: a flood of wrong passwords from elsewhere does not lock them out there.
create table known_addresses (
    user_id uuid not null references users,
    network text not null,
    last_used_at timestamptz not null,
    primary key (user_id, network)
);

-- Wrong passwords, by account and by where they come from: each makes the next wait longer.
create table login_failures (
    key text primary key,
    failures integer not null,
    last_at timestamptz not null
);

create index login_failures_by_age on login_failures (last_at);

grant select, insert, delete, update (failures, last_at) on login_failures to nakhoda_app;
grant select, insert, delete on sessions, refresh_tokens, one_time_tokens, signing_keys, known_addresses to nakhoda_app;
grant update (last_used_at, ended_at, end_reason, user_agent, address) on sessions to nakhoda_app;
grant update (used_at) on refresh_tokens to nakhoda_app;
grant update (spent_at, expires_at) on one_time_tokens to nakhoda_app;
grant update (last_used_at) on known_addresses to nakhoda_app;
