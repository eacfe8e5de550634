-- Who takes a plan away, each by itself: while any of them may have come to the cluster the plan is not sold, whatever became of another.
create table plan_closings (
    id uuid primary key,
    plan text not null check (length(plan) between 1 and 63),
    -- The uid of the resource.
    uid text not null check (length(uid) between 1 and 63),
    at timestamptz not null default now()
);

create index plan_closings_of_plan on plan_closings (plan, uid);
insert into plan_closings (id, plan, uid) select gen_random_uuid(), plan, closed_uid from plan_sales where closed_uid is not null;
grant select, insert, delete on plan_closings to nakhoda_app;
