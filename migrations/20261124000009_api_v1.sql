-- For people and tools that speak SQL: read-only views in a schema of their own, and the cache that
-- holds what is otherwise computed on read. Rights on the views are given by a command
-- (`keys reader`), not here: roles belong to the whole server.

create table indicator_current (
    metric       text not null,
    subject      text not null,
    resolution   text not null,
    period_start timestamptz not null,
    period_end   timestamptz not null,
    value        double precision,
    reason       text,
    known_at     timestamptz,
    revision     integer not null,
    source       text not null,
    batch        bigint not null,
    recorded_at  timestamptz not null,
    constraint indicator_current_pkey primary key (metric, subject, resolution, period_start),
    constraint indicator_current_value_or_reason check ((value is null) = (reason is not null)),
    constraint indicator_current_finite check (value is null or (value > '-Infinity' and value < 'Infinity'))
);
comment on table indicator_current is 'A cache for SQL users: every daily series as the newest snapshot serves it without a named source, derived ones and chosen stored ones. Whoever publishes keeps it up to date; it may be truncated at any time and is then filled anew. Nothing is computed from it.';
comment on column indicator_current.metric is 'The metric.';
comment on column indicator_current.subject is 'The subject.';
comment on column indicator_current.resolution is 'The resolution: 1d.';
comment on column indicator_current.period_start is 'Begin of the period, inclusive.';
comment on column indicator_current.period_end is 'End of the period, exclusive.';
comment on column indicator_current.value is 'The value in the unit of the metric; null where there is none.';
comment on column indicator_current.reason is 'Why there is no value; null where there is one.';
comment on column indicator_current.known_at is 'When this version was known: of a derived value, the newest among all that its inputs hold; null where nothing is known of them.';
comment on column indicator_current.revision is 'How many earlier versions there were.';
comment on column indicator_current.source is 'The source that serves the period; several joined by +; empty where there is none.';
comment on column indicator_current.batch is 'The newest batch of the snapshot with which this row was last written here.';
comment on column indicator_current.recorded_at is 'The moment of knowledge of that snapshot.';
-- A new version of a row fits on the page of the old one.
alter table indicator_current set (fillfactor = 90);

create table indicator_current_state (
    only_row  boolean primary key default true constraint indicator_current_state_one_row check (only_row),
    batch     bigint not null,
    k         integer not null,
    instant   timestamptz not null,
    row_count bigint not null
);
comment on table indicator_current_state is 'For which snapshot indicator_current stands; no row before it was first filled. Written in the same transaction as the rows.';
comment on column indicator_current_state.only_row is 'Always true: the table has at most one row.';
comment on column indicator_current_state.batch is 'The newest batch of the snapshot.';
comment on column indicator_current_state.k is 'How many instants after it had passed at which time alone changed the answer.';
comment on column indicator_current_state.instant is 'The moment of knowledge of the snapshot.';
comment on column indicator_current_state.row_count is 'How many rows indicator_current has.';

-- The log by series, oldest first: for its newest rows and for one metric's history.
create index published_series on published (metric, subject, resolution, batch, k);
create index publication_instant on publication (instant);

create schema api_v1;
comment on schema api_v1 is 'Read-only views for Grafana, Metabase and people. Within v1 columns are added at the end and never renamed or removed.';

create view api_v1.metric as
select metric, unit, kind, method is not null as derived, method, definition
from public.metric;
comment on view api_v1.metric is 'The catalog: every metric with its unit and definition.';
comment on column api_v1.metric.metric is 'Name of the metric; carries the unit and never changes.';
comment on column api_v1.metric.unit is 'Unit of every value.';
comment on column api_v1.metric.kind is 'stock, flow, rate, price or ratio.';
comment on column api_v1.metric.derived is 'Whether it is computed from other metrics, or else stored as a publisher stated it.';
comment on column api_v1.metric.method is 'Method id where it is derived; null where it is stored.';
comment on column api_v1.metric.definition is 'What the number is.';

-- The time of the service is written out: a function would run with the reader's rights.
create view api_v1.status as
select coalesce(
        mode.created_at + (clock_timestamp() - mode.created_at) * nullif(mode.speed, 1),
        clock_timestamp()) as "time",
    mode.mode,
    mode.mode = 'simulated' as simulated,
    head.batch as head_batch,
    head.recorded_at as head_recorded_at,
    cached.batch as series_batch,
    cached.k as series_k,
    cached.instant as series_instant,
    cached.row_count as series_rows
