"""SQLAlchemy, Great Expectations and dbt, unchanged, against the embedded ClickHouse."""

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest
import sqlalchemy as sa

PROFILE = """
drivers:
  target: dev
  outputs:
    dev:
      type: clickhouse
      driver: http
      host: 127.0.0.1
      port: {port}
      user: default
      password: "{password}"
      schema: {database}
      threads: 2
      custom_settings: {{max_threads: 2}}
"""

PROJECT = """
name: drivers
version: "1.0"
config-version: 2
profile: drivers
model-paths: [models]
seed-paths: [seeds]
snapshot-paths: [snapshots]
flags: {send_anonymous_usage_stats: false}
"""

MODELS = {
    "by_view.sql": "select id, day, amount from {{ ref('sold') }}",
    "by_table.sql": "{{ config(materialized='table', engine='MergeTree()', order_by='id') }}"
    " select id, day, amount from {{ ref('by_view') }}",
    "by_overwrite.sql": "{{ config(materialized='incremental', incremental_strategy='insert_overwrite',"
    " partition_by='day', order_by='id') }} select id, day, amount from {{ ref('by_view') }}",
    "by_delete.sql": "{{ config(materialized='incremental', incremental_strategy='delete+insert',"
    " unique_key='id', order_by='id') }} select id, day, amount from {{ ref('by_view') }}",
    "by_append.sql": "{{ config(materialized='incremental', incremental_strategy='append', order_by='id') }}"
    " select id, day, amount from {{ ref('by_view') }}"
    " {% if is_incremental() %} where id > (select max(id) from {{ this }}) {% endif %}",
    "by_materialized_view.sql": "{{ config(materialized='materialized_view', engine='MergeTree()',"
    " order_by='id') }}"
    " select id, amount from {{ ref('by_table') }}",
    "models.yml": """
models:
  - name: by_table
    config: {contract: {enforced: true}}
    columns:
      - {name: id, data_type: UInt32, data_tests: [unique, not_null]}
      - {name: day, data_type: Date}
      - {name: amount, data_type: "Decimal(18, 4)"}
""",
}
SEED = "id,day,amount\n1,2026-11-16,10.5000\n2,2026-11-16,0.0001\n3,2026-11-17,99999999999.9999\n"
SEED_TYPES = """
seeds:
  - name: sold
    config: {column_types: {id: UInt32, day: Date, amount: "Decimal(18, 4)"}}
"""


@pytest.fixture
def url(stack, auth, database):
    user, password = auth
    return f"clickhousedb+connect://{user}:{password}@127.0.0.1:{stack.clickhouse_port}/{database}"


def test_sqlalchemy_reflects_inserts_and_selects(url):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            sa.text("create table events (id UInt64, name String) engine = MergeTree order by id")
        )
        connection.execute(sa.text("insert into events values (:id, :name)"), {"id": 1, "name": "it's"})
    inspector = sa.inspect(engine)
    assert inspector.get_table_names() == ["events"]
    assert [column["name"] for column in inspector.get_columns("events")] == ["id", "name"]
    table = sa.Table("events", sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        assert connection.execute(sa.select(table).where(table.c.name == "it's")).all() == [(1, "it's")]


def test_great_expectations_validates_a_table(url):
    import great_expectations as gx

    with sa.create_engine(url).begin() as connection:
        connection.execute(
            sa.text("create table events (id UInt64, name Nullable(String)) engine = MergeTree order by id")
        )
        connection.execute(sa.text("insert into events values (1, 'a'), (2, 'b'), (2, null)"))
    context = gx.get_context(mode="ephemeral")
    table = context.data_sources.add_sql("warehouse", connection_string=url).add_table_asset(
        "events", table_name="events"
    )
    suite = context.suites.add(gx.ExpectationSuite("events"))
    suite.add_expectation(gx.expectations.ExpectTableRowCountToEqual(value=3))
    suite.add_expectation(gx.expectations.ExpectColumnValuesToBeUnique(column="id"))
    suite.add_expectation(gx.expectations.ExpectColumnValuesToNotBeNull(column="name"))
    batch = table.add_batch_definition_whole_table("all")
    found = gx.ValidationDefinition(name="v", data=batch, suite=suite)
    results = {
        result.expectation_config.type: result
        for result in context.validation_definitions.add(found).run().results
    }
    assert results["expect_table_row_count_to_equal"].success
    assert results["expect_column_values_to_be_unique"].result["unexpected_count"] == 2
    assert results["expect_column_values_to_not_be_null"].result["unexpected_count"] == 1


def dbt(folder: Path, *arguments: str) -> str:
    """Run one dbt command in the project and return what it printed; fail the test where it fails."""
    ended = subprocess.run(
        [Path(sysconfig.get_path("scripts")) / "dbt", *arguments, "--profiles-dir", str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "0"},
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def test_dbt_builds_every_materialization_twice(stack, auth, clickhouse, database, tmp_path):
    for name, text in MODELS.items():
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models" / name).write_text(text)
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "sold.csv").write_text(SEED)
    (tmp_path / "seeds" / "seeds.yml").write_text(SEED_TYPES)
    (tmp_path / "dbt_project.yml").write_text(PROJECT)
    profile = PROFILE.format(port=stack.clickhouse_port, database=database, password=auth[1])
    (tmp_path / "profiles.yml").write_text(profile)
    dbt(tmp_path, "build")
    dbt(tmp_path, "build")
    for model in ("by_view", "by_table", "by_overwrite", "by_delete", "by_append"):
        found = clickhouse.query(f"select count(), toString(sum(amount)) from {database}.{model}").result_rows
        assert found == [(3, "100000000010.5")], model
