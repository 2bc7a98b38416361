"""Where goods lie and which lot they come from: facts that several groups of events share.

Everything here follows from names alone, without a random stream, so that every group says the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ingestion.simulator.pocm.tables import PRODUCTS, WAREHOUSES, Tenant

Names = npt.NDArray[np.object_]
LOTS = 4
"""Lots that each product comes in."""


def warehouse_ids(tenant: Tenant) -> list[str]:
    """Return the tenant's warehouses, as its WAREHOUSE_UPSERTED events name them."""
    return [f"{tenant.code}-{name}" for name, _ in WAREHOUSES]


def warehouse_of(tenant: Tenant, order_ids: Names) -> Names:
    """Return the warehouse that each order leaves from."""
    houses = np.array(warehouse_ids(tenant), dtype=object)
    chosen: Names = houses[_spread("warehouse", order_ids, len(houses))]
    return chosen


def batch_ids(product_id: str, lots: int = LOTS) -> list[str]:
    """Return the lots of a product, oldest first: `B-<product_id>-01` and so on."""
    return [f"B-{product_id}-{number:02d}" for number in range(1, lots + 1)]


def batch_of(product_ids: Names, keys: Names) -> Names:
    """Return the lot that a piece comes from: that of an order's line under the key of its order id."""
    lots = np.array([f"-{number:02d}" for number in range(1, LOTS + 1)], dtype=object)
    chosen: Names = "B-" + np.asarray(product_ids, dtype=object) + lots[_spread("batch", keys, LOTS)]
    return chosen


def _spread(what: str, keys: Names, size: int) -> npt.NDArray[np.int64]:
    """Return a number below `size` for each key, by hash: the same in every process."""
    hashed = pd.util.hash_array(f"{what} " + np.asarray(keys, dtype=object), categorize=False)
    number: npt.NDArray[np.int64] = (hashed % np.uint64(size)).astype(np.int64)
    return number


RECALLED_BATCH = batch_ids(next(product.product_id for product in PRODUCTS if product.is_patch))[1]
"""The lot that both tenants recall."""
