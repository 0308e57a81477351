-- Our own clock: one row that every appending transaction takes and holds, so that batches are
-- commit-ordered and gapless and two writers can never store the same thing twice.

create table database_mode (
    only_row    boolean primary key default true constraint database_mode_one_row check (only_row),
    mode        text not null constraint database_mode_known check (mode in ('live', 'simulated')),
    seed        bigint,
    anchor_date date,
    created_at  timestamptz not null default clock_timestamp(),
    constraint database_mode_world check ((mode = 'simulated') = (seed is not null and anchor_date is not null))
);
comment on table database_mode is 'Whether this database holds the real world or a simulated one; decided at the first migration and never changed.';
comment on column database_mode.only_row is 'Always true: the table has at most one row.';
comment on column database_mode.mode is 'live or simulated.';
comment on column database_mode.seed is 'Seed of the simulated world; null when live.';
comment on column database_mode.anchor_date is 'First day that is not over in the simulated world; fixed at the first start; null when live.';
comment on column database_mode.created_at is 'When this database was first migrated.';

create table head (
    only_row    boolean primary key default true constraint head_one_row check (only_row),
    batch       bigint not null,
    recorded_at timestamptz not null
);
comment on table head is 'The newest committed batch. Every transaction that appends what readers see updates this row first and holds it to its end.';
comment on column head.only_row is 'Always true: the table has exactly one row.';
comment on column head.batch is 'Number of the newest batch; 0 before the first.';
comment on column head.recorded_at is 'When that batch was recorded; strictly later than the batch before it.';
insert into head (batch, recorded_at) values (0, '1970-01-01T00:00:00Z');

create table run (
    run_id           bigint generated always as identity primary key,
    kind             text not null constraint run_kind_known check (kind in ('import', 'backfill', 'poll', 'simulate')),
    source           text not null,
    detail           text,
    started_at       timestamptz not null default clock_timestamp(),
    finished_at      timestamptz,
    rows_read        bigint not null default 0,
    rows_stored      bigint not null default 0,
    rows_unchanged   bigint not null default 0,
    rows_quarantined bigint not null default 0,
    error            text
);
comment on table run is 'One attempt to take data in, with its outcome. A run without finished_at is going on, or its process died.';
comment on column run.run_id is 'Number of the run.';
comment on column run.kind is 'import, backfill, poll or simulate.';
comment on column run.source is 'Source or file format the data came from.';
comment on column run.detail is 'File name or address, without secrets.';
comment on column run.started_at is 'When the run began.';
comment on column run.finished_at is 'When the run ended, well or badly.';
comment on column run.rows_read is 'Values met in the input.';
comment on column run.rows_stored is 'Values that were new and are stored.';
comment on column run.rows_unchanged is 'Values that said nothing new.';
comment on column run.rows_quarantined is 'Values or lines that were set aside with a reason.';
comment on column run.error is 'Why the run failed; null when it did not.';

create table batch (
    batch       bigint primary key,
    recorded_at timestamptz not null,
    run_id      bigint references run,
    row_count   integer not null
);
comment on table batch is 'One committed transaction that appended something, in commit order without gaps.';
comment on column batch.batch is 'Number of the batch, from 1.';
comment on column batch.recorded_at is 'When it was recorded; the clock of basis=recorded.';
comment on column batch.run_id is 'The run that wrote it; null for rules.';
comment on column batch.row_count is 'How many rows it appended.';
create index batch_recorded_at on batch (recorded_at);
