-- How categories of apps look. Which app is in which its ServiceTemplate says; a category that no row describes is shown by its bare name.
create table categories (
    slug text primary key check (slug ~ '^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$'),
    name_en text not null check (char_length(name_en) between 1 and 80),
    name_id text not null check (char_length(name_id) between 1 and 80),
    description_en text not null default '' check (char_length(description_en) <= 1000),
    description_id text not null default '' check (char_length(description_id) <= 1000),
    -- Its place in lists, smallest first; then by slug.
    position integer not null check (position between 0 and 10000),
    version bigint not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
grant select, insert, delete, update (name_en, name_id, description_en, description_id, position, version, updated_at) on categories to nakhoda_app;
