"""upended: which texts are others on their heads."""

import pytest

from simpleocr.upended import reads_both_ways


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("wxw", "MXM"),
        ("moon", "uoow"),
        ("906", "906"),
        ("w031 x", "XLEOM"),
        ("NOON", "NOON"),
        ("pod", "pod"),
        ("b", "q"),
    ],
)
def test_texts_that_are_others_on_their_heads(text: str, other: str) -> None:
    assert reads_both_ways(text, other)
    assert reads_both_ways(other, text)


@pytest.mark.parametrize(
    ("text", "other"), [("web", "gam"), ("", ""), ("a", "a"), ("mow", "wow"), ("906", "609"), ("x", "xx"), ("to", "of")]
)
def test_texts_that_are_not(text: str, other: str) -> None:
    assert not reads_both_ways(text, other)
    assert not reads_both_ways(other, text)
