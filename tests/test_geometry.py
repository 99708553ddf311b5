"""simpleocr.geometry: what a Transform does, undoes and chains; rectangles around turned letters."""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simpleocr.geometry import Point, Polygon, Transform, box_to_polygon, enclose, polygon_to_box

law = settings(deadline=None, max_examples=50)
coordinates = st.floats(-1000, 1000)
points = st.tuples(coordinates, coordinates)
angles = st.floats(-2 * math.pi, 2 * math.pi)


def rotate(angle: float) -> Transform:
    """Clockwise on the screen, for y points down."""
    c, s = math.cos(angle), math.sin(angle)
    return Transform(((c, -s, 0), (s, c, 0), (0, 0, 1)))


@st.composite
def affines(draw: st.DrawFn) -> Transform:
    scale = st.one_of(st.floats(0.2, 4), st.floats(-4, -0.2))
    shear = Transform(((1, draw(st.floats(-1, 1)), 0), (0, 1, 0), (0, 0, 1)))
    parts = [Transform.scale(draw(scale), draw(scale)), shear, rotate(draw(angles)), Transform.translate(*draw(points))]
    result = Transform.identity()
    for part in draw(st.permutations(parts)):
        result = result.then(part)
    return result


@st.composite
def projectives(draw: st.DrawFn) -> Transform:
    tilt = st.floats(-1e-5, 1e-5)  # small enough that nothing within reach goes behind the camera
    return draw(affines()).then(Transform(((1, 0, 0), (0, 1, 0), (draw(tilt), draw(tilt), 1))))


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    (x, y), side = draw(points), st.floats(0.5, 200)
    return (x, y, x + draw(side), y + draw(side))


transforms = st.one_of(affines(), projectives())


def near(one: Iterable[Point], other: Iterable[Point]) -> bool:
    return np.allclose(list(one), list(other), rtol=1e-6, atol=1e-4)


@law
@given(transforms, transforms, points)
def test_then_is_one_after_the_other(first: Transform, second: Transform, point: Point) -> None:
    assert near([first.then(second).apply(point)], [second.apply(first.apply(point))])


@law
@given(transforms, transforms, transforms, points)
def test_then_is_associative(first: Transform, second: Transform, third: Transform, point: Point) -> None:
    one, other = first.then(second).then(third), first.then(second.then(third))
    assert near([one.apply(point)], [other.apply(point)])


@law
@given(transforms, points)
def test_invert_undoes_on_both_sides(transform: Transform, point: Point) -> None:
    undo = transform.invert()
    assert near([undo.apply(transform.apply(point))], [point])
    assert near([undo.then(transform).apply(point)], [point])
    assert near([undo.invert().apply(point)], [transform.apply(point)])


@law
@given(transforms, transforms, points)
def test_invert_of_a_chain_is_the_chain_of_inverses_backwards(a: Transform, b: Transform, point: Point) -> None:
    there = a.then(b).apply(point)
    assert near([b.invert().then(a.invert()).apply(there)], [a.then(b).invert().apply(there)])


@law
@given(transforms, points)
def test_identity_changes_nothing(transform: Transform, point: Point) -> None:
    assert Transform.identity().apply(point) == point
    assert transform.then(Transform.identity()) == transform == Transform.identity().then(transform)


@law
@given(projectives(), points, points, st.floats(0, 1))
def test_straight_lines_stay_straight(transform: Transform, one: Point, other: Point, share: float) -> None:
    between = (one[0] + share * (other[0] - one[0]), one[1] + share * (other[1] - one[1]))
    (ax, ay), (bx, by), (cx, cy) = (transform.apply(p) for p in (one, other, between))
    length = max(1.0, math.hypot(bx - ax, by - ay))
    assert abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) / length < 1e-3


def test_by_example() -> None:
    assert Transform.translate(3, -2).apply((1, 1)) == (4, -1)
    assert Transform.scale(2, 0.5).apply((3, 4)) == (6, 2)
    assert Transform.translate(1, 0).then(Transform.scale(2, 2)).apply((0, 0)) == (2, 0)
    assert Transform.scale(2, 2).then(Transform.translate(1, 0)).apply((0, 0)) == (1, 0)
    tilted = Transform(((1, 0, 0), (0, 1, 0), (0.001, 0, 1)))
    assert tilted.apply((250, 50)) == pytest.approx((200, 40))
    assert tilted.invert().apply((200, 40)) == pytest.approx((250, 50))
    square = box_to_polygon((0, 0, 10, 20))
    assert Transform.translate(1, 2).apply_polygon(square) == ((1, 2), (11, 2), (11, 22), (1, 22))


