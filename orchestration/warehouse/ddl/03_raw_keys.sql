-- Which deliveries carry an identity. A load looks its own keys up here, so its cost follows the batch. Hashes do not
-- compress, and small blocks keep a lookup from decompressing its neighbours.
create table if not exists raw.event_keys (
    source LowCardinality(String) comment 'Source system',
    kind Enum8('event_id' = 1, 'idempotency_key' = 2) comment 'Which identity',
    key_hash UInt128 comment 'SipHash of the identity' codec(NONE),
    received_at DateTime64(3, 'UTC') comment 'Deliveries are ordered by received_at, load_id, row_number',
    load_id LowCardinality(String) comment 'Load that brought the delivery',
    row_number UInt64 comment 'Place of the delivery in its load''s input'
)
engine = MergeTree
order by (source, kind, key_hash)
settings index_granularity = 256, min_compress_block_size = 4096, max_compress_block_size = 16384
comment 'Identities of every delivery, one row per delivery and identity';

-- On which occurred dates a correlation key was seen: what a late event restates beyond its own day.
create table if not exists raw.correlation_keys (
    source LowCardinality(String) comment 'Source system',
    via LowCardinality(String) comment 'What correlates, as the source''s contracts name it',
    key_hash UInt128 comment 'SipHash of tenant and key' codec(NONE),
    occurred_date Date comment 'UTC date of an event with the key'
)
engine = MergeTree
order by (source, via, key_hash)
settings index_granularity = 256, min_compress_block_size = 4096, max_compress_block_size = 16384
comment 'Occurred dates of every session, order and other correlation key';
