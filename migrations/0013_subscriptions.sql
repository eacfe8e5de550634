-- What is sold: who owes what for which app, and what the cluster is to be told of it. What runs stands in the cluster alone.

create table subscriptions (
    id uuid primary key,
    user_id uuid not null references users,
    -- What its owner calls it.
    name text not null check (length(name) between 1 and 80),
    -- App and plan, by the names of their resources.
    service text not null check (length(service) between 1 and 63),
    plan text not null check (length(plan) between 1 and 63),
    parameters jsonb not null default '{}' check (jsonb_typeof(parameters) = 'object'),
    -- As it was sold: a later price counts from the next renewal on.
    period text not null check (period in ('MONTHLY', 'YEARLY')),
    price bigint not null check (price between 0 and 1000000000000000),
    tax bigint not null check (tax between 0 and price),
    cpu_millicores bigint not null check (cpu_millicores >= 0),
    memory_bytes bigint not null check (memory_bytes >= 0),
    storage_bytes bigint not null check (storage_bytes >= 0),
    auto_renew boolean not null default true,
    status text not null default 'PENDING_DEPLOYMENT' check (status in (
        'PENDING_DEPLOYMENT', 'ACTIVE', 'SUSPENDED', 'EXPIRED', 'CANCELLED'
    )),
    created_at timestamptz not null,
    -- The period that is paid for: how many there were, since when, until when; none before the app was there for the first time. The
    -- day of the month that periods begin at, which a short month does not change.
    periods integer not null default 0 check (periods >= 0),
    anchor_day smallint check (anchor_day between 1 and 31),
    period_start timestamptz,
    paid_until timestamptz,
    -- How it ended: when, by whom, and the transaction that brings money back, if any.
    ended_at timestamptz,
    ended_by text check (ended_by in ('CUSTOMER', 'ADMINISTRATOR', 'SYSTEM')),
    refund_id uuid references transactions,
    -- Since when nothing of it can run any more: only then money goes back and the resource goes.
    fenced_at timestamptz,
    -- What its owner and the administrators were told while it was not there.
    told_slow_at timestamptz,
    alerted_at timestamptz,
    -- The resource: of which uid, and how far it follows these rows.
    uid uuid,
    desired_version bigint not null default 1,
    applied_version bigint not null default 0 check (applied_version <= desired_version),
    applied_generation bigint,
    -- When somebody looks after it next (none: when something happens), who does so now and until when, how often it failed, and why.
    look_at timestamptz,
    held_by uuid,
    held_until timestamptz,
    failures integer not null default 0,
    last_error text check (length(last_error) <= 1000),
    check ((status in ('CANCELLED', 'EXPIRED')) = (ended_at is not null)),
    check ((ended_at is null) = (ended_by is null)),
    check ((period_start is null) = (paid_until is null)),
    check (paid_until > period_start),
    check (status not in ('ACTIVE', 'SUSPENDED') or paid_until is not null),
    check (fenced_at is null or ended_at is not null),
    check (refund_id is null or ended_at is not null)
);

create index subscriptions_of_user on subscriptions (user_id, created_at, id);
-- What takes a place of a plan or of a customer's quota: what has not ended, and what has and may still run.
create index subscriptions_in_place on subscriptions (plan) where fenced_at is null;
create index subscriptions_to_look_at on subscriptions (look_at) where look_at is not null;
create unique index subscriptions_by_uid on subscriptions (uid) where uid is not null;

-- Buyers of a plan of which only so many are sold come one after the other.
create table plan_sales (
    plan text primary key check (length(plan) between 1 and 63)
);

-- What an end has decided stays; a period is never taken back.
create function subscriptions_move_on() returns trigger language plpgsql as $$
begin
    if old.ended_at is not null and new.ended_at is null and old.fenced_at is null then
        raise exception 'subscription % has ended and may still run', old.id using errcode = 'restrict_violation';
    end if;
    if new.desired_version < old.desired_version or new.applied_version < old.applied_version or new.periods < old.periods then
        raise exception 'subscription % does not go back', old.id using errcode = 'restrict_violation';
    end if;
    if new.status = 'PENDING_DEPLOYMENT' and old.status <> 'PENDING_DEPLOYMENT' then
        raise exception 'subscription % is not new any more', old.id using errcode = 'restrict_violation';
    end if;
    return new;
end $$;

create trigger subscriptions_move_on before update on subscriptions for each row execute function subscriptions_move_on();

grant select, insert on subscriptions, plan_sales to nakhoda_app;
grant update (name, status, auto_renew, plan, price, tax, cpu_millicores, memory_bytes, storage_bytes, periods, anchor_day, period_start,
    paid_until, ended_at, ended_by, refund_id, fenced_at, told_slow_at, alerted_at, uid, desired_version, applied_version,
    applied_generation, look_at, held_by, held_until, failures, last_error) on subscriptions to nakhoda_app;
-- To lock a row one must be able to change it.
grant update on plan_sales to nakhoda_app;
