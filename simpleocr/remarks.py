"""Remarks: one line that tells a person how it stands, as HTML."""


def note(message: str, *, busy: bool = False) -> str:
    """A line below the button, which screen readers read out."""
    return f'<p role="status"{" class=busy" * busy}>{message}</p>'


def alert(message: str) -> str:
    """The same of what went wrong; the message is HTML already."""
    return f'<p role="alert">{message}</p>'


def many(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count} {noun}{'s' * (count != 1)}"
