"""How Data Docs look: GX's own content in pages that need no network.

GX's page takes its styles, icons and table scripts from public hosts; without them it is bare text and its
index is empty. These pages carry their style inside and load nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from great_expectations.render.view.view import DefaultJinjaPageView
from jinja2 import BytecodeCache, ChoiceLoader, FileSystemLoader
from jinja2.bccache import Bucket

TEMPLATES = Path(__file__).resolve().parent / "templates"


class _InMemory(BytecodeCache):
    """Compiled templates, a function of the template files: GX makes new views for every build."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take what is there."""
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it for this process."""
        self._code[bucket.key] = bucket.bytecode_to_string()


_BYTECODE = _InMemory()


class OfflinePageView(DefaultJinjaPageView):
    """GX's page view with this package's page around its sections."""

    def __init__(self, **options: Any) -> None:
        """Put this package's templates before GX's."""
        super().__init__(**options)
        self.env.bytecode_cache = _BYTECODE
        self.env.loader = ChoiceLoader(
            [FileSystemLoader(TEMPLATES), *([self.env.loader] if self.env.loader else [])]
        )


class NoIndex:
    """Leaves the site's index alone: `expectations.data_docs` writes it, with verdicts."""

    def __init__(self, **_: Any) -> None:
        """Take what GX hands to every index builder."""

    def build(self, **_: Any) -> tuple[None, dict[str, Any]]:
        """Build nothing."""
        return None, {}
