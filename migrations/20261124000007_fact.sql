-- Facts that people compile: dated rows with a source, such as published efficiencies and machines.

create table fact (
    fact_table   text not null,
    fact_key     text not null,
    published_at timestamptz not null,
    known_at     timestamptz not null,
    batch        bigint not null,
    hash         bytea not null,
    body         jsonb not null,
    constraint fact_pkey primary key (fact_table, fact_key, published_at, batch),
    constraint fact_known_after_publication check (known_at >= published_at)
);
comment on table fact is 'Every version of every row of the tables of facts; rows are added and never changed or removed.';
comment on column fact.fact_table is 'The table, such as network_efficiency; the name of its CSV file without the ending.';
comment on column fact.fact_key is 'What the row is about, within its table: a day and a publisher, a model, a day.';
comment on column fact.published_at is 'When the public could know it, as the table of facts says.';
comment on column fact.known_at is 'From when on views use this version: published_at; for a correction of a stored version, the moment of storing it.';
comment on column fact.batch is 'The batch that stored this version.';
comment on column fact.hash is 'BLAKE3 hash of the body as canonical text.';
comment on column fact.body is 'The row, with units in the names; its known_at is in published_at.';
create trigger fact_append_only before update or delete or truncate on fact
    for each statement execute function refuse_change();
