"""Which changes of a contract break whom."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from contract_folder import ContractFolder

from ingestion.compat import BaselineError, baseline_from_git, changes_since, diff, diff_sources
from ingestion.contract import load_source, load_sources

Bend = Callable[[ContractFolder], Any]


def changes(folder: ContractFolder, bend: Bend) -> dict[bool, list[str]]:
    """What a change of the folder is told as, breaking under True and compatible under False."""
    before = load_source("shop", folder.write())
    bend(folder)
    found = diff(before, load_source("shop", folder.write()))
    return {
        breaking: [f"{change.where}: {change.message}" for change in found if change.breaking is breaking]
        for breaking in (True, False)
    }


def _set(name: str, **values: Any) -> Bend:
    return lambda f: f.property(name).update(values)


def _add(name: str, required: bool = False, **schema: Any) -> Bend:
    def bend(folder: ContractFolder) -> None:
        folder.paid["properties"][name] = {"type": "string", "description": "x", **schema}
        if required:
            folder.paid["required"].append(name)

    return bend


def _remove(name: str) -> Bend:
    return lambda f: f.paid["properties"].pop(name)


def _drop(name: str, keyword: str) -> Bend:
    return lambda f: f.property(name).pop(keyword)


def _to_exclusive(folder: ContractFolder) -> None:
    folder.property("amount").pop("minimum")
    folder.property("amount")["exclusiveMinimum"] = 0


def _second_version(folder: ContractFolder) -> None:
    folder.contracts["PAID.v2"] = {**copy.deepcopy(folder.paid), "x-version": "2.0"}


def test_no_change_is_told_as_none(folder: ContractFolder) -> None:
    assert changes(folder, lambda f: None) == {True: [], False: []}


def test_another_description_is_no_change(folder: ContractFolder) -> None:
    assert changes(folder, _set("amount", description="In words.")) == {True: [], False: []}


@pytest.mark.parametrize(
    ("bend", "expected"),
    [
        pytest.param(_remove("state"), "PAID.v1 state: is removed", id="removed field"),
        pytest.param(
            _add("card", required=True), "PAID.v1 card: is new and required", id="new required field"
        ),
        pytest.param(
            lambda f: f.paid["required"].append("state"), "PAID.v1 state: became required", id="required"
        ),
        pytest.param(
            lambda f: f.paid["required"].remove("amount"),
            "PAID.v1 amount: became optional: its column turns Nullable",
            id="optional",
        ),
        pytest.param(
            lambda f: f.property("attempt").update(type="number"),
            "PAID.v1 attempt: type integer became number",
            id="wider type",
        ),
        pytest.param(
            _set("state", type="boolean", enum=[True]), "PAID.v1 state: type string became boolean", id="type"
        ),
        pytest.param(
            _drop("amount", "x-type"), "PAID.v1 amount: type money became number", id="no more money"
        ),
        pytest.param(
            _set("payment_id", type=["string", "null"]),
            "PAID.v1 payment_id: accepts null now: its column turns Nullable",
            id="null",
        ),
        pytest.param(_set("attempt", type="integer"), "PAID.v1 attempt: refuses null now", id="no null"),
        pytest.param(
            _set("state", enum=["new"]), "PAID.v1 state: no longer takes 'old'", id="enum value removed"
        ),
        pytest.param(
            lambda f: f.property("payment_id").update(enum=["a"]),
            "payment_id: takes only 'a' now",
            id="new enum",
        ),
        pytest.param(
            _set("amount", minimum=1), "PAID.v1 amount: lower bound >= 0 became >= 1", id="minimum raised"
        ),
        pytest.param(
            _to_exclusive, "PAID.v1 amount: lower bound >= 0 became > 0", id="minimum made exclusive"
        ),
        pytest.param(
            _set("attempt", maximum=8), "attempt: upper bound <= 9 became <= 8", id="maximum lowered"
        ),
        pytest.param(
            _set("state", maxLength=9), "state: greatest length none became <= 9", id="length limited"
        ),
        pytest.param(
            _set("currency", pattern="^EUR$"),
            "currency: pattern ^[A-Z]{3}$ became ^EUR$",
            id="another pattern",
        ),
        pytest.param(_set("amount", **{"x-unit": "cent"}), "amount: unit None became cent", id="unit"),
        pytest.param(
            lambda f: f.paid.update({"x-entity": "money"}), "moved from entity payments to money", id="entity"
        ),
        pytest.param(
            lambda f: f.source["pii"].pop("email"),
            "pii.email: personal data was protected by pseudonymise, now by nothing",
            id="personal name given up",
        ),
        pytest.param(
            lambda f: f.source["pii"]["email"].update({"class": "mail"}),
            "pii.email: class of personal data email became mail",
            id="pseudonyms that join no more",
        ),
        pytest.param(
            lambda f: f.source.update(max_event_bytes=999), "max_event_bytes: 1000 became 999", id="size"
        ),
        pytest.param(lambda f: f.source.update(tenants=["a"]), "tenants: only a may send now", id="tenants"),
        pytest.param(
            lambda f: f.source.update(user_id_scope="group"),
            "user_id_scope: changed: every user",
            id="user scope",
        ),
        pytest.param(
            lambda f: f.source["wire_formats"].update(web=f.source["wire_formats"].pop("api")),
            "wire_formats.api: is removed",
            id="wire format removed",
        ),
        pytest.param(
            lambda f: f.source["wire_formats"]["api"]["detect"].append("v"),
            "wire_formats.api.detect: is recognised by id, type, v instead of id, type",
            id="wire format recognised by more keys",
        ),
        pytest.param(
            lambda f: f.source["wire_formats"]["api"]["envelope"].update(tenant_id="payload.tenant"),
            "wire_formats.api.envelope.tenant_id: meta.tenant, payload.tenant became payload.tenant",
            id="envelope path removed",
        ),
        pytest.param(
            lambda f: f.source["wire_formats"]["api"]["envelope"].update(
                tenant_id="meta.tenant", payload={"objects": {"data": {}}}
            ),
            "wire_formats.api.envelope.payload: is objects and values now",
            id="payload put together",
        ),
        pytest.param(
            lambda f: f.paid.update(
                allOf=[
                    {
                        "if": {"properties": {"state": {"const": "new"}}, "required": ["state"]},
                        "then": {"required": ["attempt"]},
                    }
                ]
            ),
            "PAID.v1 attempt: became required where state is new",
            id="required under a condition",
        ),
    ],
)
def test_a_change_that_breaks_is_told_as_such(folder: ContractFolder, bend: Bend, expected: str) -> None:
    found = changes(folder, bend)
    assert any(expected in told for told in found[True]), found


@pytest.mark.parametrize(
    ("bend", "expected"),
    [
        pytest.param(_add("card"), "PAID.v1 card: is new and optional", id="new optional field"),
        pytest.param(_set("state", enum=["new", "old", "x"]), "state: takes 'x' too", id="enum value added"),
        pytest.param(_drop("state", "enum"), "state: takes any value now", id="enum removed"),
        pytest.param(
            _set("amount", minimum=-1), "amount: lower bound >= 0 became >= -1", id="minimum lowered"
        ),
        pytest.param(
            _drop("attempt", "maximum"), "attempt: upper bound <= 9 became none", id="maximum removed"
        ),
        pytest.param(
            _drop("currency", "pattern"), "currency: pattern ^[A-Z]{3}$ became None", id="no pattern"
        ),
        pytest.param(_second_version, "PAID.v2: is new", id="new major version"),
        pytest.param(lambda f: f.paid.update({"x-aliases": ["PAYED"]}), "the alias PAYED is new", id="alias"),
        pytest.param(
            lambda f: f.source.update(max_event_bytes=2000), "max_event_bytes: 1000 became 2000", id="size"
        ),
        pytest.param(
            lambda f: f.source["pii"]["email"].update(action="drop"),
            "pii.email: personal data is now protected by drop",
            id="stronger protection",
        ),
        pytest.param(
            lambda f: f.source["wire_formats"]["api"]["envelope"].update(user_id="user"),
            "wire_formats.api.envelope.user_id: nothing became user",
            id="envelope column added",
        ),
        pytest.param(
            lambda f: f.source["wire_formats"]["api"].update(defaults={"tenant_id": "shop"}),
            "wire_formats.api.defaults.tenant_id: nothing became shop",
            id="default added",
        ),
        pytest.param(
            lambda f: f.source.update(correlations={"payment": "payload.payment_id"}),
            "correlations.payment: nothing became payload.payment_id: received hours loaded before",
            id="correlation added",
        ),
    ],
)
def test_a_change_that_breaks_nobody_is_told_as_such(
    folder: ContractFolder, bend: Bend, expected: str
) -> None:
    found = changes(folder, bend)
    assert found[True] == []
    assert any(expected in told for told in found[False]), found


def test_a_removed_event_breaks(folder: ContractFolder) -> None:
    _second_version(folder)
    found = changes(folder, lambda f: f.contracts.pop("PAID.v1"))
    assert found[True] == ["PAID.v1: is removed"]


def test_a_removed_correlation_breaks(folder: ContractFolder) -> None:
    folder.source["correlations"] = {"order": ["order_id", "payload.payment_id"]}
    found = changes(folder, lambda f: f.source["correlations"].update(order="order_id"))
    assert [told.split(":")[0] for told in found[True]] == ["correlations.order"]


def test_a_correlation_around_midnight_that_is_tied_in_another_way_breaks(folder: ContractFolder) -> None:
    visit = {"first_of": ["user_key", "device_id"], "around": "midnight", "unless": "session_id"}
    folder.source["correlations"] = {"visit": visit}
    found = changes(folder, lambda f: f.source["correlations"]["visit"]["first_of"].reverse())
    assert found[True] == [
        "correlations.visit: user_key, device_id around midnight unless session_id became "
        "device_id, user_key around midnight unless session_id: received hours loaded before know it when they are "
        "loaded again"
    ]


def test_a_removed_alias_breaks(folder: ContractFolder) -> None:
    folder.paid["x-aliases"] = ["PAYED"]
    assert changes(folder, lambda f: f.paid.pop("x-aliases"))[True] == ["PAID.v1: the alias PAYED is removed"]


@pytest.mark.parametrize("weaker", [None, {"class": "name", "action": "pseudonymise"}])
def test_weaker_protection_of_a_field_breaks(folder: ContractFolder, weaker: dict[str, str] | None) -> None:
    _add("holder", **{"x-pii": {"class": "name", "action": "drop"}})(folder)
    bend = _set("holder", **{"x-pii": weaker}) if weaker else _drop("holder", "x-pii")
    assert any("holder: personal data was protected by drop" in told for told in changes(folder, bend)[True])


def test_lines_of_an_array_are_compared_too(folder: ContractFolder) -> None:
    sku = {"type": "string", "description": "x"}
    folder.paid["properties"]["lines"] = {
        "type": "array",
        "description": "x",
        "items": {"type": "object", "properties": {"sku": sku}},
    }
    element = folder.property("lines")["items"]["properties"]
    found = changes(
        folder, lambda f: element.update(sku={**sku, "minLength": 2}, size=sku | {"description": "y"})
    )
    assert found[True] == ["PAID.v1 lines[].sku: least length none became >= 2"]
    assert "PAID.v1 lines[].size: is new and optional" in found[False]


def test_a_new_event_that_lacks_a_required_field_turns_the_entitys_column_nullable(
    folder: ContractFolder,
) -> None:
    lost = copy.deepcopy(folder.paid)
    lost["required"] = ["payment_id"]
    found = changes(folder, lambda f: f.contracts.update({"LOST.v1": lost}))
    assert found[True] == [
        "stg_shop__payments amount: the column's type Decimal(18, 4) became Nullable(Decimal(18, 4))",
        "stg_shop__payments currency: the column's type String became Nullable(String)",
    ]


def test_a_change_under_the_same_version_asks_for_a_new_one(folder: ContractFolder) -> None:
    assert "PAID.v1: changed, but x-version is still 1.0: raise it" in changes(folder, _add("card"))[False]


def test_a_change_under_a_raised_version_asks_for_nothing(folder: ContractFolder) -> None:
    def bend(folder: ContractFolder) -> None:
        _add("card")(folder)
        folder.paid["x-version"] = "1.1"

    assert changes(folder, bend)[False] == ["PAID.v1 card: is new and optional"]


def test_a_version_that_goes_back_breaks(folder: ContractFolder) -> None:
    folder.paid["x-version"] = "1.2"
    found = changes(folder, lambda f: f.paid.update({"x-version": "1.1"}))
    assert found[True] == ["PAID.v1: x-version went back from 1.2 to 1.1"]


def test_a_source_that_is_gone_breaks(folder: ContractFolder) -> None:
    sources = load_sources(folder.write())
    assert [str(change) for change in diff_sources(sources, {}) if change.breaking] == [
        "shop source: is removed"
    ]
    assert not any(change.breaking for change in diff_sources({}, sources))


# the baseline


@pytest.fixture
def checkout(tmp_path: Path) -> ContractFolder:
    """A git checkout whose only commit holds the small shop."""
    folder = ContractFolder(tmp_path / "project" / "ingestion" / "contracts")
    folder.write()
    git = ["git", "-C", str(tmp_path / "project"), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "Start"]):
        subprocess.run([*git, *arguments], check=True)
    return folder


def test_the_baseline_is_what_was_committed_not_what_lies_there(
    checkout: ContractFolder, tmp_path: Path
) -> None:
    _remove("state")(checkout)
    now = load_sources(checkout.write())
    told = [str(change) for change in changes_since("HEAD", tmp_path / "project", now)]
    assert "shop PAID.v1 state: is removed" in told


def test_a_folder_may_be_the_baseline(folder: ContractFolder, tmp_path: Path) -> None:
    sources = load_sources(folder.write())
    assert changes_since(str(folder.root), tmp_path, sources) == []


def test_an_unknown_revision_is_refused(checkout: ContractFolder, tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="neither a git revision nor a folder 'nope'; valid: a branch"):
        baseline_from_git("nope", tmp_path / "project")


def test_a_project_that_is_no_checkout_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(BaselineError, match="is no git checkout, so give a folder to compare with"):
        baseline_from_git("HEAD", tmp_path)


def test_a_revision_without_contracts_is_refused(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Nothing"], check=True)
    with pytest.raises(BaselineError, match="has no ingestion/contracts in HEAD"):
        baseline_from_git("HEAD", tmp_path)


def test_an_option_in_place_of_a_revision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="is no git revision"):
        baseline_from_git("--upload-pack=x", tmp_path)


def test_a_folder_without_contracts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        BaselineError, match=r"holds no contracts; valid: a folder with <source>/_source\.yaml"
    ):
        changes_since(str(tmp_path), tmp_path, {})


DOOR = {"description": "Nobody is named.", "fields": "payload.state", "matches": "^new$"}


def _anonymous(folder: ContractFolder, *drop: str, **when: dict[str, str]) -> None:
    folder.source["anonymous"] = {"when": when, "drop": list(drop)}


def test_more_events_that_name_nobody_break_nothing(folder: ContractFolder) -> None:
    found = changes(folder, lambda f: _anonymous(f, "user_id", door=DOOR))

    assert found == {
        True: [],
        False: [
            "anonymous.drop: nothing became user_id",
            "anonymous.when.door: is new: other events than before name nobody",
        ],
    }


def test_an_event_that_names_somebody_again_breaks_a_promise(folder: ContractFolder) -> None:
    _anonymous(folder, "user_id", "session_id", door=DOOR, gate=DOOR)

    found = changes(folder, lambda f: _anonymous(f, "user_id", door=DOOR | {"matches": "^newer$"}))

    assert found == {
        True: [
            "anonymous.drop: user_id, session_id became user_id",
            "anonymous.when.door: changed: other events than before name nobody",
            "anonymous.when.gate: is removed: other events than before name nobody",
        ],
        False: [],
    }