@law
@given(transforms, boxes())
def test_a_polygon_goes_where_its_corners_go(transform: Transform, box: tuple[float, float, float, float]) -> None:
    polygon = box_to_polygon(box)
    moved = transform.apply_polygon(polygon)
    assert moved == tuple(transform.apply(point) for point in polygon)
    assert {type(value) for point in moved for value in point} == {float}  # numpy's are no JSON


@pytest.mark.parametrize(
    "transform",
    [
        Transform.scale(0, 1),
        Transform.scale(0, 0),
        Transform(((1, 2, 0), (2, 4, 0), (0, 0, 1))),
        Transform(((1, 0, 0), (0, 1, 0), (0, 0, 0))),
    ],
)
def test_what_cannot_be_undone(transform: Transform) -> None:
    with pytest.raises(ValueError, match="cannot be inverted"):
        transform.invert()


def test_transforms_are_frozen_values() -> None:
    transform = Transform.from_array(np.arange(9).reshape(3, 3))
    assert transform == Transform(((0, 1, 2), (3, 4, 5), (6, 7, 8)))
    assert hash(transform) == hash(Transform.from_array([[0, 1, 2], [3, 4, 5], [6, 7, 8]]))
    with pytest.raises(dataclasses.FrozenInstanceError):
        transform.matrix = Transform.identity().matrix  # type: ignore[misc]
    with pytest.raises(ValueError, match="reshape"):
        Transform.from_array(np.eye(2))


@law
@given(boxes(), angles)
def test_boxes_and_polygons(box: tuple[float, float, float, float], angle: float) -> None:
    polygon = box_to_polygon(box)
    assert polygon_to_box(polygon) == box
    assert area(polygon) > 0  # clockwise from the top-left
    assert polygon[0] == box[:2]
    assert polygon[2] == box[2:]
    left, top, right, bottom = polygon_to_box(turned := rotate(angle).apply_polygon(polygon))
    assert all(left <= x <= right and top <= y <= bottom for x, y in turned)
    assert {left, right} <= {x for x, _ in turned}
    assert {top, bottom} <= {y for _, y in turned}


def area(polygon: Polygon) -> float:
    """Positive if clockwise, for y points down."""
    pairs = zip(polygon, polygon[1:] + polygon[:1], strict=True)
    return sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairs) / 2


@law
@given(st.lists(boxes(), min_size=1, max_size=6))
def test_enclose_of_upright_boxes_is_their_common_box(letters: list[tuple[float, float, float, float]]) -> None:
    lefts, tops, rights, bottoms = zip(*letters, strict=True)
    expected = box_to_polygon((min(lefts), min(tops), max(rights), max(bottoms)))
    assert near(enclose([box_to_polygon(letter) for letter in letters]), expected)


@law
@given(st.lists(boxes(), min_size=1, max_size=6), angles, points, st.floats(0.1, 3))
def test_enclose_turns_with_the_line(
    letters: list[tuple[float, float, float, float]], angle: float, offset: Point, scale: float
) -> None:
    # the corner that is top-left as the line is read stays the first one, upside down, too
    move = rotate(angle).then(Transform.scale(scale, scale)).then(Transform.translate(*offset))
    polygons = [box_to_polygon(letter) for letter in letters]
    turned = enclose([move.apply_polygon(polygon) for polygon in polygons])
    assert near(turned, move.apply_polygon(enclose(polygons)))
    assert area(turned) > 0


@law
@given(st.lists(st.tuples(points, points, points, points), min_size=1, max_size=4))
def test_enclose_is_a_tight_rectangle(polygons: list[Polygon]) -> None:
    corners = np.array(enclose(polygons))
    (ax, ay), (bx, by), *_ = polygons[0]
    length = math.hypot(bx - ax, by - ay)
    along = np.array([bx - ax, by - ay]) / length if length > 1e-6 else None
    if along is None:
        return
    inside = np.array(polygons).reshape(-1, 2)
    for axis in (along, np.array([-along[1], along[0]])):
        assert (corners @ axis).min() == pytest.approx((inside @ axis).min(), abs=1e-6)
        assert (corners @ axis).max() == pytest.approx((inside @ axis).max(), abs=1e-6)
    assert np.allclose(corners[0] + corners[2], corners[1] + corners[3], atol=1e-6)


def test_enclose_of_a_letter_without_width_is_upright() -> None:
    thin: Polygon = ((5, 5), (5, 5), (5, 9), (5, 9))
    assert enclose([thin]) == thin
    assert enclose([thin, box_to_polygon((6, 4, 8, 8))]) == ((5, 4), (8, 4), (8, 9), (5, 9))
