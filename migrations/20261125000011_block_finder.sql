-- Who found a block, as an explorer says, beside the header that it shows.

alter table block_header add column pool text, add column reward_sat bigint;
comment on column block_header.pool is 'Who found the block, in the words of the source; null where it does not say.';
comment on column block_header.reward_sat is 'Subsidy and fees of the block, in satoshi; null where the source does not say.';
alter table block_header add constraint block_header_reward check (reward_sat between 0 and 2100000000000000);
