"""Ready lines for the clients of the warehouse and the lake, with the credentials of this stack."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from orchestration.settings import Settings


def variables(settings: Settings) -> dict[str, str]:
    """Return address and credentials of ClickHouse and the object store, by the names that clients read them under."""
    return {
        "CLICKHOUSE_URL": settings.clickhouse_url,
        "CLICKHOUSE_USER": settings.clickhouse_user,
        "CLICKHOUSE_PASSWORD": settings.clickhouse_password.get_secret_value(),
        "AWS_ENDPOINT_URL": settings.s3_url,
        "AWS_ACCESS_KEY_ID": settings.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": settings.s3_secret_key.get_secret_value(),
        "AWS_DEFAULT_REGION": settings.s3_region,
    }


def environment_file(values: Mapping[str, str]) -> str:
    """Return variables as lines that a shell and readers of `.env` files take."""
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in values.items())


def client_lines(settings: Settings, database: str) -> dict[str, str]:
    """Return what to write in each client to read a database, by the client's name."""
    host, port, secure = settings.clickhouse_host, settings.clickhouse_port, settings.clickhouse_secure
    user, password = settings.clickhouse_user, settings.clickhouse_password.get_secret_value()
    arguments = {"host": host, "port": port, "username": user, "password": password, "database": database}
    if secure:
        arguments["secure"] = True
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    # The embedded server does not speak ClickHouse's own block compression, which JDBC asks for by default.
    options = {"user": user, "password": password, "compress": "false", **({"ssl": "true"} if secure else {})}
    url = f"{settings.clickhouse_url}/?database={quote(database)}"
    return {
        "clickhouse-connect": "clickhouse_connect.get_client("
        + ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        + ")",
        "SQLAlchemy": f"clickhousedb+connect://{login}@{host}:{port}/{quote(database)}"
        + ("?secure=true" if secure else ""),
        "JDBC": f"jdbc:clickhouse://{host}:{port}/{quote(database)}?{urlencode(options)}",
        "curl": shlex.join(["curl", "--user", f"{user}:{password}", url, "--data-binary", "show tables"]),
    }
