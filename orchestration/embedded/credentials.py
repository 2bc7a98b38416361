"""What the laptop stack asks everybody for: made once in a state folder, for its owner alone to read.

Every account of the machine reaches loopback, and so does every page in a browser: a password that is written down
in a public repository, or none, lets them all in.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr

from orchestration.embedded.errors import StackError
from orchestration.settings import Settings

CREDENTIALS_FILE = "credentials.json"


def new_credentials() -> dict[str, str]:
    """Return credentials that nobody knows yet, by the names of the settings' fields."""
    return {
        "clickhouse_password": secrets.token_urlsafe(24),
        "s3_access_key": f"millrace-{secrets.token_hex(8)}",
        "s3_secret_key": secrets.token_hex(32),
    }


def with_credentials(settings: Settings) -> Settings:
    """Return the settings with the credentials that they leave empty: those of their state folder, made once.

    Raises:
        StackError: when the file that keeps them cannot be read; names it.
    """
    wanted = [name for name in new_credentials() if not plain(settings, name)]
    if not wanted:
        return settings
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = settings.state_dir / CREDENTIALS_FILE
    if not path.exists():
        write_private(path, json.dumps(new_credentials(), indent=2) + "\n", only_new=True)
    try:
        kept = json.loads(path.read_text())
    except ValueError:
        kept = None
    lacking = [name for name in wanted if not isinstance(kept, dict) or not kept.get(name)]
    if lacking:
        raise StackError(
            f"{path} lacks {', '.join(lacking)}: stop the stack and remove the file, and new ones are made"
        )
    found = {name: kept[name] for name in wanted}
    # Validated anew: a secret is to be one, whoever prints the settings.
    return Settings.model_validate({**dict(settings), **found})


def plain(settings: Settings, name: str) -> str:
    """Return a credential in clear."""
    value = getattr(settings, name)
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def write_private(path: Path, text: str, *, only_new: bool = False) -> None:
    """Write a file that its owner alone can read, whole or not at all.

    Args:
        path: the file.
        text: its content.
        only_new: leave a file that is there meanwhile as it is.
    """
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
        target.write(text)
    if only_new:
        with suppress(FileExistsError):
            path.hardlink_to(partial)
        partial.unlink()
    else:
        partial.replace(path)
