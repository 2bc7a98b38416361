-- Every report that was made. The object under a key never changes: it follows from its bytes.
create table if not exists ops.reports (
    source LowCardinality(String) comment 'Source system whose mart it tells of',
    report LowCardinality(String) comment 'Name of its definition',
    mart LowCardinality(String) comment 'Mart that it was made from',
    format LowCardinality(String) comment 'csv, parquet or html',
    range_from DateTime('UTC') comment 'Start of the time that it tells of',
    range_to DateTime('UTC') comment 'End of that time, exclusive',
    rows UInt64 comment 'Rows of the report',
    bytes UInt64 comment 'Its size in bytes',
    sha256 String comment 'Hash of its bytes',
    key String comment 'Object in the lake',
    definition_sha256 String comment 'Hash of the definition it was made by',
    run_id String comment 'Run that made it, empty for the command line',
    made_at DateTime64(3, 'UTC') comment 'When it was made'
)
engine = MergeTree
order by (source, report, made_at)
comment 'Reports that were made, one row each time';
