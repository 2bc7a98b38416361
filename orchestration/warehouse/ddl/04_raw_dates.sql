-- What a received hour restates: the only thing that a mart needs to know of it.
create table if not exists raw.touched_dates (
    source LowCardinality(String) comment 'Source system',
    received_hour DateTime('UTC') comment 'Hour whose deliveries touch the date',
    via LowCardinality(String) comment 'self for the own date, or the correlation over which an event of that date is tied to one of the hour',
    occurred_date Date comment 'UTC date to rebuild'
)
engine = MergeTree
order by (source, received_hour, via, occurred_date)
comment 'Occurred dates that a received hour restates';

-- Pairs of dates that a correlation key spans: what must be read to rebuild one of them.
create table if not exists raw.linked_dates (
    source LowCardinality(String) comment 'Source system',
    via LowCardinality(String) comment 'What correlates, as the source''s contracts name it',
    occurred_date Date comment 'UTC date',
    linked_date Date comment 'Another date with an event of the same key'
)
engine = MergeTree
order by (source, via, occurred_date, linked_date)
comment 'Pairs of occurred dates that share a correlation key, in both directions';
