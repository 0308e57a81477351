-- Blocks of an own node, by hash, and when each was and was not of the chain.

create table chain_block (
    hash                   bytea not null,
    batch                  bigint not null,
    height                 bigint not null,
    previous_hash          bytea not null,
    header_time            timestamptz not null,
    median_time            timestamptz not null,
    bits                   bigint not null,
    difficulty             double precision not null,
    chain_work             bytea not null,
    followed               boolean not null,
    unavailable            text,
    transactions           bigint,
    fees_sat               bigint,
    coinbase_output_sat    bigint,
    spendable_output_sat   bigint,
    coinbase_outputs       bigint,
    spendable_outputs      bigint,
    coinbase_inputs        bigint,
    ordinary_inputs        bigint,
    spent_heights          bigint[],
    spent_sat              bigint[],
    unspent_coinbase_sat   bigint,
    coinbase_script        bytea,
    payout_addresses       text[],
    answer_bytes           bigint,
    constraint chain_block_pkey primary key (hash, batch),
    constraint chain_block_hashes check (octet_length(hash) = 32 and octet_length(previous_hash) = 32
        and octet_length(chain_work) = 32 and hash <> previous_hash),
    constraint chain_block_height check (height between 0 and 4294967295),
    constraint chain_block_flow_or_reason check ((unavailable is null) = (fees_sat is not null)),
    constraint chain_block_whole check (num_nulls(transactions, fees_sat, coinbase_output_sat, spendable_output_sat,
        coinbase_outputs, spendable_outputs, coinbase_inputs, ordinary_inputs, spent_heights, spent_sat,
        coinbase_script, payout_addresses) in (0, 12)),
    constraint chain_block_amounts check (fees_sat >= 0 and coinbase_output_sat >= spendable_output_sat
        and spendable_output_sat >= 0 and unspent_coinbase_sat >= 0),
    constraint chain_block_spends check (cardinality(spent_heights) = cardinality(spent_sat))
);
comment on table chain_block is 'Blocks that an own node showed, of given-up branches too; rows are added and never changed or removed. A block whose flow could not be known may get a second row, which then counts.';
comment on column chain_block.hash is 'Hash of the block, 32 bytes in the order in which it is written, zeros first.';
comment on column chain_block.batch is 'The batch that stored it.';
comment on column chain_block.height is 'Blocks below it.';
comment on column chain_block.previous_hash is 'Hash of the block below; zeros for the first block of all.';
comment on column chain_block.header_time is 'Time in the header, its miner''s clock. Days are cut by it.';
comment on column chain_block.median_time is 'Median of the header times of this block and the ten below; never runs back.';
comment on column chain_block.bits is 'Target in compact form.';
comment on column chain_block.difficulty is 'Difficulty relative to the first block''s.';
comment on column chain_block.chain_work is 'All work in the chain up to here, in hashes, big-endian.';
comment on column chain_block.followed is 'Whether it was read while following the tip; false for history that was read later.';
comment on column chain_block.unavailable is 'Code of the reason why the flow cannot be known; null where it is.';
comment on column chain_block.transactions is 'Transactions in it.';
comment on column chain_block.fees_sat is 'Fees of all of them, in satoshi.';
comment on column chain_block.coinbase_output_sat is 'What its coinbase pays out, in satoshi: the realised reward.';
comment on column chain_block.spendable_output_sat is 'The part of it that can ever be spent.';
comment on column chain_block.coinbase_outputs is 'Outputs of its coinbase.';
comment on column chain_block.spendable_outputs is 'Those of them that can ever be spent.';
comment on column chain_block.coinbase_inputs is 'Inputs that spend an output of a coinbase.';
comment on column chain_block.ordinary_inputs is 'All other inputs but the coinbase''s own.';
comment on column chain_block.spent_heights is 'The heights whose coinbases it spends of, lowest first.';
comment on column chain_block.spent_sat is 'Satoshi spent of each of them.';
comment on column chain_block.unspent_coinbase_sat is 'Coinbase outputs alive after it on its own branch; null where not every block below was stored before it.';
comment on column chain_block.coinbase_script is 'Script of its coinbase, in which pools write their names.';
comment on column chain_block.payout_addresses is 'Addresses its coinbase pays to, the greatest payment first.';
comment on column chain_block.answer_bytes is 'Length of the node''s answer, which itself is not kept: the node is the log.';
create index chain_block_height on chain_block (height);
create index chain_block_batch on chain_block using brin (batch) with (pages_per_range = 16, autosummarize = on);
create trigger chain_block_append_only before update or delete or truncate on chain_block
    for each statement execute function refuse_change();

create table chain_event (
    batch       bigint not null,
    place       integer not null,
    connects    boolean not null,
    hash        bytea not null,
    height      bigint not null,
    known_at    timestamptz not null,
    known_basis known_basis not null,
    constraint chain_event_pkey primary key (batch, place),
    constraint chain_event_hash check (octet_length(hash) = 32),
    constraint chain_event_height check (height between 0 and 4294967295)
);
comment on table chain_event is 'When a block became part of the chain and when it ceased to be; rows are added and never changed or removed. At a moment a block is of the chain if the newest of its events known then connects it.';
comment on column chain_event.batch is 'The batch that stored it.';
comment on column chain_event.place is 'Its place among the events of the batch, from 0.';
comment on column chain_event.connects is 'True where the block became part of the chain, false where it ceased to be.';
comment on column chain_event.hash is 'Hash of the block.';
comment on column chain_event.height is 'Its height.';
comment on column chain_event.known_at is 'When the public could know it: when it was seen, or the header''s time plus the usual lag.';
comment on column chain_event.known_basis is 'How known_at was found: observed or assumed.';
create index chain_event_height on chain_event (height);
create index chain_event_hash on chain_event (hash);
create trigger chain_event_append_only before update or delete or truncate on chain_event
    for each statement execute function refuse_change();
