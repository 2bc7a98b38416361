-- What retention took out of the warehouse on purpose, and what was brought back: without a line here, what is missing is lost.
create table if not exists ops.retired (
    source LowCardinality(String) comment 'Source system',
    store LowCardinality(String) comment 'Table that held it',
    period DateTime('UTC') comment 'Received hour of raw and ops; for marts the moment before which no period ended any more',
    is_retired Bool comment 'Whether it was taken out, or brought back',
    rows UInt64 comment 'How many rows it was',
    noted_at DateTime64(6, 'UTC') comment 'When; of the lines of a store and period the newest holds'
)
engine = MergeTree
order by (source, store, period, noted_at)
comment 'Every removal by retention, and every return';

create view if not exists ops.retired_periods as
select
    source,
    store,
    period
from ops.retired
group by
    source,
    store,
    period
having argMax(is_retired, noted_at);

-- Received days of which a second engine has recomputed the marts, without a difference.
create table if not exists ops.verified_days (
    source LowCardinality(String) comment 'Source system',
    received_date Date comment 'UTC day on which the loads were received',
    verified_at DateTime64(3, 'UTC') comment 'When the verification began: what was committed later it did not see',
    compared_values UInt64 comment 'How many values were compared in all'
)
engine = MergeTree
order by (source, received_date)
comment 'Successful verifications, one row per received day and verification';

-- Received hours that a model lacked: the next try brings them back from the lake.
create table if not exists ops.wanted_hours (
    source LowCardinality(String) comment 'Source system',
    received_hour DateTime('UTC') comment 'Hour that retention took out of raw.events',
    wanted_by String comment 'Model that needs it',
    wanted_at DateTime64(3, 'UTC') comment 'When'
)
engine = MergeTree
partition by source
order by (received_hour)
comment 'Hours to bring back';
