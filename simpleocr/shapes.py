"""Shapes: the name and shape of every tensor that a network's model file holds, known from its config alone."""

from collections.abc import Iterator

from simpleocr.config import BACKBONES, SIZES, STRIDES, CRNNConfig, LineNetConfig
from simpleocr.language import TENSORS

Shape = tuple[int, ...]
Named = Iterator[tuple[str, Shape]]


def crnn_shapes(config: CRNNConfig) -> dict[str, Shape]:
    """Of a CRNN."""
    backbone = BACKBONES[config.backbone]

    def every() -> Named:
        yield from _convolution("stem", 1, backbone.channels[0])
        inputs = backbone.channels[0]
        for number, (outputs, blocks) in enumerate(zip(backbone.channels, backbone.blocks, strict=True)):
            yield from _stage(f"stages.{number}", inputs, outputs, blocks, strided=STRIDES[number] != (1, 1))
            inputs = outputs
        yield "row_score.weight", (1, inputs, 1, 1)
        for layer in range(backbone.layers):
            width = inputs if layer == 0 else 2 * backbone.hidden
            for side in ("", "_reverse"):
                yield f"rnn.weight_ih_l{layer}{side}", (4 * backbone.hidden, width)
                yield f"rnn.weight_hh_l{layer}{side}", (4 * backbone.hidden, backbone.hidden)
                yield f"rnn.bias_ih_l{layer}{side}", (4 * backbone.hidden,)
                yield f"rnn.bias_hh_l{layer}{side}", (4 * backbone.hidden,)
        yield "classifier.weight", (config.vocabulary.num_classes, 2 * backbone.hidden)
        yield "classifier.bias", (config.vocabulary.num_classes,)
        if config.ngrams:
            yield from ((f"language.{name}", (config.ngrams,)) for name in TENSORS)

    return dict(every())


def linenet_shapes(config: LineNetConfig) -> dict[str, Shape]:
    """Of a LineNet."""
    channels, blocks, pyramid = SIZES[config.size]

    def every() -> Named:
        yield from _convolution("stem", 1, channels[0] // 2)
        inputs = channels[0] // 2
        for number, (outputs, count) in enumerate(zip(channels, blocks, strict=True)):
            yield from _stage(f"stages.{number}", inputs, outputs, count, strided=True)
            yield f"laterals.{number}.weight", (pyramid, outputs, 1, 1)
            yield f"laterals.{number}.bias", (pyramid,)
            inputs = outputs
        yield from _convolution("joint", pyramid, pyramid)
        yield "classifier.weight", (2, pyramid, 1, 1)
        yield "classifier.bias", (2,)

    return dict(every())


def _convolution(name: str, inputs: int, outputs: int) -> Named:
    """A 3x3 convolution and the norm behind it."""
    yield f"{name}.weight", (outputs, inputs, 3, 3)
    yield from _norm(f"{name}_norm", outputs)


def _norm(name: str, width: int) -> Named:
    yield from ((f"{name}.{part}", (width,)) for part in ("weight", "bias", "running_mean", "running_var"))


def _stage(name: str, inputs: int, outputs: int, blocks: int, *, strided: bool) -> Named:
    """ResidualBlocks in a row; the first brings size and channels to those of the stage."""
    for i in range(blocks):
        block = f"{name}.{i}"
        yield from _convolution(f"{block}.first", inputs if i == 0 else outputs, outputs)
        yield from _convolution(f"{block}.second", outputs, outputs)
        if i == 0 and (strided or inputs != outputs):
            yield f"{block}.shortcut.0.weight", (outputs, inputs, 1, 1)
            yield from _norm(f"{block}.shortcut.1", outputs)
