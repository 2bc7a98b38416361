"""Serve the embedded ClickHouse: `python -m orchestration.embedded.clickhouse_server --path DIR --port N`."""

from __future__ import annotations

import argparse
import ipaddress
import os
import socket
import sys
from pathlib import Path

import uvicorn

from orchestration.embedded.engine import Engine, FolderInUseError
from orchestration.embedded.front import Front

CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "clickhouse"


def main(arguments: list[str] | None = None) -> int:
    """Run the server until it is told to stop; return the process's exit code."""
    parser = argparse.ArgumentParser(prog="clickhouse_server", description=__doc__)
    parser.add_argument("--path", type=Path, required=True, help="data folder; one process at a time owns it")
    parser.add_argument(
        "--host", default="127.0.0.1", help="loopback address to listen on (default 127.0.0.1)"
    )
    parser.add_argument("--port", type=int, default=8123, help="HTTP port (default 8123)")
    parser.add_argument("--user", default="default", help="the one user there is (default: default)")
    parser.add_argument(
        "--password-file", type=Path, required=True, help="file that holds the user's password"
    )
    parser.add_argument("--config", type=Path, default=CONFIG, help="folder of configuration files")
    options = parser.parse_args(arguments)
    try:
        listener = _listen(options.host, options.port)
        password = options.password_file.read_text().strip()
        if not password:
            raise ValueError(f"--password-file {options.password_file}: the file is empty")
        engine = Engine(options.path.resolve(), options.config)
    except (FolderInUseError, OSError, ValueError) as error:
        print(f"clickhouse_server: {error}", file=sys.stderr)
        return 1
    app = Front(engine, options.user, password).app()
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        # Clients keep connections in pools: one that closes while a client takes it up again fails an insert.
        timeout_keep_alive=3600,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[listener])
    sys.stdout.flush()
    # The engine's own threads may still hold statements that were cut off; its data is safe on disk as it is.
    os._exit(0)


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ValueError: for an address beyond loopback.
        OSError: when the port is taken; names it.
    """
    addresses = {"localhost": "127.0.0.1"}
    try:
        address = ipaddress.ip_address(addresses.get(host, host))
    except ValueError:
        raise ValueError(f"--host {host}: give a loopback address, such as 127.0.0.1 or ::1") from None
    if not address.is_loopback:
        raise ValueError(
            f"--host {host}: the embedded server listens on loopback only; use a ClickHouse server beyond"
        )
    listener = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((str(address), port))
        listener.listen(128)
    except OSError as error:
        raise OSError(
            f"port {port} on {host} cannot be used: {error.strerror}; choose another with --port"
        ) from None
    return listener


if __name__ == "__main__":
    sys.exit(main())
