-- Money in: what a customer means to pay, each try to have it paid, what the gateway told of it, and what was made of that.

-- A request whose effect includes a call outside is committed before the call; a repeat goes on with what it made.
alter table idempotency_keys add column resumes uuid;

-- Beside its transaction, which says how it stands.
create table top_ups (
    id uuid primary key,
    transaction_id uuid not null unique references transactions,
    user_id uuid not null references users,
    -- The customer's choice; none: the gateway's page asks.
    method text check (length(method) between 1 and 50),
    expires_at timestamptz not null,
    created_at timestamptz not null
);

create index top_ups_of_user on top_ups (user_id, created_at, id);

-- Each asks the gateway once for a page, by an order id of its own that is stored before the call.
create table payment_attempts (
    id uuid primary key,
    top_up_id uuid not null references top_ups,
    order_id text not null unique check (length(order_id) between 1 and 50),
    amount bigint not null check (amount between 1 and 1000000000000000),
    -- OPEN: it may be paid. CLOSED: nobody is sent there any more; what is paid there all the same counts.
    state text not null default 'OPEN' check (state in ('OPEN', 'CLOSED')),
    -- Of the page, once the gateway has made it.
    token text,
    redirect_url text,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    -- Until when one request is calling the gateway about its page.
    calling_until timestamptz,
    -- The gateway is to be told that nobody pays it any more.
    cancel_wanted boolean not null default false,
    -- When the gateway is asked next, how often it was asked at its times, and since when it can't answer.
    next_check_at timestamptz,
    checks integer not null default 0,
    failing_since timestamptz,
    check ((token is null) = (redirect_url is null))
);

create index payment_attempts_of_top_up on payment_attempts (top_up_id, created_at);
create index payment_attempts_due on payment_attempts (next_check_at) where next_check_at is not null;

-- What the gateway holds for an order id: one row a transaction of the gateway, of which an order may have several.
create table gateway_payments (
    gateway text not null default 'MIDTRANS' check (gateway = 'MIDTRANS'),
    gateway_id text not null check (length(gateway_id) between 1 and 200),
    attempt_id uuid not null references payment_attempts,
    -- As the gateway said it last, in lower case.
    status text not null check (length(status) between 1 and 50),
    payment_type text check (length(payment_type) <= 50),
    -- Only upwards: PENDING, UNPAID, PAID, PARTLY_REVERSED, REVERSED; what is UNPAID may still become PAID.
    standing text not null check (standing in ('PENDING', 'UNPAID', 'PAID', 'PARTLY_REVERSED', 'REVERSED')),
    gross_amount bigint not null check (gross_amount between 0 and 1000000000000000),
    -- The transaction that credited it, and how much.
    credited_by uuid unique references transactions,
    credited bigint not null default 0 check (credited >= 0),
    taken_back bigint not null default 0 check (taken_back >= 0),
    first_seen_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (gateway, gateway_id),
    check (taken_back <= credited),
    check ((credited > 0) = (credited_by is not null))
);

create index gateway_payments_of_attempt on gateway_payments (attempt_id);

-- What was taken back of a payment, each by the gateway's key, once.
create table gateway_refunds (
    gateway text not null,
    gateway_id text not null,
    key text not null check (length(key) between 1 and 200),
    kind text not null check (kind in ('REVERSAL', 'REFUND', 'CHARGEBACK')),
    amount bigint not null check (amount >= 0),
    -- None: nothing was left to take back.
    transaction_id uuid references transactions,
    at timestamptz not null,
    primary key (gateway, gateway_id, key),
    foreign key (gateway, gateway_id) references gateway_payments
);

-- Notifications as they came, kept before anything is made of them.
create table payment_notifications (
    id uuid primary key,
    received_at timestamptz not null,
    address text,
    body bytea not null check (length(body) <= 16384),
    -- RECEIVED: to be looked at. DONE: it was. UNKNOWN_ORDER, FORGED: nothing came of it.
    state text not null check (state in ('RECEIVED', 'DONE', 'UNKNOWN_ORDER', 'FORGED')),
    order_id text,
    gateway_id text,
    status text,
    attempts integer not null default 0,
    next_attempt_at timestamptz not null,
    decided_at timestamptz,
    last_error text check (length(last_error) <= 500)
);

create index payment_notifications_due on payment_notifications (next_attempt_at) where state = 'RECEIVED';
create index payment_notifications_by_age on payment_notifications (received_at, id);
create index payment_notifications_of_order on payment_notifications (order_id, received_at) where order_id is not null;

-- What an administrator must know of: each is there until somebody has settled it.
create table payment_findings (
    id uuid primary key,
    -- Of the same kind about the same thing there is one.
    kind text not null check (length(kind) between 1 and 50),
    subject text not null check (length(subject) between 1 and 200),
    top_up_id uuid references top_ups,
    detail jsonb not null,
    found_at timestamptz not null,
    settled_at timestamptz,
    settled_by uuid references users,
    note text check (length(note) <= 500),
    unique (kind, subject)
);

create index payment_findings_by_age on payment_findings (found_at, id);
create index payment_findings_open on payment_findings (found_at, id) where settled_at is null;

-- Each day what was kept here is compared with what the gateway says.
create table payment_comparisons (
    id uuid primary key,
    at timestamptz not null,
    since timestamptz not null,
    asked bigint not null,
    -- What differed, and was set right or found.
    differing bigint not null,
    -- Of what the gateway gave no answer.
    unanswered bigint not null
);

create index payment_comparisons_by_age on payment_comparisons (at);

grant select, insert on payment_comparisons to nakhoda_app;
grant select, insert on top_ups, payment_attempts, gateway_payments, gateway_refunds, payment_notifications, payment_findings to nakhoda_app;
grant update (state, token, redirect_url, calling_until, cancel_wanted, next_check_at, checks, failing_since) on payment_attempts to nakhoda_app;
grant update (status, payment_type, standing, gross_amount, credited_by, credited, taken_back, updated_at) on gateway_payments to nakhoda_app;
grant update (state, attempts, next_attempt_at, decided_at, last_error) on payment_notifications to nakhoda_app;
grant update (settled_at, settled_by, note) on payment_findings to nakhoda_app;
grant delete on payment_notifications to nakhoda_app;
