-- The append-only, two-clock store of values.

create table metric (
    metric     text primary key,
    unit       text not null,
    kind       text not null,
    method     text,
    definition text not null
);
comment on table metric is 'The catalog of metrics, written from the program at each migration.';
comment on column metric.metric is 'Name of the metric; carries the unit and never changes.';
comment on column metric.unit is 'Unit of every value.';
comment on column metric.kind is 'stock, flow, rate, price or ratio.';
comment on column metric.method is 'Method id where the metric is derived on read; null where it is stored.';
comment on column metric.definition is 'What the number is.';

create table series (
    series_id  integer generated always as identity primary key,
    metric     text not null references metric,
    subject    text not null,
    source     text not null,
    resolution text not null constraint series_resolution_known check (resolution in ('1h', '1d')),
    created_at timestamptz not null default clock_timestamp(),
    constraint series_key unique (metric, subject, source, resolution)
);
comment on table series is 'What an observation belongs to: metric, subject, source and resolution.';
comment on column series.series_id is 'Number of the series in this installation.';
comment on column series.metric is 'The metric.';
comment on column series.subject is 'btc, a pool, a ticker, a power hub, a region or an ASIC model.';
comment on column series.source is 'Who publishes the values.';
comment on column series.resolution is 'Length of a period: 1h or 1d.';
comment on column series.created_at is 'When the series was first met.';

create type known_basis as enum ('published', 'observed', 'assumed');
comment on type known_basis is 'How known_at was found: the publisher said so, we saw it appear, or period end plus usual lag.';

create table observation (
    series_id    integer not null references series,
    period_start timestamptz not null,
    period_end   timestamptz not null,
    known_at     timestamptz not null,
    batch        bigint not null,
    value        double precision,
    reason       text,
    known_basis  known_basis not null,
    constraint observation_pkey primary key (series_id, period_start, known_at, batch),
    constraint observation_value_or_reason check ((value is null) = (reason is not null)),
    constraint observation_finite check (value is null or (value > '-Infinity' and value < 'Infinity')),
    constraint observation_period check (period_end > period_start),
    constraint observation_known_after_period check (known_at >= period_end)
);
comment on table observation is 'Every version of every value; rows are added and never changed or removed.';
comment on column observation.series_id is 'The series.';
comment on column observation.period_start is 'Begin of the period the value is about, inclusive.';
comment on column observation.period_end is 'End of the period, exclusive.';
comment on column observation.known_at is 'When the public could know this version.';
comment on column observation.batch is 'The batch that stored this version.';
comment on column observation.value is 'The value in the unit of the metric; null for a withdrawal.';
comment on column observation.reason is 'Why the value was withdrawn; null where there is a value.';
comment on column observation.known_basis is 'How known_at was found.';
-- Batches grow with the heap, so a block-range index finds the rows of new batches at almost no cost.
create index observation_batch on observation using brin (batch) with (pages_per_range = 16, autosummarize = on);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'rows of % are never changed or removed', tg_table_name using errcode = 'restrict_violation';
end
$$;
comment on function refuse_change() is 'Guards append-only tables.';
create trigger observation_append_only before update or delete or truncate on observation
    for each statement execute function refuse_change();
create trigger batch_append_only before update or delete or truncate on batch
    for each statement execute function refuse_change();
