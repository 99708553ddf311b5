"""CRNN: line pictures -> logits; a residual CNN, a BiLSTM and a CTC head (Shi et al. 2015, arXiv 1507.05717).

Shapes: B batch, H height, W width, R rows of the features, T timesteps = W / 4, D features, C classes.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from simpleocr.language import MOST_CLASSES, Language
from simpleocr.preprocessing import Preprocessing
from simpleocr.pretrained import PretrainedModel
from simpleocr.residual import ResidualBlock, masked
from simpleocr.vocabulary import Vocabulary, VocabularyError

COLUMN_STRIDE = 4  # columns of the picture that one timestep stands for
SECTIONS = {
    "architecture",
    "vocabulary",
    "preprocessing",
    "calibration",
    "language",
    "training",
}  # of a model file's header
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
    "base": Backbone(channels=(48, 96, 192, 384), blocks=(1, 2, 4, 2), hidden=256, layers=2),
}


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
    """

    vocabulary: Vocabulary
    backbone: str = "small"
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    temperature: float = 1.0
    ngrams: int = 0
    order: int = 0

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise ValueError(f"no backbone {self.backbone!r}: there are {', '.join(BACKBONES)}")
        if self.preprocessing.height % ROW_STRIDE:
            raise ValueError(f"height {self.preprocessing.height} is not a multiple of {ROW_STRIDE}")
        if not 0.05 <= self.temperature <= 20:
            raise ValueError(f"temperature {self.temperature} is not in 0.05..20")
        if not (0 <= self.ngrams <= 10_000_000 and 0 <= self.order <= 8 and bool(self.ngrams) == bool(self.order)):
            raise ValueError(f"no language has {self.ngrams} n-grams of up to {self.order} characters")


