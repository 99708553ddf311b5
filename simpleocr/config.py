"""Config: all that determines a network's tensors and what they mean, and how a model file's header says it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from simpleocr.preprocessing import Preprocessing
from simpleocr.vocabulary import Vocabulary, VocabularyError

SECTIONS = {"architecture", "vocabulary", "preprocessing", "calibration", "language", "training"}  # of a CRNN's header
MOST = 1e9  # of any number of a header; none is infinite, either
ROW_STRIDE = 8  # the CNN keeps H / 8 rows; their weighted mean is a timestep


@dataclass(frozen=True)
class Backbone:
    """The sizes of a network; to add one is to add an entry to BACKBONES.

    Args:
        channels: of the four stages, at strides 2, 4, 4 (8 in height), 4 (8 in height).
        blocks: residual blocks of each stage.
        hidden: LSTM units a direction.
        layers: LSTM layers.
    """

    channels: tuple[int, int, int, int]
    blocks: tuple[int, int, int, int]
    hidden: int
    layers: int


BACKBONES: dict[str, Backbone] = {
    "tiny": Backbone(channels=(8, 16, 16, 32), blocks=(1, 1, 1, 1), hidden=32, layers=1),  # for tests
    "small": Backbone(channels=(32, 64, 128, 256), blocks=(1, 1, 2, 1), hidden=256, layers=1),
    "base": Backbone(channels=(32, 64, 128, 256), blocks=(2, 3, 5, 1), hidden=256, layers=1),
}
STRIDES = ((1, 1), (2, 2), (2, 1), (1, 1))
"""Of the first block of each of a backbone's stages, rows and columns; the stem before them halves both."""

SIZES = {
    "tiny": ((8, 8, 16, 16), (1, 1, 1, 1), 8),  # for tests
    "small": ((32, 64, 96, 128), (2, 2, 2, 2), 48),
}
"""Name -> channels and residual blocks of a LineNet's stages at strides 4, 8, 16 and 32, and channels of its pyramid."""


@dataclass(frozen=True)
class CRNNConfig:
    """All that determines a CRNN's tensors and what they mean.

    Args:
        vocabulary: the characters it can write.
        backbone: a name in BACKBONES.
        preprocessing: how line pictures become its input.
        temperature: logits are divided by it before the softmax; fitted on held-out data so that confidence is honest.
        ngrams: of the language beside the network, which a decoder may ask; 0 where there is none.
        order: characters of the longest of them.
        ranges: how far the outputs of its convolutions go, which are numbered as crnn_graph() makes them: (least,
            greatest) on held-out data. With them it can be run in whole numbers; without, there are none.
    """

    vocabulary: Vocabulary
    backbone: str = "small"
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    temperature: float = 1.0
    ngrams: int = 0
    order: int = 0
    ranges: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise ValueError(f"no backbone {self.backbone!r}: there are {', '.join(BACKBONES)}")
        if self.preprocessing.height % ROW_STRIDE:
            raise ValueError(f"height {self.preprocessing.height} is not a multiple of {ROW_STRIDE}")
        if not 0.05 <= self.temperature <= 20:
            raise ValueError(f"temperature {self.temperature} is not in 0.05..20")
        if not (0 <= self.ngrams <= 10_000_000 and 0 <= self.order <= 8 and bool(self.ngrams) == bool(self.order)):
            raise ValueError(f"no language has {self.ngrams} n-grams of up to {self.order} characters")
        _check_ranges(self.ranges)

    def to_header(self) -> dict[str, Any]:
        """Its sections of a model file's header; "training" is not among them."""
        return {
            "architecture": {"name": "crnn", "backbone": self.backbone},
            "vocabulary": self.vocabulary.characters,
            "preprocessing": asdict(self.preprocessing),
            "calibration": {"temperature": float(self.temperature), **_ranges_section(self.ranges)},
            "language": {"ngrams": self.ngrams, "order": self.order},
        }

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> "CRNNConfig":
        """The config that a model file's header describes.

        Raises:
            ValueError: a section or a value that is missing, unknown or out of bounds.
        """
        if set(header) != SECTIONS:
            raise ValueError(f"the header has the sections {sorted(header)}, not {sorted(SECTIONS)}")
        architecture = _section(header, "architecture", {"name", "backbone"})
        if architecture["name"] != "crnn":
            raise ValueError(f"the architecture is {architecture['name']!r}, not 'crnn'")
        preprocessing = _section(header, "preprocessing", {f.name for f in fields(Preprocessing)})
        calibration = _section(header, "calibration", {"temperature"}, frozenset({"ranges"}))
        language = _section(header, "language", {"ngrams", "order"})
        temperature = calibration["temperature"]
        for name, value in {**preprocessing, "temperature": temperature, **language}.items():
            if not _is_number(value):
                raise ValueError(f"{name} is {value!r:.40}, not a number that can be used")
        whole = {name: preprocessing[name] for name in ("height", "max_width")} | language
        for name, value in whole.items():
            if not isinstance(value, int):
                raise ValueError(f"{name} is {value!r}, not a whole number")
        characters = header["vocabulary"]
        if not isinstance(characters, str):
            raise ValueError(f"the vocabulary is {type(characters).__name__}, not text")
        try:
            vocabulary = Vocabulary(characters)
        except VocabularyError as error:
            raise ValueError(f"the vocabulary is not one: {error}") from error
        return cls(
            vocabulary=vocabulary,
            backbone=str(architecture["backbone"]),
            preprocessing=Preprocessing(**preprocessing),
            temperature=float(temperature),
            ranges=_ranges(calibration),
            **language,
        )


