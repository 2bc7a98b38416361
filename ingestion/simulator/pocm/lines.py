"""The lines of simulated orders, read back out of the events that carry them."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from ingestion.simulator.columns import MONEY_UNITS, concatenated, constant, text_array

_LINE = pa.struct(
    [
        ("product_id", pa.string()),
        ("batch_id", pa.string()),
        ("quantity", pa.int64()),
        ("unit_price", pa.float64()),
        ("unit_cost", pa.float64()),
    ]
)
_LINES = pa.schema([("items", pa.list_(_LINE))])


def order_lines(orders: pd.DataFrame) -> pd.DataFrame:
    """Return the lines of ORDER_PLACED events, in their order.

    Columns: order_id, line (from 0), product_id, batch_id (None where nobody scanned it), quantity, and unit_price
    and unit_cost in money units.
    """
    texts = concatenated(constant('{"items":'), text_array(orders["items"]), constant("}\n"))
    content = "".join(texts.to_pylist()) or '{"items":[]}'
    options = pyarrow.json.ParseOptions(explicit_schema=_LINES)
    lists = pyarrow.json.read_json(io.BytesIO(content.encode()), parse_options=options)[
        "items"
    ].combine_chunks()
    lines = pa.Table.from_struct_array(lists.flatten()).to_pandas()
    order = pc.list_parent_indices(lists).to_numpy()
    lines.insert(0, "order_id", orders["order_id"].to_numpy(dtype=object)[order])
    lines.insert(1, "line", lines.groupby(order).cumcount())
    for name in ("unit_price", "unit_cost"):
        lines[name] = (lines[name] * MONEY_UNITS).round().astype(np.int64)
    return lines
