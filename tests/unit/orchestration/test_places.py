import dagster as dg

from orchestration.places import Place, partition_of, place_of

HOURS = dg.HourlyPartitionsDefinition("2026-01-01-00:00", timezone="UTC")


def test_a_range_of_partitions_is_named_by_its_ends() -> None:
    tags = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "b"}
    assert partition_of(tags) == "a...b"
    assert partition_of({**tags, "dagster/asset_partition_range_end": "a"}) == "a"
    assert partition_of({"dagster/partition": "c"}) == "c"
    assert partition_of({}) is None


def test_a_place_covers_the_hours_of_its_partitions() -> None:
    place = Place("run", "raw/pocm", "2026-01-01-22:00...2026-01-02-01:00")
    assert len(place.window.hours) == 4
    assert place.log_comment == (
        '{"asset": "raw/pocm", "partition": "2026-01-01-22:00...2026-01-02-01:00", "run_id": "run"}'
    )


def executed_alone(instance: dg.DagsterInstance, seen: list[Place]) -> dg.ExecuteInProcessResult:
    """A check of a partitioned asset, executed without the asset and without a partition."""

    @dg.asset(name="raw", partitions_def=HOURS)
    def raw() -> None: ...

    @dg.asset_check(asset=raw)
    def gate(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        seen.append(place_of(context, dg.AssetKey("raw")))
        return dg.AssetCheckResult(passed=True)

    job = dg.define_asset_job("gates", dg.AssetSelection.checks(gate))
    resolved = dg.Definitions(assets=[raw], asset_checks=[gate], jobs=[job]).resolve_job_def("gates")
    return resolved.execute_in_process(instance=instance, raise_on_error=False)


def test_a_gate_executed_alone_judges_the_partition_that_was_materialised_last() -> None:
    seen: list[Place] = []
    with dg.DagsterInstance.ephemeral() as instance:
        materialization = dg.AssetMaterialization("raw", partition="2026-01-01-05:00")
        instance.report_runless_asset_event(materialization)
        assert executed_alone(instance, seen).success
    assert seen[0].partition == "2026-01-01-05:00"


def test_a_gate_without_any_partition_fails_and_says_why() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = executed_alone(instance, [])
    assert not result.success
    (failure,) = result.get_step_failure_events()
    assert "materialise one first" in str(failure.step_failure_data.user_failure_data)