@dataclass(frozen=True)
class LineNetConfig:
    """All that determines a LineNet's tensors and what they mean.

    Args:
        size: a name in SIZES.
        threshold: probability from which a cell belongs to a line's core.
        ranges: as a CRNN's, numbered as linenet_graph() makes them.
    """

    size: str = "small"
    threshold: float = 0.4
    ranges: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise ValueError(f"no size {self.size!r}: there are {', '.join(SIZES)}")
        if not 0.05 <= self.threshold <= 0.95:
            raise ValueError(f"threshold {self.threshold} is not in 0.05..0.95")
        _check_ranges(self.ranges)

    def to_header(self) -> dict[str, Any]:
        """Its sections of a model file's header; "training" is not among them."""
        return {
            "architecture": {"name": "linenet", "size": self.size},
            "calibration": {"threshold": float(self.threshold), **_ranges_section(self.ranges)},
        }

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> "LineNetConfig":
        """The config that a model file's header describes.

        Raises:
            ValueError: a section or a value that is missing, unknown or out of bounds.
        """
        if set(header) != {"architecture", "calibration", "training"}:
            raise ValueError(
                f"the header has the sections {sorted(header)}, not ['architecture', 'calibration', 'training']"
            )
        architecture = _section(header, "architecture", {"name", "size"})
        calibration = _section(header, "calibration", {"threshold"}, frozenset({"ranges"}))
        if architecture["name"] != "linenet":
            raise ValueError(f"the architecture is {architecture['name']!r}, not 'linenet'")
        if not _is_number(calibration["threshold"]):
            raise ValueError(f"threshold is {calibration['threshold']!r:.40}, not a number that can be used")
        return cls(str(architecture["size"]), float(calibration["threshold"]), _ranges(calibration))


def training_summary(header: Mapping[str, Any]) -> dict[str, Any]:
    """What a header says of how the weights came to be.

    Raises:
        ValueError: it is no section, or counts samples in what is no whole number.
    """
    summary = header["training"]
    if not isinstance(summary, dict):
        raise ValueError(f"the training summary is {type(summary).__name__}, not a section")
    samples = summary.get("samples", 0)
    if not isinstance(samples, int) or isinstance(samples, bool) or not 0 <= samples < MOST:
        raise ValueError(f"the training summary counts {samples!r:.40} samples")
    return summary


def _section(
    header: Mapping[str, Any], name: str, keys: set[str], optional: frozenset[str] = frozenset()
) -> dict[str, Any]:
    section = header.get(name)
    if not isinstance(section, dict):
        raise ValueError(f"the header has no section {name!r}")
    if set(section) - optional != keys:
        raise ValueError(f"section {name!r} has the keys {sorted(section)}, not {sorted(keys)}")
    return section


def _is_number(value: object) -> bool:
    """Whether a value of JSON is a number; one that no float comes near, whole as it may be, counts as none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST


def _ranges_section(ranges: tuple[tuple[float, float], ...]) -> dict[str, Any]:
    # files of models that have none are as they were before there were any
    return {"ranges": [[float(low), float(high)] for low, high in ranges]} if ranges else {}


def _ranges(calibration: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    ranges = calibration.get("ranges", [])
    if not isinstance(ranges, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(_is_number(value) for value in pair) for pair in ranges
    ):
        raise ValueError("ranges are not pairs of numbers that can be used")
    return tuple((float(low), float(high)) for low, high in ranges)


def _check_ranges(ranges: tuple[tuple[float, float], ...]) -> None:
    if len(ranges) > 1000 or not all(-1e6 <= low <= 0 <= high <= 1e6 and low < high for low, high in ranges):
        raise ValueError("ranges are not pairs (least <= 0, greatest >= 0) that differ")
