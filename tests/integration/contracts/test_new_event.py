"""Adding an event type is adding one file: in a copy of the project, through the commands of a person."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from orchestration.embedded.testing import running_stack
from tests.integration.contracts.copied_project import Project

CONTRACT = """\
$schema: https://json-schema.org/draft/2020-12/schema
title: Wishlist shared
description: A visitor shared a wishlist.
x-version: "1.0"
x-entity: wishlists
x-owner: storefront-team
type: object
required: [wishlist_id, products]
properties:
    wishlist_id: {type: string, minLength: 1, maxLength: 200, description: Identifier of the wishlist.}
    products: {type: integer, minimum: 1, x-unit: products, description: How many products it holds.}
    recipient_email:
        type: [string, "null"]
        description: Address it was sent to.
        x-pii: {class: email, action: pseudonymise}
"""


def event(event_id: str, **data: object) -> str:
    return json.dumps(
        {
            "eventId": event_id,
            "type": "WISHLIST_SHARED",
            "timestamp": "2026-03-02T10:00:00Z",
            "userId": "u1",
            "data": data,
            "metadata": {"tenantId": "t1", "sessionId": "s1"},
        }
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The copy with the new contract, one valid and one broken event of it loaded and materialised."""
    with running_stack(tmp_path_factory.mktemp("stack")) as settings:
        project = Project(tmp_path_factory.mktemp("project"), settings.state_dir)
        project.leave_out("bilten", "insights", "studyin")
        contract = project.root / "ingestion" / "contracts" / "pocm" / "WISHLIST_SHARED.v1.yaml"
        contract.write_text(CONTRACT)
        events = project.root / "wishlists.ndjson"
        events.write_text(
            "\n".join(
                [
                    event("w1", wishlist_id="wl-1", products=3, recipient_email="ann@example.com"),
                    event("w2", wishlist_id="wl-2", products=0),
                ]
            )
        )
        project.millrace("contracts", "generate")
        project.millrace("load", "pocm", str(events), "--received-at", "2026-03-02T10:30:00Z")
        hour = ("--from", "2026-03-02T10:00", "--to", "2026-03-02T11:00")
        project.millrace("run", *hour, "--select", 'key:"raw/pocm" or group:"staging_pocm"')
        yield project


def test_it_lands_and_a_broken_one_is_quarantined(project: Project) -> None:
    raw = project.millrace(
        "sql", "select event_id from raw.events where event_type = 'WISHLIST_SHARED'", "--json"
    )
    rejected = project.millrace("sql", "select event_type, codes from ops.quarantine", "--json")
    assert json.loads(raw) == {"event_id": "w1"}
    assert json.loads(rejected) == {"event_type": "WISHLIST_SHARED", "codes": ["field_range"]}


def test_it_arrives_in_its_own_staging_view_without_its_personal_data(project: Project) -> None:
    rows = project.millrace("sql", "select * from staging.stg_pocm__wishlists", "--json")
    row = json.loads(rows)
    assert (row["wishlist_id"], int(row["products"])) == ("wl-1", 3)
    assert row["recipient_email"] not in (None, "ann@example.com")


def test_it_is_in_the_catalogue(project: Project) -> None:
    catalogue = (project.root / "docs" / "catalogue" / "pocm.md").read_text()
    assert "`WISHLIST_SHARED`" in catalogue
    assert "Identifier of the wishlist." in catalogue


def test_the_contracts_are_in_order_again(project: Project) -> None:
    assert project.millrace("contracts", "check") == ""
