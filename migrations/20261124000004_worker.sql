-- Ingestion that runs by itself: whose turn it is, how each feed fares, and how fast a simulated
-- world's time runs.

alter table database_mode add column speed integer not null default 1
    constraint database_mode_speed check (speed between 1 and 100000 and (speed = 1 or mode = 'simulated'));
comment on column database_mode.speed is 'Seconds of the world for each second of the computer; 1 when live.';

-- The clock of everything that is stored or shown. In a simulated world it starts at the first
-- migration and runs at the world's speed, so that a week can be lived in an hour.
create function service_clock() returns timestamptz language sql volatile as $$
    select coalesce(
        (select created_at + (clock_timestamp() - created_at) * speed from database_mode where speed > 1),
        clock_timestamp())
$$;
comment on function service_clock() is 'The time of day, or of the simulated world.';

alter table run alter column started_at set default service_clock();
alter table run add column feed text;
comment on column run.feed is 'Which of the source''s feeds was read; null for files.';
alter table run add column failure text;
comment on column run.failure is 'Code of the failure; null when the run went well.';
alter table raw_answer alter column received_at set default service_clock();
alter table raw_answer add column expires_at timestamptz;
comment on column raw_answer.expires_at is 'When the bytes may be deleted; null for never. Answers about the chain''s tip are kept 30 days.';
create index raw_answer_expires_at on raw_answer (expires_at) where expires_at is not null;
create index run_raw_answer_raw_id on run_raw_answer (raw_id);
alter table quarantine alter column first_seen_at set default service_clock();
create index run_open on run (source) where finished_at is null;

create table lease (
    name       text primary key,
    holder     text not null,
    token      bigint not null,
    expires_at timestamptz not null
);
comment on table lease is 'Who may work on what. A transaction that records work checks the token here, so that a worker that slept through its lease cannot write.';
comment on column lease.name is 'A source, or publishing.';
comment on column lease.holder is 'The worker, as it calls itself; for people.';
comment on column lease.token is 'Grows with every change of hands.';
comment on column lease.expires_at is 'By the computer''s clock, whatever the speed of a simulated world.';

create table feed_state (
    source            text not null,
    feed              text not null,
    next_due_at       timestamptz not null,
    last_attempt_at   timestamptz,
    last_success_at   timestamptz,
    last_read_from    timestamptz,
    failures          integer not null default 0,
    state             text not null constraint feed_state_known check (state in ('ok', 'failing', 'quarantining', 'gaps')),
    reason            text,
    detail            text,
    since             timestamptz not null,
    constraint feed_state_pkey primary key (source, feed)
);
comment on table feed_state is 'How each feed of each source fares, after its last attempt.';
comment on column feed_state.source is 'The source.';
comment on column feed_state.feed is 'What of the source is read.';
comment on column feed_state.next_due_at is 'When it is asked again.';
comment on column feed_state.last_attempt_at is 'When it was last asked.';
comment on column feed_state.last_success_at is 'When it was last asked and answered well: the request''s begin.';
comment on column feed_state.last_read_from is 'Begin of the window that the last good answer covered.';
comment on column feed_state.failures is 'Attempts that failed since the last that did not.';
comment on column feed_state.state is 'ok, failing (no usable answer), quarantining (some values set aside) or gaps (periods missing inside the answer).';
comment on column feed_state.reason is 'Code of what is wrong; null when ok.';
comment on column feed_state.detail is 'The same for people, without secrets.';
comment on column feed_state.since is 'Since when state and reason are what they are.';

create table backfill (
    source     text not null,
    feed       text not null,
    begin_at   timestamptz not null,
    end_at     timestamptz not null,
    done_until timestamptz not null,
    constraint backfill_pkey primary key (source, feed, begin_at, end_at),
    constraint backfill_order check (begin_at <= done_until and done_until <= end_at)
);
comment on table backfill is 'How far each asked-for stretch of history was read, so that it can be resumed.';
comment on column backfill.source is 'The source.';
comment on column backfill.feed is 'The feed.';
comment on column backfill.begin_at is 'Begin of the stretch.';
comment on column backfill.end_at is 'End of the stretch, exclusive.';
comment on column backfill.done_until is 'Everything before this was read and stored.';

create table validator (
    address       text primary key,
    etag          text,
    last_modified text,
    raw_id        bigint not null references raw_answer on delete cascade,
    seen_at       timestamptz not null
);
comment on table validator is 'What to send with the next request for an address, so that an unchanged answer need not be sent again.';
comment on column validator.address is 'The address, without secrets.';
comment on column validator.etag is 'The answer''s ETag.';
comment on column validator.last_modified is 'The answer''s Last-Modified.';
comment on column validator.raw_id is 'The bytes that they stand for.';
comment on column validator.seen_at is 'When they were last confirmed.';
