-- What came in, kept as it came; what could not be used, with the reason; and the rules in force.

create table raw_answer (
    raw_id      bigint generated always as identity primary key,
    hash        bytea not null constraint raw_answer_hash unique,
    source      text not null,
    received_at timestamptz not null default clock_timestamp(),
    byte_count  integer not null,
    body_zstd   bytea not null
);
comment on table raw_answer is 'Bytes as an upstream or a file gave them, secrets stripped, stored once whatever is repeated.';
comment on column raw_answer.raw_id is 'Number of the answer.';
comment on column raw_answer.hash is 'BLAKE3 hash of the uncompressed bytes.';
comment on column raw_answer.source is 'Source or file format that first gave them.';
comment on column raw_answer.received_at is 'When they were first received.';
comment on column raw_answer.byte_count is 'Length before compression.';
comment on column raw_answer.body_zstd is 'The bytes, compressed with Zstandard.';

create table run_raw_answer (
    run_id   bigint not null references run,
    sequence integer not null,
    raw_id   bigint not null references raw_answer,
    constraint run_raw_answer_pkey primary key (run_id, sequence)
);
comment on table run_raw_answer is 'Which raw bytes a run read, in order: a large file is kept in pieces.';
comment on column run_raw_answer.run_id is 'The run.';
comment on column run_raw_answer.sequence is 'Place of the piece in the run, from 0.';
comment on column run_raw_answer.raw_id is 'The bytes.';

create table quarantine (
    quarantine_id bigint generated always as identity primary key,
    fingerprint   bytea not null constraint quarantine_fingerprint unique,
    source        text not null,
    file          text,
    line          bigint,
    metric        text,
    reason        text not null,
    detail        text not null,
    record        text not null,
    first_seen_at timestamptz not null default clock_timestamp(),
    last_run_id   bigint not null references run,
    times_seen    integer not null default 1
);
comment on table quarantine is 'Input that was not stored, once for each distinct record and reason.';
comment on column quarantine.quarantine_id is 'Number of the entry.';
comment on column quarantine.fingerprint is 'BLAKE3 hash of source, file, line, reason and record.';
comment on column quarantine.source is 'Source or file format.';
comment on column quarantine.file is 'File name, where the input was a file.';
comment on column quarantine.line is 'Line in the file, from 1.';
comment on column quarantine.metric is 'Metric, where it was told.';
comment on column quarantine.reason is 'Code of the reason.';
comment on column quarantine.detail is 'What was wrong and what to write instead.';
comment on column quarantine.record is 'The record as it came, cut to 2,000 characters.';
comment on column quarantine.first_seen_at is 'When it was first met.';
comment on column quarantine.last_run_id is 'The run that met it last.';
comment on column quarantine.times_seen is 'How many runs met it.';

create table rule (
    rule         text not null,
    version      integer not null,
    effective_at timestamptz not null,
    batch        bigint not null,
    hash         bytea not null,
    body         jsonb not null,
    constraint rule_pkey primary key (rule, version)
);
comment on table rule is 'Versioned configuration: priorities, lags, thresholds, methods. A view of T uses what was in force at T.';
comment on column rule.rule is 'Name of the rule.';
comment on column rule.version is 'Version, from 1 without gaps.';
comment on column rule.effective_at is 'From when it is in force; the first version from the beginning of time.';
comment on column rule.batch is 'The batch that stored it.';
comment on column rule.hash is 'BLAKE3 hash of the body as canonical text.';
comment on column rule.body is 'The parameters.';
create trigger rule_append_only before update or delete or truncate on rule
    for each statement execute function refuse_change();
