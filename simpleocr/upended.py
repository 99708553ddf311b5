"""Upended: texts that stand on their heads and still are texts, "www" and "mmm", "moon" and "uoow", "906"."""

ALIKE = str.maketrans("0li|!7523u\u2013\u2014", "o11111szen--")
"""Characters that are drawn alike, or are so on their heads, small or large: "E" and "3", "L" and "7", "n" and "u", "N"."""
ON_ITS_HEAD = dict(zip("oxszhn18ewmdpbq69-=+:%/()", "oxszhn18emwpdqb96-=+:%/)(", strict=True))
"""What a character is upside down, of those that are one there."""


def reads_both_ways(text: str, other: str) -> bool:
    """Whether a text on its head says another, by the shapes of their letters; cases and spaces do not count.

    So neither tells which way up the picture is that says the one and, turned round, the other.
    """
    upright, turned = (_shapes(one) for one in (text, other))
    return bool(upright) and upright == "".join(ON_ITS_HEAD.get(c, "\0") for c in reversed(turned))


def _shapes(text: str) -> str:
    return "".join(text.split()).casefold().translate(ALIKE)
