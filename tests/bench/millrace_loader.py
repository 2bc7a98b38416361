"""One load into the lake. `python -m tests.bench.millrace_loader ENDPOINT ACCESS SECRET BUCKET FILE`."""

import sys

from ingestion.contract import load_source
from ingestion.loader import load
from lake.store import ObjectStore
from tests.bench.measure import report_own


def read(endpoint: str, access_key: str, secret_key: str, bucket: str, file: str) -> int:
    """Load the file and return the number of rows read."""
    store = ObjectStore(endpoint, access_key, secret_key, bucket)
    store.ensure_bucket()
    result = load(store, load_source("pocm"), file, key=b"k" * 32)
    return result.manifest.counts.read


if __name__ == "__main__":
    report_own(lambda: read(*sys.argv[1:6]))
