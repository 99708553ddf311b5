"""CRNN: line pictures -> logits; a residual CNN, a BiLSTM and a CTC head (Shi et al. 2015, arXiv 1507.05717).

Shapes: B batch, H height, W width, R rows of the features, T timesteps = W / 4, D features, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from simpleocr.bilstm import PaddedBiLSTM
from simpleocr.config import BACKBONES, STRIDES, CRNNConfig, training_summary
from simpleocr.language import MOST_CLASSES, TENSORS, Language
from simpleocr.likelihood import LogProbs
from simpleocr.preprocessing import Lines, Preprocessing, stack_lines
from simpleocr.pretrained import PretrainedModel
from simpleocr.residual import ResidualBlock, masked
from simpleocr.vocabulary import Vocabulary


class StoredLanguage(nn.Module):
    """A Language whose arrays are tensors of the network, so that they lie in its file; whole numbers as floats.

    Args:
        ngrams: nodes of its tree.
        order: characters of the longest n-gram.
    """

    def __init__(self, ngrams: int, order: int) -> None:
        super().__init__()
        self.order = order
        for name in TENSORS:
            self.register_buffer(name, torch.zeros(ngrams))
        self._language: Language | None = None

    @classmethod
    def of(cls, language: Language) -> Self:
        """A language as tensors."""
        stored = cls(len(language), language.order)
        for name in TENSORS:
            setattr(stored, name, torch.from_numpy(getattr(language, name).astype(np.float32)))
        return stored

    def read(self) -> Language:
        """What the tensors say.

        Raises:
            ValueError: they are no tree.
        """
        if self._language is None:
            arrays = {name: getattr(self, name).float().cpu().numpy() for name in TENSORS}
            self._language = Language.from_tensors(arrays, self.order)
        return self._language

    def log_next(self, text: tuple[int, ...], following: int) -> float:
        """As Language.log_next()."""
        return self.read().log_next(text, following)


class CRNN(nn.Module, PretrainedModel, tags=["ctc"]):
    """Reads line pictures; see forward().

    Args:
        config: sizes, vocabulary and preprocessing.
        training_summary: JSON-able account of how the weights came to be; kept in the model file.
    """

    architecture: ClassVar[str] = "crnn"
    reads_with: ClassVar[str] = 'OCR.from_pretrained("{}")'

    def __init__(self, config: CRNNConfig, training_summary: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.config = config
        self.training_summary = training_summary or {}
        backbone = BACKBONES[config.backbone]
        channels = backbone.channels
        self.stem = nn.Conv2d(1, channels[0], 3, 2, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(channels[0])
        self.stages = nn.ModuleList()
        inputs = channels[0]
        for outputs, blocks, stride in zip(channels, backbone.blocks, STRIDES, strict=True):
            stage = nn.ModuleList(
                ResidualBlock(inputs if i == 0 else outputs, outputs, stride if i == 0 else (1, 1))
                for i in range(blocks)
            )
            self.stages.append(stage)
            inputs = outputs
        self.row_score = nn.Conv2d(inputs, 1, 1, bias=False)  # a softmax would cancel it
        self.rnn = nn.LSTM(inputs, backbone.hidden, backbone.layers, batch_first=True, bidirectional=True)
        self.classifier = nn.Linear(2 * backbone.hidden, config.vocabulary.num_classes)
        self.language = StoredLanguage(config.ngrams, config.order) if config.ngrams else None

    def set_language(self, language: Language | None) -> None:
        """Put a language in the place of the one that is there, if any.

        Raises:
            ValueError: the vocabulary is too large for one.
        """
        if language is not None and self.vocabulary.num_classes > MOST_CLASSES:
            raise ValueError(f"a language has at most {MOST_CLASSES} classes, not {self.vocabulary.num_classes}")
        ngrams, order = (len(language), language.order) if language is not None else (0, 0)
        self.config = replace(self.config, ngrams=ngrams, order=order)
        self.language = StoredLanguage.of(language) if language is not None else None

    @property
    def vocabulary(self) -> Vocabulary:
        """The characters this network can write."""
        return self.config.vocabulary

    @property
    def preprocessing(self) -> Preprocessing:
        """How line pictures become its input."""
        return self.config.preprocessing

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
        return self.classify(self.recur(self.encode(images, widths), widths))

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

    def recur(self, features: Tensor, widths: Tensor | None = None) -> Tensor:
        """(B, T, D) -> (B, T', 2 hidden), T' the timesteps of the longest line: the BiLSTM."""
        steps = None if widths is None else self.timesteps(widths)
        if features.is_cuda:  # autocast would run cuDNN's LSTM in float16, in which its gradients vanish
            with torch.autocast("cuda", enabled=False):
                return self._recur(features.float(), steps)
        return self._recur(features, steps)

    def classify(self, sequence: Tensor) -> Tensor:
        """(B, T, 2 hidden) -> logits (B, T, C): the CTC head."""
        with torch.autocast(sequence.device.type, enabled=False):  # logits of 8 bits would make confidences coarse
            return self.classifier(sequence.float())

    def _recur(self, features: Tensor, steps: Tensor | None) -> Tensor:
        if isinstance(self.rnn, PaddedBiLSTM):
            sequence = self.rnn(features, steps)
            sequence = sequence if steps is None else sequence[:, : int(steps.max())]
        elif steps is None or bool((steps == steps[0]).all()):
            sequence, _ = self.rnn(features if steps is None else features[:, : int(steps[0])])
        else:  # packed, or the backward direction would read the padding first
            packed = pack_padded_sequence(features, steps, batch_first=True, enforce_sorted=False)
            sequence, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return sequence

    def log_probs(self, lines: Sequence[Lines]) -> list[LogProbs]:
        """Line tensors (1, H, W_i) -> calibrated log_probs (T_i, C) of each, as if it had been read alone."""
        assert not self.training, "a network in train mode reads every batch differently: call eval()"
        stacked, columns = stack_lines(lines)
        weight, widths = self.stem.weight, torch.from_numpy(columns)
        with torch.inference_mode():
            images = torch.from_numpy(stacked).to(weight.device, weight.dtype, memory_format=torch.channels_last)
            logits = self(images, widths)
            rows = (logits.float() / self.config.temperature).log_softmax(dim=-1).cpu().numpy()
        return [row[:count] for row, count in zip(rows, self.timesteps(widths).tolist(), strict=True)]

    def check(self) -> None:
        """What PretrainedModel asks for: the language must be one.

        Raises:
            ValueError: it is not.
        """
        if self.language is not None:
            self.language.read()

    def to_header(self) -> dict[str, Any]:
        """What the model file says of this network beside its tensors."""
        return {**self.config.to_header(), "training": dict(self.training_summary)}

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> Self:
        """A network as a model file's header describes it; its tensors are still to be filled.

        Raises:
            ValueError: a section or a value that is missing, unknown or out of bounds.
        """
        return cls(CRNNConfig.from_header(header), training_summary(header))


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
