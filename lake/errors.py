"""What every error of the platform is: one sentence for a person, and whether another try can help."""

from __future__ import annotations


class MillraceError(Exception):
    """The work failed; the message is one sentence that says what was wrong and, where it is known, what to do.

    The same work fails again until somebody changes something.
    """


class TransientError(MillraceError):
    """The same work may succeed when it is tried again."""


class WrongUseError(MillraceError):
    """What was asked for does not exist, or makes no sense."""
