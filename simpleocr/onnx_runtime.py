"""ONNX Runtime instead of torch: the same model files, read without torch, faster on most processors.

Needs onnx and onnxruntime. The graph is made from the model file when it is loaded; nothing has to be exported first.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from simpleocr.config import CRNNConfig, LineNetConfig
from simpleocr.language import TENSORS, Language
from simpleocr.likelihood import LogProbs
from simpleocr.modelfile import OWN_KEYS, ModelError, check_architecture, read_header, read_tensors
from simpleocr.onnx_graph import activations, crnn_graph, linenet_graph, optional_packages
from simpleocr.preprocessing import Lines, Preprocessing
from simpleocr.shapes import Shape, crnn_shapes, linenet_shapes
from simpleocr.vocabulary import Vocabulary

if TYPE_CHECKING:
    from onnx import ModelProto

Array = npt.NDArray[Any]
Ranges = tuple[tuple[float, float], ...]
Config = TypeVar("Config", CRNNConfig, LineNetConfig)


class Portable(ABC):
    """Goes to another process, or is copied, by its graph, for a session can do neither; there it has that one's threads."""

    graph: bytes

    @abstractmethod
    def start(self) -> None:
        """Make from the graph what computes it."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.start()


class OnnxCRNN(Portable):
    """A CRNN computed by ONNX Runtime; any number of threads may share it.

    Args:
        config: of the network.
        tensors: of its model file.
        quantized: in whole numbers; faster still, with confidences a little coarser.

    Raises:
        ValueError: a language that is no tree, or quantized without ranges.
        ModelError: onnx or onnxruntime is not installed.
    """

    def __init__(self, config: CRNNConfig, tensors: Mapping[str, Array], *, quantized: bool = False) -> None:
        self.config = config
        self.language = None
        if config.ngrams:
            self.language = Language.from_tensors({name: tensors[f"language.{name}"] for name in TENSORS}, config.order)
        self.graph = crnn_graph(config, tensors, quantized=quantized).SerializeToString()
        self.start()

    def start(self) -> None:
        """As Portable has it."""
        threads = thread_count()
        self._session = session(self.graph, threads)
        # several lines are read side by side, for one alone does not keep many threads busy
        self._single = session(self.graph, 1) if threads > 1 else self._session
        self._pool = ThreadPoolExecutor(threads, "simpleocr-lines") if threads > 1 else None

    @classmethod
    def load(cls, path: Path, *, quantized: bool = False) -> Self:
        """The CRNN of a model file.

        Raises:
            ModelError: names the file and the fault, or the package that is not installed.
        """
        config, tensors = read_crnn(path)
        with _faults_of(path):
            return cls(config, tensors, quantized=quantized)

    @property
    def vocabulary(self) -> Vocabulary:
        """The characters it can write."""
        return self.config.vocabulary

    @property
    def preprocessing(self) -> Preprocessing:
        """How line pictures become its input."""
        return self.config.preprocessing

    def log_probs(self, lines: Sequence[Lines]) -> list[LogProbs]:
        """Line tensors (1, H, W_i) -> calibrated log_probs (T_i, C) of each; each by itself, for that is as fast."""

        def read(running: Any, line: Lines) -> LogProbs:
            return np.asarray(running.run(None, {"image": line[None]})[0][0])

        if len(lines) == 1 or self._pool is None:
            return [read(self._session, line) for line in lines]
        # the widest first: none is waited for long
        order = sorted(range(len(lines)), key=lambda i: -lines[i].shape[-1])
        found = dict(zip(order, self._pool.map(lambda i: read(self._single, lines[i]), order), strict=True))
        return [found[i] for i in range(len(lines))]


class OnnxLineNet(Portable):
    """A LineNet computed by ONNX Runtime; any number of threads may share it.

    Args:
        config: of the network.
        tensors: of its model file.
        quantized: in whole numbers.

    Raises:
        ValueError: quantized without ranges.
        ModelError: onnx or onnxruntime is not installed.
    """

    def __init__(self, config: LineNetConfig, tensors: Mapping[str, Array], *, quantized: bool = False) -> None:
        self.config = config
        self.graph = linenet_graph(config, tensors, quantized=quantized).SerializeToString()
        self.start()

    def start(self) -> None:
        """As Portable has it."""
        self._session = session(self.graph, thread_count())

    @classmethod
    def load(cls, path: Path, *, quantized: bool = False) -> Self:
        """The LineNet of a model file.

        Raises:
            ModelError: names the file and the fault, or the package that is not installed.
        """
        config, tensors = read_linenet(path)
        with _faults_of(path):
            return cls(config, tensors, quantized=quantized)

    @property
    def threshold(self) -> float:
        """Probability from which a cell belongs to a line's core."""
        return self.config.threshold

    def cell_probs(self, pixels: Lines) -> Lines:
        """(H, W) of a page of mean 0 and deviation 1, multiples of 32 -> (2, H / 4, W / 4) probabilities."""
        return np.asarray(self._session.run(None, {"image": pixels[None, None]})[0][0])