from public.database_mode mode
cross join public.head
left join public.indicator_current_state cached on true;
comment on view api_v1.status is 'One row: which data this is, how far it goes, and for which snapshot series, indicator and latest stand.';
comment on column api_v1.status."time" is 'Now, by the clock of the service: that of the simulated world if there is one.';
comment on column api_v1.status.mode is 'live or simulated.';
comment on column api_v1.status.simulated is 'Whether all data is made up.';
comment on column api_v1.status.head_batch is 'Number of the newest batch stored.';
comment on column api_v1.status.head_recorded_at is 'When it was recorded.';
comment on column api_v1.status.series_batch is 'The newest batch in series and indicator; null before they were first filled. Less than head_batch for a moment, or for as long as no worker runs.';
comment on column api_v1.status.series_k is 'How many instants after it had passed at which time alone changed the answer.';
comment on column api_v1.status.series_instant is 'The moment of knowledge of series and indicator.';
comment on column api_v1.status.series_rows is 'How many rows series has.';

create view api_v1.source_state as
select source, feed, state, reason, detail, since, last_attempt_at, last_success_at,
    next_due_at as next_attempt_at, failures,
    extract(epoch from status."time" - last_success_at)::double precision as seconds_since_success
from public.feed_state
cross join api_v1.status;
comment on view api_v1.source_state is 'How each feed of each source fares, after its last attempt. Sources that were only imported have no feed.';
comment on column api_v1.source_state.source is 'The source.';
comment on column api_v1.source_state.feed is 'What of the source is read.';
comment on column api_v1.source_state.state is 'ok, failing (no usable answer), quarantining (some values set aside) or gaps (periods missing inside the answer).';
comment on column api_v1.source_state.reason is 'Code of what is wrong; null when ok.';
comment on column api_v1.source_state.detail is 'The same for people.';
comment on column api_v1.source_state.since is 'Since when state and reason are what they are.';
comment on column api_v1.source_state.last_attempt_at is 'When it was last asked; null if never.';
comment on column api_v1.source_state.last_success_at is 'When it was last asked and answered well; null if never.';
comment on column api_v1.source_state.next_attempt_at is 'When it is asked again.';
comment on column api_v1.source_state.failures is 'Attempts that failed since the last that did not.';
comment on column api_v1.source_state.seconds_since_success is 'Seconds from last_success_at to now, by the clock of the service; null if it never answered well.';

create view api_v1.batch as
select batch.recorded_at as "time", batch.batch, batch.recorded_at, batch.row_count,
    run.kind as run_kind, run.source, run.feed
from public.batch
left join public.run using (run_id);
comment on view api_v1.batch is 'Every batch stored, in the order of commit and without gaps.';
comment on column api_v1.batch."time" is 'recorded_at, under the name that dashboards look for.';
comment on column api_v1.batch.batch is 'Number of the batch, from 1.';
comment on column api_v1.batch.recorded_at is 'When it was recorded.';
comment on column api_v1.batch.row_count is 'How many rows it appended.';
comment on column api_v1.batch.run_kind is 'What wrote it: import, backfill, poll or simulate; null for rules.';
comment on column api_v1.batch.source is 'Source or file format; null for rules.';
comment on column api_v1.batch.feed is 'Which of the source''s feeds; null for files and rules.';

-- One series at a time: so a condition on metric or source picks series, and one on time narrows the
-- walk along the key, which gives the rows in this order without a sort.
create view api_v1.observation_version as
select series.metric, series.subject, series.source, series.resolution,
    version.period_start as "time", version.period_end, version.value, version.reason,
    version.known_at, version.known_basis, version.revision, version.superseded_at, version.batch,
    (select mode = 'simulated' from public.database_mode) as simulated
from public.series
cross join lateral (
    select period_start, period_end, value, reason, known_at, known_basis::text as known_basis, batch,
        row_number() over versions - 1 as revision,
        lead(known_at) over versions as superseded_at
    from public.observation
    where observation.series_id = series.series_id
    window versions as (partition by period_start order by known_at, batch)
) version;
comment on view api_v1.observation_version is 'Every version of every stored value, by source. What was known at T: of the rows with known_at <= T, the one with the greatest (known_at, batch) of each series and time.';
comment on column api_v1.observation_version.metric is 'The metric.';
comment on column api_v1.observation_version.subject is 'btc, a pool, a ticker, a power hub, a region or an ASIC model.';
comment on column api_v1.observation_version.source is 'Who publishes the value.';
comment on column api_v1.observation_version.resolution is 'Length of the period: 1h or 1d.';
comment on column api_v1.observation_version."time" is 'Begin of the period, inclusive.';
comment on column api_v1.observation_version.period_end is 'End of the period, exclusive.';
comment on column api_v1.observation_version.value is 'The value in the unit of the metric; null for a withdrawal.';
comment on column api_v1.observation_version.reason is 'Why the value was withdrawn; null where there is a value.';
comment on column api_v1.observation_version.known_at is 'When the public could know this version.';
comment on column api_v1.observation_version.known_basis is 'How known_at was found: published (the publisher said so), observed (seen to appear) or assumed (period end plus usual lag).';
comment on column api_v1.observation_version.revision is 'Rank of the version, from 0.';
comment on column api_v1.observation_version.superseded_at is 'known_at of the next version; null for the newest.';
comment on column api_v1.observation_version.batch is 'The batch that stored this version.';
comment on column api_v1.observation_version.simulated is 'Whether the value is made up.';

