"""ONNX graphs of the networks, from their tensors: dynamic width, BatchNorm folded, in floats or in whole numbers.

Written node by node rather than traced: that needs neither torch nor a tracer, takes no time, and holds for every width.
In whole numbers, every convolution multiplies 8-bit values (QDQ form) with the ranges that were measured, and the LSTM
with those it meets, by an operator of ONNX Runtime's own; the classifier stays in floats.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from simpleocr.config import BACKBONES, SIZES, STRIDES, CRNNConfig, LineNetConfig
from simpleocr.low_rank import factors
from simpleocr.modelfile import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 17
IR_VERSION = 8  # of the opset's time, so that runtimes of years ago read it
MICROSOFT = "com.microsoft"  # the domain of the operators that ONNX Runtime has beyond the standard
EPSILON = 1e-5  # of BatchNorm2d
LEVELS = 255  # of an 8-bit activation; a weight has -127..127
Array = npt.NDArray[Any]
Tensors = Mapping[str, Array]
Ranges = Sequence[tuple[float, float]]


def crnn_graph(config: CRNNConfig, tensors: Tensors, *, quantized: bool = False) -> "ModelProto":
    """A CRNN as ONNX: "image" (B, 1, H, W) -> "log_probs" (B, T, C), calibrated; T = ceil(ceil(W / 2) / 2).

    Every line of a batch is W wide. Vocabulary and preprocessing lie in the metadata "simpleocr", as in a model file.

    Args:
        config: of the network.
        tensors: of its model file.
        quantized: in whole numbers, with the ranges of the config.

    Raises:
        ValueError: quantized without ranges.
        ModelError: the package onnx is not installed.
    """
    graph = _Graph(tensors, _checked(config.ranges) if quantized else ())
    backbone = BACKBONES[config.backbone]
    x = graph.line_stem(graph.quantize("image"), config.preprocessing.height)
    for number, (blocks, stride) in enumerate(zip(backbone.blocks, STRIDES, strict=True)):
        for i in range(blocks):
            x = graph.block(x, f"stages.{number}.{i}", stride if i == 0 else (1, 1))
    x = graph.pooled_rows(x, tensors["row_score.weight"][:, :, 0, 0].T)  # (B, T, D)
    x = graph.node("Transpose", [x], perm=[1, 0, 2])  # (T, B, D)
    for layer in range(backbone.layers):
        x = graph.bilstm(x, "rnn", layer, backbone.hidden)
    x = graph.node("Transpose", [x], perm=[1, 0, 2])  # (B, T, 2 * hidden)
    x = graph.node("MatMul", [x, graph.constant(tensors["classifier.weight"].T)])
    x = graph.node("Add", [x, graph.constant(tensors["classifier.bias"])])
    x = graph.node("Div", [x, graph.constant(np.array(config.temperature, dtype=np.float32))])
    graph.node("LogSoftmax", [x], axis=-1, output="log_probs")
    height, classes = config.preprocessing.height, config.vocabulary.num_classes
    return graph.model(
        {"image": ["batch", 1, height, "width"]}, {"log_probs": ["batch", "timesteps", classes]}, config.to_header()
    )


def linenet_graph(config: LineNetConfig, tensors: Tensors, *, quantized: bool = False) -> "ModelProto":
    """A LineNet as ONNX: "image" (B, 1, H, W) of multiples of 32 -> "probs" (B, 2, H / 4, W / 4) of lines and words.

    Args:
        config: of the network.
        tensors: of its model file.
        quantized: in whole numbers, with the ranges of the config.

    Raises:
        ValueError: quantized without ranges.
        ModelError: the package onnx is not installed.
    """
    graph = _Graph(tensors, _checked(config.ranges) if quantized else ())
    _, blocks, _ = SIZES[config.size]
    x = graph.stem(graph.quantize("image"))
    levels = []
    for number, count in enumerate(blocks):
        for i in range(count):
            x = graph.block(x, f"stages.{number}.{i}", (2, 2) if i == 0 else (1, 1))
        levels.append(graph.convolution(x, f"laterals.{number}"))
    joined = levels.pop()
    while levels:
        joined = graph.quantize(graph.node("Add", [levels.pop(), graph.twice_as_large(joined)]))
    joined = graph.convolution(joined, "joint", relu=True)
    graph.node("Sigmoid", [graph.pointwise(joined, "classifier")], output="probs")
    return graph.model(
        {"image": ["batch", 1, "height", "width"]},
        {"probs": ["batch", 2, "rows", "columns"]},
        config.to_header(),
    )


def activations(model: "ModelProto") -> list[str]:
    """The values of a graph in floats whose ranges one in whole numbers needs, in order."""
    (names,) = [entry.value for entry in model.metadata_props if entry.key == "activations"]
    return [str(name) for name in json.loads(names)]


@contextmanager
def optional_packages() -> Iterator[None]:
    """Around imports of what only ONNX needs.

    Raises:
        ModelError: it is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise ModelError("ONNX needs two libraries: pip install onnx onnxruntime") from error