@contextmanager
def _faults_of(path: Path) -> Iterator[None]:
    """A ValueError becomes a ModelError that names the file; a ModelError is left: it says which package is missing."""
    try:
        yield
    except ModelError:
        raise
    except ValueError as error:
        raise ModelError(f"{path}: {error}") from error


def read_crnn(path: Path) -> tuple[CRNNConfig, dict[str, Array]]:
    """Config and tensors of a CRNN's file; as read_model()."""
    return read_model(path, "crnn", CRNNConfig.from_header, crnn_shapes)


def read_linenet(path: Path) -> tuple[LineNetConfig, dict[str, Array]]:
    """Config and tensors of a LineNet's file; as read_model()."""
    return read_model(path, "linenet", LineNetConfig.from_header, linenet_shapes)


def read_model(
    path: Path,
    architecture: str,
    from_header: Callable[[Mapping[str, Any]], Config],
    shapes: Callable[[Config], Mapping[str, Shape]],
) -> tuple[Config, dict[str, Array]]:
    """Config and tensors of a model file, as strictly as a network is loaded, but without torch.

    Raises:
        ModelError: names the file and the fault.
    """
    header = read_header(path)
    check_architecture(path, header, architecture)
    try:
        config = from_header({key: value for key, value in header.items() if key not in OWN_KEYS})
    except (ValueError, TypeError, LookupError) as error:
        raise ModelError(f"{path}: its header does not describe such a network: {error}") from error
    tensors = read_tensors(path, shapes(config))
    if read_header(path) != header:
        raise ModelError(f"{path}: was replaced while it was read")
    return config, tensors


def thread_count() -> int:
    """As many as OMP_NUM_THREADS says, as torch has it, or as there are cores for this process."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if said.isdigit() and int(said):
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def session(model: bytes, threads: int) -> Any:
    """An InferenceSession for a graph, with so many threads.

    Raises:
        ModelError: onnxruntime is not installed.
    """
    with optional_packages():
        from onnxruntime import InferenceSession, SessionOptions
    options = SessionOptions()
    options.intra_op_num_threads = threads
    # memory of every size that was ever needed would be kept: of lines that is every width
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    return InferenceSession(model, options, providers=["CPUExecutionProvider"])


def measured_ranges(model: "ModelProto", images: Iterable[Lines]) -> Ranges:
    """How far the values go that a graph in whole numbers rounds, on real input.

    Args:
        model: a graph in floats, as crnn_graph() or linenet_graph() makes it.
        images: (B, 1, H, W) of its input; some hundred lines or some ten pages are enough.

    Raises:
        ValueError: there are no images.
    """
    from onnx import ModelProto, TensorProto, helper

    watched = ModelProto()
    watched.CopyFrom(model)
    first, *names = activations(model)  # the first is the input
    assert first == "image", first
    del watched.graph.output[:]
    watched.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    running = session(watched.SerializeToString(), thread_count())
    lows, highs = np.zeros(1 + len(names)), np.zeros(1 + len(names))
    seen: list[Array] = []
    for image in images:
        seen = [image, *running.run(None, {"image": image})]
        lows = np.minimum(lows, [values.min() for values in seen])
        highs = np.maximum(highs, [values.max() for values in seen])
    if not seen:  # ranges of nothing would be stored as if they were measured
        raise ValueError("no picture that could be read: nothing to measure ranges on")
    return tuple(zip(lows.tolist(), np.maximum(highs, lows + 1e-3).tolist(), strict=True))