create view api_v1.observation as
select series.metric, series.subject, series.source, series.resolution,
    newest.period_start as "time", newest.period_end, newest.value, newest.reason,
    newest.known_at, newest.known_basis,
    (select count(*) - 1 from public.observation version
     where version.series_id = series.series_id and version.period_start = newest.period_start) as revision,
    newest.batch,
    (select mode = 'simulated' from public.database_mode) as simulated
from public.series
cross join lateral (
    select distinct on (period_start)
        period_start, period_end, value, reason, known_at, known_basis::text as known_basis, batch
    from public.observation
    where observation.series_id = series.series_id
    order by period_start desc, known_at desc, batch desc
) newest;
comment on view api_v1.observation is 'The newest version of every stored value, by source.';
comment on column api_v1.observation.metric is 'The metric.';
comment on column api_v1.observation.subject is 'btc, a pool, a ticker, a power hub, a region or an ASIC model.';
comment on column api_v1.observation.source is 'Who publishes the value.';
comment on column api_v1.observation.resolution is 'Length of the period: 1h or 1d.';
comment on column api_v1.observation."time" is 'Begin of the period, inclusive.';
comment on column api_v1.observation.period_end is 'End of the period, exclusive.';
comment on column api_v1.observation.value is 'The value in the unit of the metric; null for a withdrawal.';
comment on column api_v1.observation.reason is 'Why the value was withdrawn; null where there is a value.';
comment on column api_v1.observation.known_at is 'When the public could know this version.';
comment on column api_v1.observation.known_basis is 'How known_at was found: published (the publisher said so), observed (seen to appear) or assumed (period end plus usual lag).';
comment on column api_v1.observation.revision is 'How many earlier versions there were.';
comment on column api_v1.observation.batch is 'The batch that stored this version.';
comment on column api_v1.observation.simulated is 'Whether the value is made up.';

create view api_v1.series as
select cached.metric, cached.subject, cached.resolution,
    cached.period_start as "time", cached.period_end, cached.value, metric.unit, cached.reason,
    cached.known_at, cached.revision, cached.source, metric.method is not null as derived,
    cached.batch, cached.recorded_at,
    (select mode = 'simulated' from public.database_mode) as simulated
from public.indicator_current cached
join public.metric using (metric);
comment on view api_v1.series is 'Every daily series as it is served without a named source: stored metrics from the source that is chosen for the day, derived ones computed. The newest view only, for the snapshot that status names.';
comment on column api_v1.series.metric is 'The metric.';
comment on column api_v1.series.subject is 'btc, a pool, a ticker, a power hub, a region or an ASIC model.';
comment on column api_v1.series.resolution is 'Length of the period: 1d.';
comment on column api_v1.series."time" is 'Begin of the period, inclusive.';
comment on column api_v1.series.period_end is 'End of the period, exclusive.';
comment on column api_v1.series.value is 'The value; null where there is none.';
comment on column api_v1.series.unit is 'Unit of the value.';
comment on column api_v1.series.reason is 'Why there is no value; null where there is one.';
comment on column api_v1.series.known_at is 'When this version was known: of a derived value, the newest among all that its inputs hold; null where nothing is known of them.';
comment on column api_v1.series.revision is 'How many earlier versions there were.';
comment on column api_v1.series.source is 'The source that serves the period; several joined by +; empty where there is none.';
comment on column api_v1.series.derived is 'Whether the value is computed from other metrics.';
comment on column api_v1.series.batch is 'The newest batch of the snapshot with which this row came to be what it is, or was filled in anew.';
comment on column api_v1.series.recorded_at is 'The moment of knowledge of that snapshot.';
comment on column api_v1.series.simulated is 'Whether the value is made up.';

create view api_v1.indicator as
select metric, subject, resolution, "time", period_end, value, unit, reason, known_at, revision, source, batch,
    recorded_at, simulated
