"""Personal contract fields are followed through dbt models into the marts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from expectations.lineage import run_lineage
from expectations.model import SuiteResult
from ingestion.contract import Source, load_source

STAGING = """
with
source as (
    select * from `raw`.`events` where source = 'pocm' and event_type in ('{event}') and not is_duplicate
),
typed as (
    select *, cast(payload, 'JSON(email Nullable(String), region String)') as fields from source
)
select event_id, tenant_id, user_key, payload, fields.email as email, fields.full_name as full_name,
    fields.region as region
from typed
"""
RAW_EVENTS = {
    "resource_type": "source",
    "name": "events",
    "identifier": "events",
    "schema": "raw",
    "columns": {},
}
USERS = STAGING.format(event="USER_REGISTERED")


@pytest.fixture(scope="module")
def source() -> Source:
    return load_source("pocm")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


class Project:
    """A compiled dbt project of a few models."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "manifest.json"
        self.nodes: dict[str, dict[str, Any]] = {}
        self.add("staging", "stg_pocm__users", USERS)

    def add(self, layer: str, name: str, sql: str | None, **pii: str) -> Project:
        alias = name.removeprefix("pocm__")
        self.nodes[f"model.millrace.{name}"] = {
            "resource_type": "model",
            "name": name,
            "alias": alias,
            "schema": "pocm" if layer == "marts" else layer,
            "fqn": ["millrace", layer, "pocm", name],
            "package_name": "millrace",
            "original_file_path": f"models/{layer}/pocm/{name}.sql",
            "columns": {
                column: {"name": column, "config": {"meta": {"pii": mask}}} for column, mask in pii.items()
            },
            **({"compiled_code": sql} if sql is not None else {}),
        }
        return self

    def mart(self, sql: str | None, **pii: str) -> Project:
        return self.add("marts", "pocm__dim_users", sql, **pii)

    def check(self, source: Source) -> SuiteResult:
        self.path.write_text(
            json.dumps(
                {
                    "metadata": {"dbt_version": "1.11.16"},
                    "nodes": self.nodes,
                    "sources": {"source.raw.events": RAW_EVENTS},
                }
            )
        )
        return run_lineage(source, self.path, partition="2026-11-16", run_id="run-1")


def paths(result: SuiteResult) -> list[str]:
    return [leak["path"] for found in result.failures for leak in found.sample]


def test_mart_without_personal_columns_passes(project: Project, source: Source) -> None:
    result = project.mart("select tenant_id, region from staging.stg_pocm__users").check(source)

    assert result.success, result.message


def test_leak_shows_the_whole_path(project: Project, source: Source) -> None:
    project.add(
        "intermediate", "int_pocm__users_known", "select email as address from staging.stg_pocm__users"
    )
    result = project.mart("select address as contact from intermediate.int_pocm__users_known").check(source)

    assert paths(result) == [
        "USER_REGISTERED.email -> staging.stg_pocm__users.email -> intermediate.int_pocm__users_known.address"
        " -> pocm.dim_users.contact"
    ]
    assert "pocm.dim_users" in result.message


def test_renamed_column_is_followed_through_ctes_and_a_join(project: Project, source: Source) -> None:
    sql = """
    with first as (select event_id, email as a from staging.stg_pocm__users),
    second as (select event_id, lower(a) as b from first)
    select users.region, second.b as c
    from staging.stg_pocm__users as users left join second on users.event_id = second.event_id
    """
    assert paths(project.mart(sql).check(source)) == [
        "USER_REGISTERED.email -> staging.stg_pocm__users.email -> pocm.dim_users.c"
    ]


def test_star_carries_every_column(project: Project, source: Source) -> None:
    result = project.mart("select * from staging.stg_pocm__users").check(source)

    assert {leak["column"] for leak in result.failures[0].sample} == {
        "user_key",
        "payload",
        "email",
        "full_name",
    }


def test_aggregate_hides_the_value(project: Project, source: Source) -> None:
    result = project.mart(
        "select region, uniqExact(email) as people from staging.stg_pocm__users group by region"
    )

    assert result.check(source).success


def test_aggregate_that_returns_a_value_hides_nothing(project: Project, source: Source) -> None:
    result = project.mart("select region, max(email) as last from staging.stg_pocm__users group by region")

    assert len(paths(result.check(source))) == 1


@pytest.mark.parametrize("mask", ["pseudonymised", "aggregate"])
def test_declared_mask_passes(project: Project, source: Source, mask: str) -> None:
    assert project.mart("select email from staging.stg_pocm__users", email=mask).check(source).success


def test_mask_below_meta_is_read_too(project: Project, source: Source) -> None:
    project.mart("select email from staging.stg_pocm__users")
    node = project.nodes["model.millrace.pocm__dim_users"]
    node["columns"] = {"email": {"name": "email", "meta": {"pii": "pseudonymised"}}}

    assert project.check(source).success


