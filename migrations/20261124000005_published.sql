-- What was served, written down: the audit of every answer without as_of.

create table publication (
    batch   bigint not null,
    k       integer not null,
    instant timestamptz not null,
    constraint publication_pkey primary key (batch, k)
);
comment on table publication is 'Every snapshot, in order: a batch, and each instant after it at which time alone changed the answer.';
comment on column publication.batch is 'The newest batch of the snapshot.';
comment on column publication.k is 'How many such instants had passed.';
comment on column publication.instant is 'The moment of knowledge of the snapshot.';

create table published (
    batch        bigint not null,
    k            integer not null,
    metric       text not null,
    subject      text not null,
    resolution   text not null,
    period_start timestamptz,
    value        double precision,
    reason       text,
    known_at     timestamptz,
    source       text,
    stale        boolean not null,
    constraint published_pkey primary key (batch, k, metric, subject, resolution),
    constraint published_snapshot foreign key (batch, k) references publication
);
comment on table published is 'The newest value of each series as served, one row for each change.';
comment on column published.batch is 'The snapshot''s batch.';
comment on column published.k is 'The snapshot''s k.';
comment on column published.metric is 'The metric.';
comment on column published.subject is 'The subject.';
comment on column published.resolution is 'The resolution.';
comment on column published.period_start is 'The newest period with a value; null when there is none.';
comment on column published.value is 'The value; null when there is none.';
comment on column published.reason is 'Why there is no value.';
comment on column published.known_at is 'When it was known.';
comment on column published.source is 'Where it came from.';
comment on column published.stale is 'Whether it was past its cadence and grace.';
create trigger publication_append_only before update or delete or truncate on publication
    for each statement execute function refuse_change();
create trigger published_append_only before update or delete or truncate on published
    for each statement execute function refuse_change();
