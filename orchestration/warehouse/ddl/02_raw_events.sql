-- Accepted deliveries; the Dagster partition is the ClickHouse partition, replaced as a whole.
create table if not exists raw.events (
    source LowCardinality(String) comment 'Source system',
    event_type LowCardinality(String) comment 'Canonical event type',
    contract_version LowCardinality(String) comment 'Contract that accepted the event',
    event_id String comment 'The producer''s id; with source it identifies the event',
    idempotency_key Nullable(String) comment 'Two events with the same key are one event',
    tenant_id LowCardinality(String) comment 'Provider, organizer, app or service',
    occurred_at DateTime64(3, 'UTC') comment 'When it happened',
    received_at DateTime64(3, 'UTC') comment 'When the platform received it',
    user_key Nullable(String) comment 'Keyed pseudonym of the user',
    session_id Nullable(String) comment 'Session of the producer',
    device_id Nullable(String) comment 'Device of the producer',
    order_id Nullable(String) comment 'Order that the event belongs to',
    trace_id Nullable(String) comment 'Trace of the request',
    producer LowCardinality(Nullable(String)) comment 'Service and version that sent it',
    load_id LowCardinality(String) comment 'Load that brought the delivery',
    row_number UInt64 comment 'Place of the delivery in its load''s input',
    payload String comment 'Contract-checked fields as JSON' codec(ZSTD(3)),
    received_hour DateTime('UTC') comment 'Hour of received_at, the partition',
    is_duplicate Bool comment 'Whether an earlier delivery shares the event id or the idempotency key'
)
engine = MergeTree
partition by (source, received_hour)
order by (event_type, occurred_at, event_id)
comment 'Accepted deliveries, one row each';
