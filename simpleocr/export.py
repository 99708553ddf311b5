"""Export: a model as one file that other programs run: ONNX, in floats or in whole numbers, or TorchScript."""

import json
import os
import warnings
from pathlib import Path

from simpleocr.modelfile import ModelError, architecture_of, read_header, write_atomically
from simpleocr.models import locate
from simpleocr.onnx_graph import crnn_graph, linenet_graph
from simpleocr.onnx_runtime import read_crnn, read_linenet

EXAMPLE = 160  # columns and rows of the picture that TorchScript is traced with; any other will do then


def export_onnx(name: str | os.PathLike[str], path: Path, *, quantized: bool = False) -> None:
    """Write a model as ONNX.

    A CRNN takes "image" (B, 1, H, W), lines as line_to_tensor() makes them, and gives "log_probs" (B, T, C); a LineNet
    takes pages (B, 1, H, W) of mean 0 and deviation 1 and gives "probs" (B, 2, H / 4, W / 4). Vocabulary, preprocessing
    and threshold lie in the metadata "simpleocr", as JSON.

    Args:
        name: a folder, a file, a shipped model or a Hub repository.
        path: the file that is written.
        quantized: in whole numbers; a CRNN's LSTM is an operator of ONNX Runtime's own then.

    Raises:
        ModelError: names the model and the fault, the file that cannot be written, or the package that is not installed.
    """
    source = locate(name)
    try:
        if architecture_of(read_header(source)) == "linenet":
            model = linenet_graph(*read_linenet(source), quantized=quantized)
        else:
            model = crnn_graph(*read_crnn(source), quantized=quantized)
    except ModelError:
        raise
    except ValueError as error:
        raise ModelError(f"{source}: {error}") from error
    write_atomically(path, model.SerializeToString())


def export_torchscript(name: str | os.PathLike[str], path: Path) -> None:
    """Write a model as TorchScript, for programs of C++ and phones; it takes and gives what the ONNX file does.

    Its header lies in the extra file "simpleocr.json".

    Args:
        name: a folder, a file, a shipped model or a Hub repository.
        path: the file that is written.

    Raises:
        ModelError: names the model and the fault, or the file that cannot be written.
    """
    import torch
    from torch import Tensor, nn

    from simpleocr.crnn import CRNN
    from simpleocr.linenet import LineNet

    class Read(nn.Module):
        """A CRNN up to its log_probs."""

        def __init__(self, network: CRNN) -> None:
            super().__init__()
            self.network = network
            self.network.language = None

        def forward(self, image: Tensor) -> Tensor:
            """(B, 1, H, W) -> (B, T, C)."""
            logits: Tensor = self.network(image) / self.network.config.temperature
            return logits.log_softmax(dim=-1)

    class Find(nn.Module):
        """A LineNet up to its probabilities."""

        def __init__(self, network: LineNet) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: Tensor) -> Tensor:
            """(B, 1, H, W) -> (B, 2, H / 4, W / 4)."""
            logits: Tensor = self.network(image)
            return logits.sigmoid()

    source = locate(name)
    network: nn.Module
    if architecture_of(read_header(source)) == "linenet":
        line_net = LineNet.from_pretrained(source)
        network, header, rows = Find(line_net), line_net.to_header(), EXAMPLE
    else:
        crnn = CRNN.from_pretrained(source)
        network, header, rows = Read(crnn), crnn.to_header(), crnn.config.preprocessing.height
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing is deprecated in favour of torch.export, which cannot do this LSTM
        traced = torch.jit.trace(network.eval(), torch.zeros(1, 1, rows, EXAMPLE), check_trace=False)  # type: ignore[no-untyped-call]
        extra = {"simpleocr.json": json.dumps(header, ensure_ascii=False, sort_keys=True)}
        data = traced.save_to_buffer(_extra_files=extra)
    write_atomically(path, data)