class CRNN(nn.Module, PretrainedModel, tags=["ctc"]):
    """Reads line pictures; see forward().

    Args:
        config: sizes, vocabulary and preprocessing.
        training_summary: JSON-able account of how the weights came to be; kept in the model file.
    """

    architecture: ClassVar[str] = "crnn"

    def __init__(self, config: CRNNConfig, training_summary: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.config = config
        self.training_summary = training_summary or {}
        backbone = BACKBONES[config.backbone]
        channels, strides = backbone.channels, ((1, 1), (2, 2), (2, 1), (1, 1))
        self.stem = nn.Conv2d(1, channels[0], 3, 2, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(channels[0])
        self.stages = nn.ModuleList()
        inputs = channels[0]
        for outputs, blocks, stride in zip(channels, backbone.blocks, strides, strict=True):
            stage = nn.ModuleList(
                ResidualBlock(inputs if i == 0 else outputs, outputs, stride if i == 0 else (1, 1))
                for i in range(blocks)
            )
            self.stages.append(stage)
            inputs = outputs
        self.row_score = nn.Conv2d(inputs, 1, 1, bias=False)  # a softmax would cancel it
        self.rnn = nn.LSTM(inputs, backbone.hidden, backbone.layers, batch_first=True, bidirectional=True)
        self.classifier = nn.Linear(2 * backbone.hidden, config.vocabulary.num_classes)
        self.language = Language(config.ngrams, config.order) if config.ngrams else None

    def set_language(self, language: Language | None) -> None:
        """Put a language in the place of the one that is there, if any.

        Raises:
            ValueError: the vocabulary is too large for one.
        """
        if language is not None and self.vocabulary.num_classes > MOST_CLASSES:
            raise ValueError(f"a language has at most {MOST_CLASSES} classes, not {self.vocabulary.num_classes}")
        ngrams, order = (len(language.chars), language.order) if language is not None else (0, 0)
        self.config = replace(self.config, ngrams=ngrams, order=order)
        self.language = language

    @property
    def vocabulary(self) -> Vocabulary:
        """The characters this network can write."""
        return self.config.vocabulary

    @staticmethod
    def timesteps(widths: Tensor) -> Tensor:
        """Timesteps T_i of lines that are W_i columns wide."""
        return _halved(_halved(widths))

    def forward(self, images: Tensor, widths: Tensor | None = None) -> Tensor:
        """Line pictures -> logits.

        Args:
            images: (B, 1, H, W) as line_to_tensor and stack_lines make them, 0 beyond each line's width.
            widths: (B,) columns of each line, on the CPU; None says that all are W wide.

        Returns:
            (B, T, C) with T timesteps in the longest line; only the first timesteps(widths) of each mean anything, and
            they are what the line read alone gives.
        """
        assert images.shape[-2] == self.config.preprocessing.height, f"pictures are {images.shape[-2]} rows high"
        if widths is not None and bool((widths == images.shape[-1]).all()):
            widths = None
        return self.classify(self.encode(images, widths), widths)

    def encode(self, images: Tensor, widths: Tensor | None = None) -> Tensor:
        """(B, 1, H, W) -> (B, T, D): the CNN, its rows pooled by a learned softmax in every column."""
        columns = None if widths is None else _halved(widths)
        mask = _mask(columns, _halved_int(images.shape[-1]), images)
        x = masked(F.relu(self.stem_norm(self.stem(images)), inplace=True), mask)  # (B, D, H/2, W/2)
        for number, stage in enumerate(self.stages):
            if number == 1:  # the one stage that halves the width again
                columns = None if columns is None else _halved(columns)
                mask = _mask(columns, _halved_int(x.shape[-1]), images)
            for block in stage:  # type: ignore[attr-defined]
                x = block(x, mask)
        weights = self.row_score(x).float().softmax(dim=2)  # (B, 1, R, T)
        return (x * weights).sum(dim=2).transpose(1, 2).to(x.dtype)  # (B, T, D)

    def classify(self, features: Tensor, widths: Tensor | None = None) -> Tensor:
        """(B, T, D) -> logits (B, T', C), T' the timesteps of the longest line: the BiLSTM and the CTC head."""
        steps = None if widths is None else self.timesteps(widths)
        if steps is None or bool((steps == steps[0]).all()):
            sequence, _ = self.rnn(features if steps is None else features[:, : int(steps[0])])
        else:  # packed, or the backward direction would read the padding first
            packed = pack_padded_sequence(features, steps, batch_first=True, enforce_sorted=False)
            sequence, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        with torch.autocast(sequence.device.type, enabled=False):  # logits of 8 bits would make confidences coarse
            return self.classifier(sequence.float())

    def check(self) -> None:
        """What PretrainedModel asks for: the language must be one.

        Raises:
            ValueError: it is not.
        """
        if self.language is not None:
            self.language.check()

    def to_header(self) -> dict[str, Any]:
        """What the model file says of this network beside its tensors."""
        return {
            "architecture": {"name": self.architecture, "backbone": self.config.backbone},
            "vocabulary": self.config.vocabulary.characters,
            "preprocessing": asdict(self.config.preprocessing),
            "calibration": {"temperature": float(self.config.temperature)},
            "language": {"ngrams": self.config.ngrams, "order": self.config.order},
            "training": dict(self.training_summary),
        }

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> Self:
        """A network as a model file's header describes it; its tensors are still to be filled.

        Raises:
            ValueError: a section or a value that is missing, unknown or out of bounds.
        """
        if set(header) != SECTIONS:
            raise ValueError(f"the header has the sections {sorted(header)}, not {sorted(SECTIONS)}")
        architecture = _section(header, "architecture", {"name", "backbone"})
        if architecture["name"] != cls.architecture:
            raise ValueError(f"the architecture is {architecture['name']!r}, not {cls.architecture!r}")
        preprocessing = _section(header, "preprocessing", {f.name for f in fields(Preprocessing)})
        calibration = _section(header, "calibration", {"temperature"})
        language = _section(header, "language", {"ngrams", "order"})
        for name, value in {**preprocessing, **calibration, **language}.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"{name} is {value!r}, not a number")
        whole = {name: preprocessing[name] for name in ("height", "max_width")} | language
        for name, value in whole.items():
            if not isinstance(value, int):
                raise ValueError(f"{name} is {value!r}, not a whole number")
        characters, summary = header["vocabulary"], header["training"]
        if not isinstance(characters, str):
            raise ValueError(f"the vocabulary is {type(characters).__name__}, not text")
        if not isinstance(summary, dict):
            raise ValueError(f"the training summary is {type(summary).__name__}, not a section")
        try:
            vocabulary = Vocabulary(characters)
        except VocabularyError as error:
            raise ValueError(f"the vocabulary is not one: {error}") from error
        config = CRNNConfig(
            vocabulary=vocabulary,
            backbone=str(architecture["backbone"]),
            preprocessing=Preprocessing(**preprocessing),
            temperature=float(calibration["temperature"]),
            **language,
        )
        return cls(config, summary)


def _section(header: Mapping[str, Any], name: str, keys: set[str]) -> dict[str, Any]:
    section = header.get(name)
    if not isinstance(section, dict):
        raise ValueError(f"the header has no section {name!r}")
    if set(section) != keys:
        raise ValueError(f"section {name!r} has the keys {sorted(section)}, not {sorted(keys)}")
    return section


def _halved(widths: Tensor) -> Tensor:
    # a convolution of kernel 3, stride 2 and padding 1 makes ceil(W / 2) of W columns
    return (widths + 1) // 2


def _halved_int(width: int) -> int:
    return (width + 1) // 2


def _mask(columns: Tensor | None, width: int, like: Tensor) -> Tensor | None:
    """(B, 1, 1, width) of ones up to each line's number of columns, then zeros."""
    if columns is None:
        return None
    inside = torch.arange(width)[None] < columns[:, None]
    return inside[:, None, None].to(like)
