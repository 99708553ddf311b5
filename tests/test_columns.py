"""simpleocr.columns: what is known of a column that grows is what its lines say together."""

from itertools import pairwise
from random import Random
from statistics import median

from simpleocr.columns import CLOSE, FULL, FULL_LINES, PROSE, PROSE_LINES, Beside, Column
from simpleocr.geometry import Box


def is_prose(lines: list[Box]) -> bool:
    """As Column.is_prose, of all lines at once."""
    if len(lines) < PROSE_LINES or median((line[2] - line[0]) / (line[3] - line[1]) for line in lines) < PROSE:
        return False
    widths = [line[2] - line[0] for line in lines]
    column = max(line[2] for line in lines) - min(line[0] for line in lines)
    if sum(width for width in widths if width > FULL * column) < FULL_LINES * sum(widths):
        return False
    gaps = [below[1] - above[3] for above, below in pairwise(sorted(lines, key=lambda line: (line[1], *line)))]
    return median(gaps) < CLOSE * median(line[3] - line[1] for line in lines)


def some_lines(rng: Random, count: int) -> list[Box]:
    pitch = rng.choice([20, 24, 40])
    tops = [float(pitch * row + rng.randint(-3, 3)) for row in range(count)]
    rng.shuffle(tops)
    lefts = [rng.choice([0.0, 0.0, 20.0]) for _ in tops]
    return [
        (x, y, x + rng.choice([40, 150, 180, 200]), y + rng.choice([15, 18])) for x, y in zip(lefts, tops, strict=True)
    ]


def test_a_column_knows_after_each_line_whether_it_is_running_text() -> None:
    rng = Random(1)
    said = []
    for _ in range(200):
        lines = some_lines(rng, rng.randint(1, 12))
        column = Column()
        for count, line in enumerate(lines, 1):
            column.add(line)
            said.append(column.is_prose)
            assert said[-1] == is_prose(lines[:count])
        split = rng.randint(0, len(lines))
        merged = Column(lines[:split]).merged(Column(lines[split:]))
        assert merged.is_prose == is_prose(lines)
        assert merged.lines == column.lines
    assert 100 < sum(said) < len(said) - 100


def test_columns_beside_each_other_grow_together_where_a_line_bridges_them() -> None:
    beside = Beside(gap=-2.0)
    for line in ((0.0, 0.0, 50.0, 18.0), (100.0, 0.0, 150.0, 18.0), (49.0, 0.0, 90.0, 18.0)):
        beside.add(line, 0)
    assert [(column.left, column.right, column.bands) for column in beside.columns] == [
        (0.0, 50.0, [0]),
        (49.0, 90.0, [0]),  # reaches into the first by less than the gap
        (100.0, 150.0, [0]),
    ]
    beside.add((80.0, 24.0, 110.0, 42.0), 1)
    assert [(column.left, column.right, column.bands) for column in beside.columns] == [
        (0.0, 50.0, [0]),
        (49.0, 150.0, [0, 1]),
    ]
