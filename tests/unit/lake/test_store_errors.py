"""Which refusals of an object store another try may mend."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lake.store import ObjectStore, StoreError, StoreUnreachableError

ANSWERS = {
    "slow": (503, "SlowDown"),
    "broken": (500, "InternalError"),
    "late": (400, "RequestTimeout"),
    "denied": (403, "AccessDenied"),
}


class _Refusing(BaseHTTPRequestHandler):
    """Refuses each key as its name says."""

    def do_GET(self) -> None:
        key = self.path.rpartition("/")[2].partition("?")[0]
        if key == "short":
            self.send_response(200)
            self.send_header("Content-Length", "200")
            self.end_headers()
            self.wfile.write(b"x" * 100)
            return
        status, code = ANSWERS[key]
        body = f"<Error><Code>{code}</Code><Message>Please try again.</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def refusing() -> Iterator[ObjectStore]:
    """An object store that serves nothing."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield ObjectStore(f"http://127.0.0.1:{server.server_port}", "key", "secret", "bucket")
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("key", ["slow", "broken", "late", "short"])
def test_a_store_that_cannot_serve_now_may_later(refusing: ObjectStore, key: str) -> None:
    with pytest.raises(StoreUnreachableError, match=f"cannot read s3://bucket/{key}"):
        refusing.get_bytes(key)


def test_a_store_that_refuses_will_refuse_again(refusing: ObjectStore) -> None:
    with pytest.raises(StoreError, match="AccessDenied") as refused:
        refusing.get_bytes("denied")
    assert not isinstance(refused.value, StoreUnreachableError)
