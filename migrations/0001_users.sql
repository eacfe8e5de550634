-- People: who they are, since when, and what they may.
create table users (
    id uuid primary key,
    -- In canonical form (see the API server's Email); what a deleted user leaves is no address.
    email text not null check (length(email) between 3 and 254),
    name text not null check (length(name) between 1 and 100),
    language text not null check (language in ('id', 'en')),
    role text not null default 'USER' check (role in ('USER', 'ADMINISTRATOR')),
    -- A PHC string. None: the user has yet to set one.
    password_hash text,
    email_verified_at timestamptz,
    deactivated_at timestamptz,
    deleted_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    last_login_at timestamptz,
    -- Counts changes that two people could make at once; the ETag.
    version bigint not null default 1,
    check (deleted_at is null or (password_hash is null and deactivated_at is not null))
);

create unique index users_email on users (email) where deleted_at is null;
create index users_created on users (created_at, id);
create index users_administrators on users (id) where role = 'ADMINISTRATOR' and deactivated_at is null;

grant select, insert on users to nakhoda_app;
grant update (
    email, name, language, role, password_hash, email_verified_at, deactivated_at, deleted_at, updated_at, last_login_at, version
) on users to nakhoda_app;

-- The application asks how far the database was migrated.
grant select on _sqlx_migrations to nakhoda_app;
