-- What filings of issuers say about new obligations, before a person has read them.

create table candidate_event (
    cik           bigint not null,
    accession     text not null,
    ticker        text not null,
    is_about_debt boolean not null,
    sentence      text,
    amount_usd    numeric(24, 2),
    batch         bigint not null,
    constraint candidate_event_pkey primary key (cik, accession),
    constraint candidate_event_filing foreign key (cik, accession) references filing,
    constraint candidate_event_sentence check (sentence <> ''),
    constraint candidate_event_amount check (amount_usd is null or (amount_usd > 0 and sentence is not null))
);
comment on table candidate_event is 'Filings of form 8-K under item 1.01 or 2.03, each with the sentence that says most about debt; rows are added and never changed or removed. Known with the filing.';
comment on column candidate_event.cik is 'Number of the filer at the SEC.';
comment on column candidate_event.accession is 'Accession number of the filing.';
comment on column candidate_event.ticker is 'Ticker of the issuer when the document was read.';
comment on column candidate_event.is_about_debt is 'Whether the sentence speaks of debt, or the filing has item 2.03.';
comment on column candidate_event.sentence is 'The sentence, as the document has it; null where none was found or the document could not be read.';
comment on column candidate_event.amount_usd is 'The first amount in the sentence of 100,000 USD or more; null without one.';
comment on column candidate_event.batch is 'The batch that stored it.';
create index candidate_event_batch on candidate_event (batch);
create trigger candidate_event_append_only before update or delete or truncate on candidate_event
    for each statement execute function refuse_change();
