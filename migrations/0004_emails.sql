-- Each mail that is to go out, written in the transaction of its cause; the sender takes it from here.
create table emails (
    id uuid primary key,
    -- The same at every try, so that a repeat can be told from a second mail.
    message_id text not null unique,
    user_id uuid references users,
    recipient text not null,
    kind text not null,
    language text not null check (language in ('id', 'en')),
    -- What the text needs. A token that it carries is computed when it is sent, and stands nowhere.
    data jsonb not null,
    status text not null default 'PENDING' check (status in ('PENDING', 'SENT', 'DEAD', 'DISCARDED')),
    attempts integer not null default 0,
    created_at timestamptz not null,
    -- When it is tried next; ahead of the time for as long as somebody is trying.
    next_attempt_at timestamptz not null,
    sent_at timestamptz,
    last_error text check (length(last_error) <= 1000),
    check ((status = 'SENT') = (sent_at is not null))
);

create index emails_due on emails (next_attempt_at) where status = 'PENDING';
create index emails_by_age on emails (created_at, id);
create index emails_of_user on emails (user_id, created_at);

grant select, insert on emails to nakhoda_app;
grant update (status, attempts, next_attempt_at, sent_at, last_error, recipient, data) on emails to nakhoda_app;
