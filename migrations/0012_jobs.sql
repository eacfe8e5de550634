-- Background work. Whoever causes some writes a row here in the transaction of the cause, and waits for nobody.
create table job_outbox (
    position bigint generated always as identity primary key,
    -- The job's id once it is one.
    id uuid not null,
    kind text not null,
    queue text not null,
    key text check (length(key) between 1 and 200),
    payload jsonb not null check (octet_length(payload::text) <= 4096),
    allowed integer not null check (allowed > 0),
    run_at timestamptz not null,
    created_at timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

-- A relay takes them from there, in a transaction of its own.
create table jobs (
    id uuid primary key,
    -- The order in which they were written.
    position bigint not null,
    kind text not null,
    queue text not null,
    key text,
    payload jsonb not null,
    state text not null default 'PENDING' check (state in ('PENDING', 'RUNNING', 'DONE', 'DEAD', 'DISCARDED')),
    -- How often it was taken. It only grows: whoever holds it is known by it.
    attempts integer not null default 0,
    -- Up to which attempt it is tried; another try by hand raises it.
    allowed integer not null,
    created_at timestamptz not null,
    run_at timestamptz not null,
    -- Of the last attempt.
    started_at timestamptz,
    -- Until when whoever took it last has it alone.
    lease_until timestamptz,
    ended_at timestamptz,
    last_error text check (length(last_error) <= 1000),
    check ((state = 'RUNNING') = (lease_until is not null)),
    check ((state in ('DONE', 'DEAD', 'DISCARDED')) = (ended_at is not null))
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

create index jobs_due on jobs (queue, run_at, position) where state = 'PENDING';
create index jobs_taken on jobs (lease_until) where state = 'RUNNING';
create index jobs_ended on jobs (state, ended_at) where ended_at is not null;
create index jobs_dead on jobs (id) where state = 'DEAD';
-- Of one kind and key one waits at most, and one is run at most.
create unique index jobs_pending_key on jobs (kind, key) where state = 'PENDING' and key is not null;
create unique index jobs_running_key on jobs (kind, key) where state = 'RUNNING' and key is not null;

-- What is done every so often: when next. Whoever moves that on writes the job.
create table job_schedules (
    name text primary key,
    next_at timestamptz not null
);

-- A row can only be locked by whoever could change something in it.
grant select, insert, delete, update (run_at) on job_outbox to nakhoda_app;
grant select, insert on jobs to nakhoda_app;
grant update (payload, state, attempts, allowed, run_at, started_at, lease_until, ended_at, last_error) on jobs to nakhoda_app;
-- Jobs are nobody's history: those that have ended are taken away after a while.
grant delete on jobs to nakhoda_app;
grant select, insert, update (next_at) on job_schedules to nakhoda_app;