from api_v1.series
where derived;
comment on view api_v1.indicator is 'The derived series alone: those of api_v1.series that are computed from other metrics.';
comment on column api_v1.indicator.metric is 'The metric.';
comment on column api_v1.indicator.subject is 'btc, a pool, a ticker, a power hub, a region or an ASIC model.';
comment on column api_v1.indicator.resolution is 'Length of the period: 1d.';
comment on column api_v1.indicator."time" is 'Begin of the period, inclusive.';
comment on column api_v1.indicator.period_end is 'End of the period, exclusive.';
comment on column api_v1.indicator.value is 'The value; null where there is none.';
comment on column api_v1.indicator.unit is 'Unit of the value.';
comment on column api_v1.indicator.reason is 'Why there is no value; null where there is one.';
comment on column api_v1.indicator.known_at is 'The newest known_at among all that the inputs hold; null where nothing is known of them.';
comment on column api_v1.indicator.revision is 'How often the inputs changed since the value was first computable.';
comment on column api_v1.indicator.source is 'The sources of the period''s own inputs, joined by +; empty where there are none.';
comment on column api_v1.indicator.batch is 'The newest batch of the snapshot with which this row came to be what it is, or was filled in anew.';
comment on column api_v1.indicator.recorded_at is 'The moment of knowledge of that snapshot.';
comment on column api_v1.indicator.simulated is 'Whether the value is made up.';

create view api_v1.published as
select publication.instant as "time", log.metric, log.subject, log.resolution, log.period_start, log.value,
    log.reason, log.known_at, log.source, log.stale, log.batch, log.k,
    (select mode = 'simulated' from public.database_mode) as simulated
from public.published log
join public.publication using (batch, k);
comment on view api_v1.published is 'What was served when: the newest value of each series without a named source, one row for each change.';
comment on column api_v1.published."time" is 'From when on it was served: the moment of knowledge of the snapshot.';
comment on column api_v1.published.metric is 'The metric.';
comment on column api_v1.published.subject is 'The subject.';
comment on column api_v1.published.resolution is 'The resolution: 1h or 1d.';
comment on column api_v1.published.period_start is 'Begin of the newest period with a value; null when there was none.';
comment on column api_v1.published.value is 'The value; null when there was none.';
comment on column api_v1.published.reason is 'Why there was no value; null where there was one.';
comment on column api_v1.published.known_at is 'When the value was known.';
comment on column api_v1.published.source is 'Where it came from; several joined by +.';
comment on column api_v1.published.stale is 'Whether it was past its cadence and grace.';
comment on column api_v1.published.batch is 'The newest batch of the snapshot.';
comment on column api_v1.published.k is 'How many instants after it had passed at which time alone changed the answer.';
comment on column api_v1.published.simulated is 'Whether the value is made up.';

-- Steps from name to name along the index, so that the cost is that of the series and not of the log.
create view api_v1.latest as
with recursive name as (
    (select metric, subject, resolution from public.published order by metric, subject, resolution limit 1)
    union all
    select after.metric, after.subject, after.resolution
    from name
    cross join lateral (
        select metric, subject, resolution from public.published later
        where (later.metric, later.subject, later.resolution) > (name.metric, name.subject, name.resolution)
        order by metric, subject, resolution limit 1
    ) after
)
select log.metric, log.subject, log.resolution, log.period_start as "time",
    case log.resolution when '1h' then log.period_start + interval '1 hour' else log.period_start + interval '24 hours' end as period_end,
    log.value, metric.unit, log.reason, log.known_at, log.source, log.stale,
    publication.instant as served_since, log.batch, log.k,
    (select mode = 'simulated' from public.database_mode) as simulated
from name
cross join lateral (
    select metric, subject, resolution, period_start, value, reason, known_at, source, stale, batch, k
    from public.published newest
    where (newest.metric, newest.subject, newest.resolution) = (name.metric, name.subject, name.resolution)
    order by batch desc, k desc limit 1
) log
join public.publication on (publication.batch, publication.k) = (log.batch, log.k)
join public.metric on metric.metric = log.metric;
comment on view api_v1.latest is 'The newest value of each series without a named source, hourly ones included, as it is served now.';
comment on column api_v1.latest.metric is 'The metric.';
comment on column api_v1.latest.subject is 'The subject.';
comment on column api_v1.latest.resolution is 'The resolution: 1h or 1d.';
comment on column api_v1.latest."time" is 'Begin of the newest period with a value; null when there is none.';
comment on column api_v1.latest.period_end is 'End of that period.';
comment on column api_v1.latest.value is 'The value; null when there is none.';
comment on column api_v1.latest.unit is 'Unit of the value.';
comment on column api_v1.latest.reason is 'Why there is no value; null where there is one.';
comment on column api_v1.latest.known_at is 'When the value was known.';
comment on column api_v1.latest.source is 'Where it comes from; several joined by +.';
comment on column api_v1.latest.stale is 'Whether it is past its cadence and grace. Flips by itself as long as a worker runs.';
comment on column api_v1.latest.served_since is 'From when on it has been served as it is.';
comment on column api_v1.latest.batch is 'The newest batch of the snapshot with which it came.';
comment on column api_v1.latest.k is 'How many instants after it had passed at which time alone changed the answer.';
comment on column api_v1.latest.simulated is 'Whether the value is made up.';
