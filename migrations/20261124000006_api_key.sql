-- Keys to the API. Only a hash is kept: a key is shown once, when it is made.

create table api_key (
    key_id     bigint generated always as identity primary key,
    name       text not null,
    lookup     text not null constraint api_key_lookup unique,
    hash       bytea not null,
    scopes     text[] not null constraint api_key_scopes_known check (scopes <@ array['read', 'write', 'admin'] and cardinality(scopes) > 0),
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz
);
comment on table api_key is 'Keys to the API, by hash.';
comment on column api_key.key_id is 'Number of the key, for list and revoke.';
comment on column api_key.name is 'Who it is for.';
comment on column api_key.lookup is 'The eight characters of the key by which it is found; no secret.';
comment on column api_key.hash is 'BLAKE3 hash of the whole key.';
comment on column api_key.scopes is 'read, write, admin.';
comment on column api_key.created_at is 'When it was made.';
comment on column api_key.expires_at is 'From when it is no longer taken; null for never.';
comment on column api_key.revoked_at is 'When it was revoked; null while it is good.';
