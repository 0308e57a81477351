-- Block headers as they became known, for the exact times that a retarget depends on. Of any source
-- that shows headers: the same block of two sources is two rows.

create table block_header (
    hash          bytea not null,
    source        text not null,
    height        bigint not null,
    previous_hash bytea not null,
    header_time   timestamptz not null,
    bits          bigint,
    difficulty    double precision not null,
    known_at      timestamptz not null,
    known_basis   known_basis not null,
    batch         bigint not null,
    constraint block_header_pkey primary key (hash, source),
    constraint block_header_hashes check (octet_length(hash) = 32 and octet_length(previous_hash) = 32 and hash <> previous_hash),
    constraint block_header_height check (height between 0 and 4294967295),
    constraint block_header_bits check (bits between 0 and 4294967295),
    constraint block_header_difficulty check (difficulty > 0 and difficulty < 'Infinity'),
    constraint block_header_known_after_time check (known_basis = 'observed' or known_at >= header_time)
);
comment on table block_header is 'Every block header that a source has shown, of given-up branches too; rows are added and never changed or removed. Which of them are the chain follows from heights, previous_hash and known_at.';
comment on column block_header.hash is 'Hash of the block, 32 bytes in the order in which it is written, zeros first.';
comment on column block_header.source is 'Who showed it.';
comment on column block_header.height is 'Blocks below it.';
comment on column block_header.previous_hash is 'Hash of the block below; zeros for the first block of all.';
comment on column block_header.header_time is 'Time in the header, its miner''s clock: it may run against heights, and be up to two hours ahead.';
comment on column block_header.bits is 'Target in compact form; null where the source leaves it out.';
comment on column block_header.difficulty is 'Difficulty relative to the first block''s.';
comment on column block_header.known_at is 'When the public could know it: when it was seen to appear, or header_time plus the source''s usual lag.';
comment on column block_header.known_basis is 'How known_at was found: observed or assumed.';
comment on column block_header.batch is 'The batch that stored it.';
create index block_header_batch on block_header using brin (batch) with (pages_per_range = 16, autosummarize = on);
create trigger block_header_append_only before update or delete or truncate on block_header
    for each statement execute function refuse_change();
