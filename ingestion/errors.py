"""The errors that a person who loads files can cause."""

from __future__ import annotations

from lake.errors import MillraceError


class LoadError(MillraceError):
    """An input could not be loaded and nothing of it was; one sentence that says what and, if known, what to do."""


class NoRoomError(LoadError):
    """There is not enough memory or temporary disk space; the same load may get through elsewhere."""
