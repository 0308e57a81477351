-- Coinbases that are watched through an Esplora server, and where their outputs were seen to be spent.

create table watched_coinbase (
    block_hash    bytea not null,
    height        bigint not null,
    previous_hash bytea not null,
    header_time   timestamptz not null,
    median_time   timestamptz not null,
    is_member     boolean not null default true,
    txid          bytea,
    output_sat    bigint[],
    looked_height bigint,
    is_done       boolean not null default false,
    retry_at      timestamptz,
    constraint watched_coinbase_pkey primary key (block_hash),
    constraint watched_coinbase_hashes check (octet_length(block_hash) = 32 and octet_length(previous_hash) = 32
        and block_hash <> previous_hash and octet_length(txid) = 32),
    constraint watched_coinbase_height check (height between 0 and 4294967295),
    constraint watched_coinbase_read check ((txid is null) = (output_sat is null)),
    constraint watched_coinbase_looked check (txid is not null or (looked_height is null and not is_done))
);
comment on table watched_coinbase is 'Blocks whose coinbases are watched without an own node, and how far the watch is. Rows are never removed; what is_member and the columns behind it say changes as the watch goes on, and no view of the past reads it.';
comment on column watched_coinbase.block_hash is 'Hash of the block, 32 bytes in the order in which it is written, zeros first.';
comment on column watched_coinbase.height is 'Blocks below it.';
comment on column watched_coinbase.previous_hash is 'Hash of the block below.';
comment on column watched_coinbase.header_time is 'Time in the header, its miner''s clock. Days are cut by it.';
comment on column watched_coinbase.median_time is 'Median of the header times of this block and the ten below; never runs back.';
comment on column watched_coinbase.is_member is 'Whether it is of the chain, as far as was seen; false on a branch that was left.';
comment on column watched_coinbase.txid is 'Its coinbase transaction, in the order in which it is written; null until that was read.';
comment on column watched_coinbase.output_sat is 'Satoshi of each output of the coinbase, in order; 0 for one that can never be spent.';
comment on column watched_coinbase.looked_height is 'Height of the chain that was known when its outputs were looked at last; null before the first look.';
comment on column watched_coinbase.is_done is 'Whether every output was spent, six blocks deep: there is nothing left to look at.';
comment on column watched_coinbase.retry_at is 'After an answer that could not be used: not asked again before; else null.';
create index watched_coinbase_height on watched_coinbase (height);
create index watched_coinbase_unread on watched_coinbase (height) where is_member and txid is null;
create index watched_coinbase_time on watched_coinbase (header_time);

create table watched_spend (
    block_hash   bytea not null,
    output       bigint not null,
    spent_hash   bytea not null,
    spent_height bigint not null,
    spent_time   timestamptz not null,
    seen_at      timestamptz not null default service_clock(),
    constraint watched_spend_pkey primary key (block_hash, output, spent_hash),
    constraint watched_spend_coinbase foreign key (block_hash) references watched_coinbase,
    constraint watched_spend_block foreign key (spent_hash) references watched_coinbase,
    constraint watched_spend_output check (output between 0 and 4294967295),
    constraint watched_spend_height check (spent_height between 0 and 4294967295)
);
comment on table watched_spend is 'Spends of watched outputs, each seen when its block was six deep; rows are added and never changed or removed. One counts while its block is of the chain.';
comment on column watched_spend.block_hash is 'Block whose coinbase has the output.';
comment on column watched_spend.output is 'Number of the output, from 0.';
comment on column watched_spend.spent_hash is 'Hash of the block that spends it.';
comment on column watched_spend.spent_height is 'Height of that block.';
comment on column watched_spend.spent_time is 'Header time of that block.';
comment on column watched_spend.seen_at is 'When we saw it, by the service''s clock.';
create index watched_spend_height on watched_spend (spent_height);
create trigger watched_spend_append_only before update or delete or truncate on watched_spend
    for each statement execute function refuse_change();
