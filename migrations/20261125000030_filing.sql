-- Filings of issuers with their regulator, and the figures that they tag.

create table filing (
    cik              bigint not null,
    accession        text not null,
    ticker           text not null,
    form             text not null,
    filed_on         date not null,
    accepted_at      timestamptz,
    report_on        date,
    items            text[] not null,
    primary_document text not null,
    known_at         timestamptz not null,
    batch            bigint not null,
    constraint filing_pkey primary key (cik, accession),
    constraint filing_cik check (cik between 1 and 9999999999),
    constraint filing_accession check (accession ~ '^[0-9]{10}-[0-9]{2}-[0-9]{6}$'),
    constraint filing_known_after_acceptance check (known_at >= accepted_at)
);
comment on table filing is 'Documents that issuers filed, without those of insiders; rows are added and never changed or removed.';
comment on column filing.cik is 'Number of the filer at the SEC; from 9900000001 to 9900000099 the filer is made up.';
comment on column filing.accession is 'Accession number of the filing; one filing may stand under several filers.';
comment on column filing.ticker is 'Ticker of the issuer when the filing was stored.';
comment on column filing.form is 'Form, such as 10-Q; /A at its end for an amendment.';
comment on column filing.filed_on is 'Official day of filing, by the calendar of New York.';
comment on column filing.accepted_at is 'When the regulator accepted it; null where nobody says.';
comment on column filing.report_on is 'Last day of the period that it reports; null for forms without one.';
comment on column filing.items is 'Items of an 8-K, such as 2.03; empty for other forms.';
comment on column filing.primary_document is 'File name of the main document; empty if there is none.';
comment on column filing.known_at is 'From when on views use it: accepted_at, or 06:00 in New York of the next business day if it was accepted after 17:30; without accepted_at the end of filed_on.';
comment on column filing.batch is 'The batch that stored it.';
create index filing_batch on filing (batch);
create trigger filing_append_only before update or delete or truncate on filing
    for each statement execute function refuse_change();

create table filing_figure (
    cik          bigint not null,
    accession    text not null,
    item         text not null,
    concept      text not null,
    unit         text not null,
    period_start date,
    period_end   date not null,
    ticker       text not null,
    form         text not null,
    rank         smallint not null,
    value        numeric(24, 6) not null,
    known_at     timestamptz not null,
    batch        bigint not null,
    constraint filing_figure_key unique nulls not distinct (cik, accession, item, concept, unit, period_start, period_end),
    constraint filing_figure_period check (period_start <= period_end),
    constraint filing_figure_rank check (rank between 0 and 255),
    constraint filing_figure_value check (abs(value) < 1e15)
);
comment on table filing_figure is 'Figures that filings tag, each as that filing states it: a later filing that states another value for the period is a restatement. Rows are added and never changed or removed.';
comment on column filing_figure.cik is 'Number of the filer at the SEC.';
comment on column filing_figure.accession is 'Accession number of the filing that states it.';
comment on column filing_figure.item is 'What it is about, with the unit in the name, such as revenue_usd.';
comment on column filing_figure.concept is 'Concept that the filer tagged it with, such as us-gaap:Revenues.';
comment on column filing_figure.unit is 'Unit as the filing writes it, such as USD.';
comment on column filing_figure.period_start is 'First day of the period; null for a balance.';
comment on column filing_figure.period_end is 'Last day of the period, or the day of the balance.';
comment on column filing_figure.ticker is 'Ticker of the issuer when the figure was stored.';
comment on column filing_figure.form is 'Form of the filing; empty where the source does not say.';
comment on column filing_figure.rank is 'Place of the concept among those that mean the item; 0 is preferred.';
comment on column filing_figure.value is 'The value in the unit of the item; costs, outflows and amounts owed are positive.';
comment on column filing_figure.known_at is 'From when on views use it: that of its filing; without one, the end of the day of filing.';
comment on column filing_figure.batch is 'The batch that stored it.';
create index filing_figure_batch on filing_figure (batch);
create trigger filing_figure_append_only before update or delete or truncate on filing_figure
    for each statement execute function refuse_change();
