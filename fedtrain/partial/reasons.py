"""Reasons why something of a client was put aside: they may quote what it sent, and are fit to be shown and logged."""

LONGEST = 200


def printable(reason: str) -> str:
    r"""Show control characters as escapes, and cut what is too long.

    Examples
    --------
    >>> print(printable("tensor a\nb is missing"))
    tensor a\nb is missing
    """
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in reason)
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"
