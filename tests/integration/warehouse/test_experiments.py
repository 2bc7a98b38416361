"""The statistics of experiment_results against statsmodels, and its z-score against scipy, on the real engine."""

from __future__ import annotations

import math

import pytest
from scipy.stats import norm
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from orchestration.connections import warehouse
from orchestration.embedded.testing import empty_warehouse
from orchestration.settings import Settings
from orchestration.warehouse.dbt import run_dbt

pytestmark = pytest.mark.stack

EXPERIMENTS = {
    "usual": ((120, 1000), (160, 1010)),
    "small": ((1, 7), (5, 9)),
    "nobody of the control": ((0, 50), (4, 40)),
    "everybody of the variant": ((10, 20), (20, 20)),
    "far apart": ((5, 4000), (1900, 4000)),
    "equal": ((30, 300), (30, 300)),
    "nobody at all": ((0, 30), (0, 20)),
    "everybody at all": ((30, 30), (20, 20)),
}
"""Of each the control's and the variant's converted and exposed."""


@pytest.fixture(scope="module")
def results(stack: Settings) -> dict[str, dict[str, float | None]]:
    """What experiment_results says of every variant, by experiment; built from planted exposures."""
    client = warehouse(stack)
    empty_warehouse(client)
    run_dbt(stack, ["run", "--select", "+bilten__experiment_results"])
    for number, (experiment, (control, variant)) in enumerate(EXPERIMENTS.items()):
        for name, (converted, exposed) in (("control", control), ("variant", variant)):
            subject = f"concat('{number} {name} ', toString(number))"
            client.command(
                "insert into intermediate.int_bilten__exposures_daily select 't1', '2026-11-16', "
                f"'{experiment}', {subject}, true, '{name}', toDateTime64('2026-11-16 10:00:00', 3, 'UTC'), {subject} "
                f"from numbers({exposed})"
            )
            client.command(
                f"insert into intermediate.int_bilten__subjects_converted_daily select 't1', {subject}, "
                f"'2026-11-16', toDateTime64('2026-11-16 11:00:00', 3, 'UTC') from numbers({converted})"
            )
    found = client.query("select * from bilten.experiment_results where not is_control").named_results()
    rows = {row["experiment"]: row for row in found}
    empty_warehouse(client)
    client.close()
    return rows


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_lift_and_its_interval_are_those_of_statsmodels(
    results: dict[str, dict[str, float | None]], experiment: str
) -> None:
    (count0, exposed0), (count1, exposed1) = EXPERIMENTS[experiment]
    lower, upper = confint_proportions_2indep(
        count1, exposed1, count0, exposed0, method="wald", compare="diff"
    )
    row = results[experiment]
    assert row["lift"] == pytest.approx(count1 / exposed1 - count0 / exposed0, rel=1e-12, abs=1e-15)
    assert row["lift_lower"] == pytest.approx(lower, rel=1e-9, abs=1e-12)
    assert row["lift_upper"] == pytest.approx(upper, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_test_is_that_of_statsmodels_and_null_where_nothing_varies(
    results: dict[str, dict[str, float | None]], experiment: str
) -> None:
    (count0, exposed0), (count1, exposed1) = EXPERIMENTS[experiment]
    row = results[experiment]
    if count0 + count1 in (0, exposed0 + exposed1):
        assert (row["z_score"], row["p_value"]) == (None, None)
        return
    z_score, p_value = proportions_ztest([count1, count0], [exposed1, exposed0])
    assert row["z_score"] == pytest.approx(z_score, rel=1e-9, abs=1e-12)
    assert row["p_value"] == pytest.approx(p_value, rel=1e-9, abs=1e-300)
    assert row["p_value"] == pytest.approx(2 * norm.sf(abs(z_score)), rel=1e-9, abs=1e-300)
    assert math.isfinite(row["p_value"])
