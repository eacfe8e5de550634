-- When something was decided last that the cluster is to be told. For a moment it is on its way; after that it should have come.
alter table subscriptions add column decided_at timestamptz not null default now();

-- What an end has decided stays; a period is never taken back.
create or replace function subscriptions_move_on() returns trigger language plpgsql as $$
begin
    if old.ended_at is not null and new.ended_at is null and old.fenced_at is null then
        raise exception 'subscription % has ended and may still run', old.id using errcode = 'restrict_violation';
    end if;
    if old.ended_at is not null and new.ended_at is not null and (
        (new.ended_at, new.status, new.price, new.tax, new.plan) is distinct from (old.ended_at, old.status, old.price, old.tax, old.plan)
        or (new.ended_by, new.refund_id) is distinct from (old.ended_by, old.refund_id)
        or (new.period_start, new.paid_until) is distinct from (old.period_start, old.paid_until)
        or (old.fenced_at is not null and new.fenced_at is distinct from old.fenced_at)
    ) then
        raise exception 'subscription % has ended: what that has decided stays', old.id using errcode = 'restrict_violation';
    end if;
    if new.desired_version < old.desired_version or new.applied_version < old.applied_version or new.periods < old.periods then
        raise exception 'subscription % does not go back', old.id using errcode = 'restrict_violation';
    end if;
    if new.status = 'PENDING_DEPLOYMENT' and old.status <> 'PENDING_DEPLOYMENT' then
        raise exception 'subscription % is not new any more', old.id using errcode = 'restrict_violation';
    end if;
    if new.desired_version > old.desired_version then
        new.decided_at = now();
    end if;
    return new;
end $$;
