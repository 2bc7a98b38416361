-- What became of every row of every load, by received hour.
create table if not exists ops.loads (
    source LowCardinality(String) comment 'Source system',
    load_id String comment 'The load',
    received_hour DateTime('UTC') comment 'Part of the load that was received in this hour',
    revision UInt32 comment 'Raised by everything that changed the load, as a replay',
    input_uri String comment 'What was loaded',
    input_sha256 String comment 'Hash of the input''s bytes',
    input_bytes UInt64 comment 'Size of the input in bytes',
    input_format LowCardinality(String) comment 'Format of the input',
    received_at DateTime64(3, 'UTC') comment 'When the platform received the input',
    read UInt64 comment 'Rows of the input: with expanded, the sum of the next six',
    accepted UInt64 comment 'Rows in raw',
    duplicate UInt64 comment 'Rows known from earlier in the same load',
    quarantined UInt64 comment 'Rows in quarantine',
    suppressed UInt64 comment 'Rows of erased people',
    skipped UInt64 comment 'Rows of the input that a mapping left out',
    folded UInt64 comment 'Rows of the input that a mapping put to another, as lines to their order',
    expanded UInt64 comment 'Rows that a mapping made beyond the first of a row of the input',
    files UInt32 comment 'Raw and quarantine files',
    bytes UInt64 comment 'Their size in bytes',
    contracts_fingerprint String comment 'Contracts that judged the load',
    committed_at Nullable(DateTime64(3, 'UTC')) comment 'When the manifest was written'
)
engine = MergeTree
partition by (source, received_hour)
order by (load_id)
comment 'Conservation: one row per load and received hour';
-- A warehouse from before 0283 gets them here.
alter table ops.loads add column if not exists skipped UInt64
    comment 'Rows of the input that a mapping left out' after suppressed;
alter table ops.loads add column if not exists folded UInt64
    comment 'Rows of the input that a mapping put to another, as lines to their order' after skipped;
alter table ops.loads add column if not exists expanded UInt64
    comment 'Rows that a mapping made beyond the first of a row of the input' after folded;

-- Rejected rows without their original bytes, which stay encrypted in the lake.
create table if not exists ops.quarantine (
    source LowCardinality(String) comment 'Source system',
    load_id LowCardinality(String) comment 'The load',
    row_number UInt64 comment 'Place in its input',
    received_hour DateTime('UTC') comment 'Hour of received_at, the partition',
    received_at DateTime64(3, 'UTC') comment 'When the platform received it',
    input String comment 'Name of the input',
    event_type Nullable(String) comment 'Event type as far as it could be read',
    tenant_id Nullable(String) comment 'Tenant as far as it could be read',
    contract_version Nullable(String) comment 'Contract that rejected it',
    codes Array(LowCardinality(String)) comment 'Every code of the row',
    violations Array(Tuple(code String, field String)) comment 'Every violated rule and its field',
    original_size UInt64 comment 'Size of the original in bytes'
)
engine = MergeTree
partition by (source, received_hour)
order by (load_id, row_number)
comment 'Rejected rows, one row each';

-- Every expectation that was evaluated, passed or not.
create table if not exists ops.validation_results (
    suite LowCardinality(String) comment 'Suite of expectations',
    boundary LowCardinality(String) comment 'raw-in or marts-out',
    asset String comment 'Asset that was checked',
    partition String comment 'Partition that was checked',
    expectation String comment 'Type of the expectation',
    `column` Nullable(String) comment 'Column it looks at',
    success Bool comment 'Whether it held',
    unexpected_count Nullable(UInt64) comment 'Rows that broke it',
    element_count Nullable(UInt64) comment 'Rows that were looked at',
    sample String comment 'Some unexpected values, as JSON, without personal data',
    details String comment 'The result as JSON',
    run_id String comment 'Run that checked it',
    checked_at DateTime64(3, 'UTC') comment 'When it was checked',
    owner LowCardinality(String) comment 'Who answers for it',
    reason String comment 'Why it is expected'
)
engine = MergeTree
order by (suite, checked_at)
comment 'Results of the data quality gates';

-- When the marts first held what was received in an hour: the end of the way that began with its landing.
create table if not exists ops.builds (
    source LowCardinality(String) comment 'Source system',
    cadence LowCardinality(String) comment 'Which marts: hourly, daily, weekly or monthly ones',
    received_hour DateTime('UTC') comment 'Hour whose deliveries they hold',
    built_at DateTime64(3, 'UTC') comment 'When the first run that built all of them was done'
)
engine = MergeTree
order by (source, cadence, received_hour)
comment 'First build of the marts, one row per received hour with a load and cadence';

-- When the marts were last built from an hour: what has changed since is pending.
create table if not exists ops.last_builds (
    source LowCardinality(String) comment 'Source system',
    cadence LowCardinality(String) comment 'Which marts: hourly, daily, weekly or monthly ones',
    received_hour DateTime('UTC') comment 'Hour whose deliveries they hold',
    built_at DateTime64(3, 'UTC') comment 'When the last run that built all of them began to'
)
engine = ReplacingMergeTree(built_at)
order by (source, cadence, received_hour)
comment 'Last build of the marts, one row per received hour that ever had a load and cadence';

-- What follows the project and not the hour is done once per project: of which project that is what stands there.
create table if not exists ops.project_builds (
    source LowCardinality(String) comment 'Source system',
    what LowCardinality(String) comment 'staging: its views stand; hourly, daily, weekly or monthly: the contracts of those models hold',
    fingerprint String comment 'sha256 of the dbt project; with contracts the engine and its version too',
    views Array(String) comment 'Names of the views in the database staging',
    built_at DateTime64(3, 'UTC') comment 'When all of it was done; a view that was changed later is built again'
)
engine = ReplacingMergeTree(built_at)
order by (source, what)
comment 'The last whole build by a dbt project, of each source and kind';