@dataclass(frozen=True)
class Steps:
    """Of a value in whole numbers.

    Args:
        size: of one step.
        scale, zero: names of the constants that say so, and which step is 0.
        whole: name of the value in steps.
    """

    size: float
    scale: str
    zero: str
    whole: str = ""


class _Graph:
    """A graph in the making: each method adds nodes and gives the name of what comes out.

    Args:
        tensors: of the model file.
        ranges: of what quantize() is called for, in order; none for a graph in floats.

    Raises:
        ModelError: onnx is not installed.
    """

    def __init__(self, tensors: Tensors, ranges: Ranges = ()) -> None:
        with optional_packages():
            from onnx import helper, numpy_helper

        self._helper, self._numpy_helper = helper, numpy_helper
        self._tensors = tensors
        self._ranges = iter(ranges)
        self._quantized = bool(ranges)
        self._steps: dict[str, Steps] = {}  # of each value that is in whole numbers
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self.activations: list[str] = []

    def node(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """One node with one output."""
        output = output or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(self._helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, values: Array) -> str:
        """A constant; floats that float16 holds exactly are stored so, and cast."""
        name = f"constant_{len(self._constants)}"
        values = np.ascontiguousarray(values) if values.ndim else values  # of one number it would make an array
        if values.dtype == np.float32 and values.size > 1024:
            small = values.astype(np.float16)
            if bool((small == values).all()):
                self._constants.append(self._numpy_helper.from_array(small, name))
                return self.node("Cast", [name], to=self._helper.np_dtype_to_tensor_dtype(values.dtype))
        self._constants.append(self._numpy_helper.from_array(values, name))
        return name

    def quantize(self, value: str) -> str:
        """A value in 256 steps, in a graph in whole numbers; else the value, whose range may be measured."""
        self.activations.append(value)
        if not self._quantized:
            return value
        low, high = next(self._ranges, (0.0, 0.0))
        if low == high:
            raise ValueError(
                "the model's ranges are fewer than its activations: python -m training.ranges measures them"
            )
        scale = (high - low) / LEVELS
        zero = np.uint8(max(0, min(LEVELS, round(-low / scale))))
        steps = Steps(scale, self.constant(np.array(scale, dtype=np.float32)), self.constant(np.array(zero)))
        return self._stepped(value, steps)

    def twice_as_large(self, x: str) -> str:
        """(B, D, H, W) -> (B, D, 2 H, 2 W), each value four times; in the same steps, if it has any."""
        if x not in self._steps:
            attributes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            scales = self.constant(np.array([1, 1, 2, 2], dtype=np.float32))
            return self.node("Resize", [x, "", scales], mode="nearest", **attributes)
        # Resize is slow in whole numbers; with channels last these are copies of long runs
        steps = self._steps[x]
        rows = self.node("Transpose", [steps.whole], perm=[0, 2, 3, 1])  # (B, H, W, D)
        for twice, axis in (([1, 1, 2, 1], 3), ([1, 2, 1, 1], 2)):
            shape = self.node("Mul", [self.node("Shape", [rows]), self._integers(*twice)])
            rows = self.node("Reshape", [self.node("Concat", [rows, rows], axis=axis), shape])
        return self._back(self.node("Transpose", [rows], perm=[0, 3, 1, 2]), steps)

    def _stepped(self, value: str, steps: Steps) -> str:
        return self._back(self.node("QuantizeLinear", [value, steps.scale, steps.zero]), steps)

    def _back(self, whole: str, steps: Steps) -> str:
        """Whole numbers as the floats that they stand for."""
        back = self.node("DequantizeLinear", [whole, steps.scale, steps.zero])
        self._steps[back] = replace(steps, whole=whole)
        return back

    def convolution(
        self, x: str, name: str, *, stride: tuple[int, int] = (1, 1), relu: bool = False, quantize: bool = True
    ) -> str:
        """A convolution with the BatchNorm behind it, if it has one, and a ReLU if asked for; of low rank, two."""
        weight, bias = self._folded(name)
        if two := factors(weight):
            narrow, weight = two
            x = self.quantize(self._conv(x, narrow, np.zeros(len(narrow), dtype=np.float32), stride))
            stride = (1, 1)
        out = self._conv(x, weight, bias, stride)
        out = self.node("Relu", [out]) if relu else out
        return self.quantize(out) if quantize else out

    def _conv(self, x: str, weight: Array, bias: Array, stride: tuple[int, int]) -> str:
        """One convolution, in whole numbers if x is."""
        kernel = list(weight.shape[2:])
        if x in self._steps:
            inputs = [x, *self._whole(weight, bias, self._steps[x].size)]
        else:
            inputs = [x, self.constant(weight), self.constant(bias)]
        return self.node(
            "Conv", inputs, strides=list(stride), pads=[side // 2 for side in kernel] * 2, kernel_shape=kernel
        )

    def pointwise(self, x: str, name: str) -> str:
        """A convolution of 1 x 1 that gives floats.

        In whole numbers a product of matrices: that takes them and gives floats, and no convolution does.
        """
        if x not in self._steps:
            return self.convolution(x, name, quantize=False)
        weight, bias = self._folded(name)
        scale = np.float32(max(np.abs(weight).max(), 1e-12) / 127)
        whole = np.clip(np.round(weight[:, :, 0, 0].T / scale), -127, 127).astype(np.int8)
        of_weight = [self.constant(values) for values in (whole, np.array(scale), np.array(0, dtype=np.int8))]
        rows = self.node("Transpose", [x], perm=[0, 2, 3, 1])  # (B, H, W, D)
        rows = self.node("MatMul", [rows, self.node("DequantizeLinear", of_weight)])
        rows = self.node("Add", [rows, self.constant(bias)])
        return self.node("Transpose", [rows], perm=[0, 3, 1, 2])

    def pooled_rows(self, x: str, score: Array) -> str:
        """(B, D, R, T) -> (B, T, D): the mean of each column's rows by a softmax of what `score` (D, 1) gives them.

        A product of matrices for each column: a sum over an axis in the middle takes longer.
        """
        x = self.node("Transpose", [x], perm=[0, 3, 2, 1])  # (B, T, R, D)
        weights = self.node("Softmax", [self.node("MatMul", [x, self.constant(score)])], axis=2)  # (B, T, R, 1)
        x = self.node("MatMul", [self.node("Transpose", [weights], perm=[0, 1, 3, 2]), x])
        return self.node("Squeeze", [x, self._integers(2)])

    def stem(self, image: str) -> str:
        """The first convolution, of 3 x 3 and stride 2, with its ReLU; of a width that is a multiple of four.

        Whole numbers are multiplied four at a time, and a picture has but one channel. So four pixels beside each other
        count as channels of one, of which two columns of the output come; with channels last nothing is moved for that.
        """
        if image not in self._steps:
            return self.convolution(image, "stem", stride=(2, 2), relu=True)
        weight, bias = self._folded("stem")  # (D, 1, 3, 3)
        wide = _of_fours(weight[:, 0].transpose(0, 2, 1)).transpose(0, 1, 3, 2)
        fours = self._reshaped(image, [0, 0, -1, 4])
        inputs = [fours, *self._whole(wide, np.tile(bias, 2), self._steps[image].size)]
        out = self.node("Conv", inputs, strides=[2, 1], pads=[1, 1, 1, 0], kernel_shape=[3, 2])
        return self._reshaped(self.quantize(self.node("Relu", [out])), [0, 0, -1, len(weight)])

    def line_stem(self, image: str, height: int) -> str:
        """The same of any width, for heights that are a multiple of four: four pixels below each other are channels.

        What is moved for that, a line's few rows, is little.
        """
        if image not in self._steps:
            return self.convolution(image, "stem", stride=(2, 2), relu=True)
        weight, bias = self._folded("stem")
        steps = self._steps[image]
        fours = self.node("Reshape", [steps.whole, self._integers(0, height // 4, 4, -1)])
        fours = self._back(self.node("Transpose", [fours], perm=[0, 2, 1, 3]), steps)
        inputs = [fours, *self._whole(_of_fours(weight[:, 0]), np.tile(bias, 2), steps.size)]
        out = self.node("Conv", inputs, strides=[1, 2], pads=[1, 1, 0, 1], kernel_shape=[2, 3])
        steps = self._steps[self.quantize(self.node("Relu", [out]))]
        rows = self.node("Transpose", [steps.whole], perm=[0, 2, 3, 1])  # as convolutions leave them: nothing is moved
        rows = self.node("Reshape", [rows, self._integers(0, height // 4, -1, 2, len(weight))])
        rows = self.node("Transpose", [rows], perm=[0, 1, 3, 2, 4])
        rows = self.node("Reshape", [rows, self._integers(0, height // 2, -1, len(weight))])
        return self._back(self.node("Transpose", [rows], perm=[0, 3, 1, 2]), steps)

    def _integers(self, *values: int) -> str:
        return self.constant(np.array(values, dtype=np.int64))

    def _reshaped(self, x: str, shape: list[int]) -> str:
        """A value in whole numbers whose numbers are, channels last, read as another shape."""
        steps = self._steps[x]
        rows = self.node("Transpose", [steps.whole], perm=[0, 2, 3, 1])
        rows = self.node("Reshape", [rows, self._integers(*shape)])
        return self._back(self.node("Transpose", [rows], perm=[0, 3, 1, 2]), steps)

    def _whole(self, weight: Array, bias: Array, scale: float) -> list[str]:
        """Weights of 8 bits, each output channel with a scale of its own, and biases that fit them."""
        scales = np.maximum(np.abs(weight).reshape(len(weight), -1).max(axis=1), 1e-12).astype(np.float32) / 127
        whole = np.clip(np.round(weight / scales[:, None, None, None]), -127, 127).astype(np.int8)
        steps = (scales.astype(np.float64) * scale).astype(np.float32)
        biases = np.clip(np.round(bias / steps.astype(np.float64)), -(2**31) + 1, 2**31 - 1).astype(np.int32)
        return [
            self.node("DequantizeLinear", [self.constant(values), self.constant(by), self.constant(zero)], axis=0)
            for values, by, zero in (
                (whole, scales, np.zeros(len(scales), dtype=np.int8)),
                (biases, steps, np.zeros(len(scales), dtype=np.int32)),
            )
        ]

    def block(self, x: str, name: str, stride: tuple[int, int]) -> str:
        """A ResidualBlock."""
        shortcut = self.convolution(x, f"{name}.shortcut", stride=stride) if self._has(f"{name}.shortcut.0") else x
        first = self.convolution(x, f"{name}.first", stride=stride, relu=True)
        second = self.convolution(first, f"{name}.second")
        return self.quantize(self.node("Relu", [self.node("Add", [second, shortcut])]))

    def bilstm(self, x: str, name: str, layer: int, hidden: int) -> str:
        """(T, B, D) -> (T, B, 2 * hidden): one layer of a bidirectional LSTM."""

        def both(kind: str) -> list[Array]:
            return [_gates(self._tensors[f"{name}.{kind}_l{layer}{side}"]) for side in ("", "_reverse")]

        bias = self.constant(
            np.stack([np.concatenate(pair) for pair in zip(both("bias_ih"), both("bias_hh"), strict=True)])
        )
        weights = [
            np.stack(both("weight_ih")),
            np.stack(both("weight_hh")),
        ]  # (2, 4 * hidden, D), (2, 4 * hidden, hidden)
        sizes: dict[str, Any] = {"hidden_size": hidden, "direction": "bidirectional"}
        if self._quantized:
            (w, *w_scales), (r, *r_scales) = (self._whole_gates(values) for values in weights)
            inputs = [x, w, r, bias, "", "", "", "", *w_scales, *r_scales]
            y = self.node("DynamicQuantizeLSTM", inputs, domain=MICROSOFT, **sizes)  # (T, 2, B, hidden)
        else:
            y = self.node("LSTM", [x, *(self.constant(values) for values in weights), bias], **sizes)
        y = self.node("Transpose", [y], perm=[0, 2, 1, 3])
        return self.node("Reshape", [y, self._integers(0, 0, -1)])

    def _whole_gates(self, weights: Array) -> list[str]:
        """(2, G, D) -> weights of 8 bits (2, D, G), scales (2, G) and zero points, of each direction and gate."""
        scales = np.maximum(np.abs(weights).max(axis=2), 1e-12).astype(np.float32) / 127
        whole = np.clip(np.round(weights / scales[..., None]), -127, 127).astype(np.int8).transpose(0, 2, 1)
        return [self.constant(values) for values in (whole, scales, np.zeros(scales.shape, dtype=np.int8))]

    def model(
        self, inputs: Mapping[str, list[Any]], outputs: Mapping[str, list[Any]], header: Mapping[str, Any]
    ) -> "ModelProto":
        """The graph as a model, with what a header says of it in its metadata."""
        import onnx

        if self._quantized and next(self._ranges, None) is not None:
            raise ValueError(
                "the model's ranges are more than its activations: python -m training.ranges measures them anew"
            )

        def described(values: Mapping[str, list[Any]]) -> list[Any]:
            return [
                self._helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
                for name, shape in values.items()
            ]

        used, nodes = set(outputs), []
        for node in reversed(self._nodes):  # what nobody takes would be computed all the same
            if used.intersection(node.output):
                nodes.append(node)
                used.update(node.input)
        constants = [constant for constant in self._constants if constant.name in used]
        graph = self._helper.make_graph(
            nodes[::-1], "simpleocr", described(inputs), described(outputs), initializer=constants
        )
        opsets = [self._helper.make_opsetid("", OPSET)]
        if any(node.domain == MICROSOFT for node in self._nodes):
            opsets.append(self._helper.make_opsetid(MICROSOFT, 1))
        model = self._helper.make_model(graph, producer_name="simpleocr", opset_imports=opsets, ir_version=IR_VERSION)
        self._helper.set_model_props(
            model,
            {
                "simpleocr": json.dumps(header, ensure_ascii=False, sort_keys=True),
                "activations": json.dumps(self.activations),
            },
        )
        return model

    def _has(self, name: str) -> bool:
        return f"{name}.weight" in self._tensors

    def _folded(self, name: str) -> tuple[Array, Array]:
        """Weight and bias of a convolution, its BatchNorm put into them."""
        sequence = self._has(f"{name}.0")  # a shortcut is a convolution and its norm in a row
        weight = self._tensors[f"{name}.0.weight" if sequence else f"{name}.weight"]
        norm = f"{name}.1" if sequence else f"{name}_norm"
        if not self._has(norm):
            return weight, self._tensors[f"{name}.bias"]
        gain, shift, mean, variance = (
            self._tensors[f"{norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = gain / np.sqrt(variance + EPSILON)
        return (weight * gain[:, None, None, None]).astype(np.float32), (shift - mean * gain).astype(np.float32)


def _of_fours(weight: Array) -> Array:
    """Weights (D, 3, 3) of stride 2 -> (2 * D, 4, 2, 3): of two rows of the output; four rows, those before and these."""
    depth = len(weight)
    wide = np.zeros((2, depth, 4, 2, 3), dtype=np.float32)
    for row in range(2):
        for y in range(3):
            four, pixel = divmod(2 * row + y - 1 + 4, 4)
            wide[row, :, pixel, four] = weight[:, y]
    return wide.reshape(2 * depth, 4, 2, 3)


def _gates(rows: Array) -> Array:
    """Of an LSTM's rows, torch's order (in, forget, cell, out) -> ONNX's (in, out, forget, cell)."""
    i, f, g, o = np.split(rows, 4)
    return np.concatenate([i, o, f, g])


def _checked(ranges: Ranges) -> Ranges:
    if not ranges:
        raise ValueError("the model says nothing of its ranges: python -m training.ranges measures them")
    return ranges