def test_unknown_mask_fails(project: Project, source: Source) -> None:
    result = project.mart("select email from staging.stg_pocm__users", email="harmless").check(source)

    assert "'harmless'; valid: pseudonymised, aggregate" in paths(result)[0]


def test_field_that_is_dropped_cannot_be_declared_a_pseudonym(project: Project, source: Source) -> None:
    result = project.mart("select full_name from staging.stg_pocm__users", full_name="pseudonymised").check(
        source
    )

    assert paths(result) == [
        "USER_REGISTERED.full_name -> staging.stg_pocm__users.full_name -> pocm.dim_users.full_name"
    ]


def test_pseudonym_of_the_user_must_be_declared(project: Project, source: Source) -> None:
    sql = "select user_key from staging.stg_pocm__users"

    assert paths(project.mart(sql).check(source)) == [
        "envelope.user_id -> staging.stg_pocm__users.user_key -> pocm.dim_users.user_key"
    ]
    assert project.mart(sql, user_key="pseudonymised").check(source).success


def test_payload_carries_the_tagged_fields_of_its_events(project: Project, source: Source) -> None:
    result = project.mart("select payload as document from staging.stg_pocm__users").check(source)

    fields = {leak["field"] for leak in result.failures[0].sample}
    assert {"USER_REGISTERED.email", "USER_REGISTERED.phone"} <= fields


def test_payload_of_other_events_does_not_carry_their_fields(project: Project, source: Source) -> None:
    project.add("staging", "stg_pocm__logins", STAGING.format(event="LOGIN"))
    result = project.mart("select payload as document from staging.stg_pocm__logins").check(source)

    fields = {leak["field"] for leak in result.failures[0].sample}
    assert not any(field.startswith("USER_REGISTERED") for field in fields)
    assert "any event.email" in fields


def test_personal_name_that_no_contract_declares_is_tagged_all_the_same(
    project: Project, source: Source
) -> None:
    project.add("staging", "stg_pocm__logins", STAGING.format(event="LOGIN"))

    result = project.mart("select email from staging.stg_pocm__logins").check(source)

    assert paths(result) == ["any event.email -> staging.stg_pocm__logins.email -> pocm.dim_users.email"]


def test_model_that_cannot_be_read_fails_and_so_does_the_mart_above_it(
    project: Project, source: Source
) -> None:
    project.add("intermediate", "int_pocm__broken", "select (a from staging.stg_pocm__users")
    result = project.mart("select a from intermediate.int_pocm__broken").check(source)

    assert {found.rule for found in result.failures} == {
        "pocm_lineage.intermediate.int_pocm__broken.readable",
        "pocm_lineage.dim_users",
    }
    assert "int_pocm__broken" in result.message


def test_unread_model_fails_even_when_no_mart_needs_it(project: Project, source: Source) -> None:
    project.add("intermediate", "int_pocm__broken", "select nosuch from staging.stg_pocm__users")
    result = project.mart("select region from staging.stg_pocm__users").check(source)

    assert [found.rule for found in result.failures] == [
        "pocm_lineage.intermediate.int_pocm__broken.readable"
    ]
    assert "column nosuch" in result.message


def test_model_that_was_not_compiled_fails(project: Project, source: Source) -> None:
    assert "dbt compile" in project.mart(None).check(source).message


def test_compiled_file_is_read_where_the_manifest_has_no_sql(project: Project, source: Source) -> None:
    folder = project.path.parent / "compiled/millrace/models/marts/pocm"
    folder.mkdir(parents=True)
    (folder / "pocm__dim_users.sql").write_text("select email from staging.stg_pocm__users")

    assert len(paths(project.mart(None).check(source))) == 1


def test_table_that_dbt_does_not_know_fails(project: Project, source: Source) -> None:
    assert (
        "backup.users, which dbt does not know"
        in project.mart("select * from backup.users").check(source).message
    )


def test_model_that_reads_itself_is_followed(project: Project, source: Source) -> None:
    sql = "select email from staging.stg_pocm__users union all select email from pocm.dim_users"

    assert len(paths(project.mart(sql).check(source))) == 1


def test_manifest_without_marts_fails(project: Project, source: Source) -> None:
    assert "has no marts of pocm" in project.check(source).message


def test_missing_manifest_fails_and_says_what_to_do(tmp_path: Path, source: Source) -> None:
    result = run_lineage(source, tmp_path / "manifest.json")

    assert not result.success
    assert "compile the dbt project first" in result.message


def test_field_is_followed_through_forty_models(project: Project, source: Source) -> None:
    below = "staging.stg_pocm__users"
    for number in range(40):
        project.add("intermediate", f"int_pocm__step_{number}", f"select * from {below}")
        below = f"intermediate.int_pocm__step_{number}"

    (path,) = paths(project.mart(f"select email from {below}").check(source))

    assert path.count(" -> ") == 42
