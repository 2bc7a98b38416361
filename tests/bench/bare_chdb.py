"""The loader's peer: chDB converts NDJSON to parquet and checks nothing.

`python -m tests.bench.bare_chdb IN.ndjson OUT.parquet`
"""

import sys

import chdb

from tests.bench.measure import report_own


def convert(source: str, target: str) -> int:
    """Write the file as parquet, with the schema that chDB infers, and return its number of rows.

    It needs one hint: the ledger form sends its payload as text or as an object, which inference refuses.
    """
    chdb.query(
        f"insert into function file('{target}', Parquet) select * from file('{source}', JSONEachRow)"
        " settings input_format_skip_unknown_fields = 1,"
        " schema_inference_hints = 'data_json Nullable(String)'"
    )
    return int(str(chdb.query(f"select count() from file('{target}', Parquet)")))


if __name__ == "__main__":
    report_own(lambda: convert(sys.argv[1], sys.argv[2]))
