"""from_pretrained, save_pretrained and push_to_hub for every network of the package."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from huggingface_hub import ModelHubMixin
from torch import nn

from simpleocr import hub
from simpleocr.modelfile import (
    FORMAT,
    OWN_KEYS,
    ModelError,
    check_architecture,
    read_header,
    read_tensors,
    write_atomically,
    write_model,
)
from simpleocr.models import MODEL_FILE, local_path, locate

STORAGE_DTYPES = {"float16": torch.float16, "float32": torch.float32}


class PretrainedModel(ModelHubMixin, library_name="simpleocr", pipeline_tag="image-to-text", tags=["ocr"]):
    """What makes a network loadable: `class CRNN(nn.Module, PretrainedModel, tags=["ctc"])`.

    It is a ModelHubMixin by name and by its three calls, but not by its behaviour: that one loads files with tensors
    missing, reads pickles, takes a mistyped path for a repository, and lets config.json decide what is built.
    """

    architecture: ClassVar[str]  # the name under which the network is stored: "crnn", "linenet"
    reads_with: ClassVar[str] = ""  # the expression of a reader that has the network, "{}" in the place of its name
    storage_dtype: torch.dtype = torch.float32  # of the file the network was loaded from; in memory it is float32

    def to_header(self) -> dict[str, Any]:
        """All that from_header() needs, as JSON values: {"architecture": {"name": self.architecture, ...}, ...}."""
        raise NotImplementedError

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> Self:
        """The network that a header describes, with any weights; called under torch.device("meta") first.

        Raises:
            ValueError: names a key that is unknown or missing, or a value out of bounds.
        """
        raise NotImplementedError

    def check(self) -> None:
        """Called when the tensors are in place, for networks of which not every tensor of the right shape will do.

        Raises:
            ValueError: tensors that contradict each other.
        """

    @classmethod
    def from_pretrained(  # type: ignore[override]  # no **model_kwargs: the file alone says what is built
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
    ) -> Self:
        """Loads a network: in eval mode, float32, on the CPU.

        Args:
            pretrained_model_name_or_path: the name of a model that comes with the package ("english"), a folder or a
                .safetensors file, or else "user/repo" on the Hub. Only the last may touch the network.
            revision: branch, tag or commit; like all that follows, for the Hub only.
            token: of the Hub; default is the one stored by `hf auth login`.
            cache_dir: where downloads are kept; default is the Hub's cache folder.
            force_download: downloads again what is in the cache.
            local_files_only: takes what is in the cache and never asks the Hub.

        Raises:
            ModelError: names the model and the fault.
            TypeError: a name that is no text and no path.
        """
        if path := local_path(pretrained_model_name_or_path):
            return cls._load(path)
        repo_id = str(pretrained_model_name_or_path)
        path = locate(
            repo_id,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
        )
        try:
            return cls._load(path)
        except ModelError as error:
            raise ModelError(f"{error} (from {repo_id!r} on the Hub; force_download=True fetches it again)") from error

    @classmethod
    def _load(cls, path: Path) -> Self:
        header = read_header(path)
        check_architecture(path, header, cls.architecture)
        dtype = STORAGE_DTYPES.get(str(header.get("dtype")))
        if dtype is None:
            raise ModelError(f"{path}: dtype {header.get('dtype')!r}, accepted are {list(STORAGE_DTYPES)}")
        sections = {key: value for key, value in header.items() if key not in OWN_KEYS}
        try:
            with torch.device("meta"):  # costs no memory, whatever sizes the header asks for
                shapes = {k: tuple(v.shape) for k, v in _floating(cls.from_header(sections)).items()}
            tensors = read_tensors(path, shapes)
            # Built again, now that the file has proved its sizes: buffers that no file holds need their values.
            # The random weights that this makes and throws away must not move the caller's random numbers.
            with torch.random.fork_rng(devices=[]):
                model = cls.from_header(sections)
        except ModelError:
            raise
        except (ValueError, TypeError, LookupError, RuntimeError) as error:  # the last: more than torch can count
            fault = str(error).partition("\n")[0]
            raise ModelError(f"{path}: its header does not describe a {cls.__name__}: {fault}") from error
        if read_header(path) != header:
            raise ModelError(f"{path}: was replaced while it was read")
        module = _module(model)
        found = {name: torch.from_numpy(array) for name, array in tensors.items()}
        module.load_state_dict({**module.state_dict(), **found}, strict=True, assign=True)
        try:
            model.check()
        except ValueError as error:
            raise ModelError(f"{path}: {error}") from error
        module.eval()
        model.storage_dtype = dtype
        return model

    def save_pretrained(  # type: ignore[override]  # push_to_hub() pushes; what is saved is not configurable
        self, save_directory: str | Path, *, dtype: torch.dtype | None = None, card: str | None = None
    ) -> None:
        """Writes model.safetensors, which is enough alone, and for the Hub's sake config.json and README.md.

        Args:
            save_directory: made if missing.
            dtype: torch.float16 or torch.float32; default is that of the file the network was loaded from.
            card: the text of README.md. By default one that is there stays, or else model_card() is written.

        Raises:
            ModelError: weights that are not finite, too large for float16, or a disk that refuses.
        """
        dtype = dtype or self.storage_dtype
        if dtype not in STORAGE_DTYPES.values():
            raise ModelError(f"{save_directory}: cannot be stored as {dtype}, accepted are {list(STORAGE_DTYPES)}")
        header: dict[str, Any] = {**self.to_header(), "dtype": str(dtype).removeprefix("torch.")}
        assert header["architecture"]["name"] == self.architecture, header["architecture"]
        tensors = {
            name: tensor.detach().to("cpu", dtype, copy=True, memory_format=torch.contiguous_format).numpy()
            for name, tensor in _floating(self).items()
        }
        folder = Path(save_directory)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ModelError(f"{folder}: cannot be made: {error.strerror or error}") from error
        write_model(folder / MODEL_FILE, header, tensors)
        config = json.dumps({"format": FORMAT, **header}, ensure_ascii=False, indent=2, sort_keys=True)
        write_atomically(folder / "config.json", f"{config}\n".encode())
        if card is not None or not (folder / "README.md").exists():
            write_atomically(folder / "README.md", (self.model_card() if card is None else card).encode())

    def push_to_hub(  # type: ignore[override]  # `revision` as in from_pretrained, and no patterns of files
        self,
        repo_id: str,
        *,
        commit_message: str = "Push model with SimpleOCR",
        revision: str | None = None,
        create_pr: bool = False,
        private: bool | None = None,
        token: str | None = None,
        card: str | None = None,
    ) -> str:
        """Uploads what save_pretrained() writes, in one commit; if nothing has changed, there is none.

        Args:
            repo_id: "user/repo" or "repo"; made if missing.
            commit_message: the title of the commit.
            revision: branch; made if missing. Default is main.
            create_pr: opens a pull request instead of committing to the branch.
            private: of a repository that is made; default is what the account says.
            token: of the Hub; default is the one stored by `hf auth login`.
            card: the text of README.md; default is model_card().

        Returns:
            The address of the commit.

        Raises:
            ModelError: names the repository and what the Hub answered.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder)  # first, for weights that cannot be saved make no repository
            repo_id = hub.make_repository(repo_id, private=private, token=token)
            text = self.model_card(repo_id) if card is None else card
            write_atomically(Path(folder) / "README.md", text.encode())
            return hub.push(
                Path(folder),
                repo_id,
                commit_message=commit_message,
                revision=revision,
                create_pr=create_pr,
                token=token,
            )

    def model_card(
        self,
        name: str = "path/to/this/folder",
        measured: str = "Its accuracy was not measured when this card was written.",
    ) -> str:
        """The text of README.md: what the network itself knows, and no claim beyond what was measured.

        Args:
            name: what the usage example loads.
            measured: what is known of its accuracy, in Markdown.
        """
        header = self.to_header()
        data = self._hub_mixin_info.model_card_data
        tags = sorted({*(data.tags or []), self.architecture})
        vocabulary = header.pop("vocabulary", None)
        size = sum(parameter.numel() for parameter in _module(self).parameters())
        facts = [f"- architecture: {self.architecture}", f"- parameters: {size:,}"]
        if isinstance(vocabulary, str):
            facts.append(f"- vocabulary: {len(vocabulary):,} characters")
        usage = f'from simpleocr import OCR\n\nocr = {self.reads_with.format(name)}\nprint(ocr("photo.jpg").text)'
        itself = (
            f"from {type(self).__module__} import {type(self).__name__}\n\n"
            f'model = {type(self).__name__}.from_pretrained("{name}")'
        )
        code = "\n```\n\nThe network itself:\n\n```python\n".join([usage, itself] if self.reads_with else [itself])
        return f"""---
library_name: {data.library_name}
pipeline_tag: {data.pipeline_tag}
tags: [{", ".join(tags)}]
---

# {name.rpartition("/")[2]}

A network of SimpleOCR. `model.safetensors` is all that is needed to load it.

```python
{code}
```

SimpleOCR is installed from its repository: the name `simpleocr` on PyPI belongs to another project.

{chr(10).join(facts)}

{measured}

What the file says of itself:

```json
{json.dumps(header, ensure_ascii=False, indent=2, sort_keys=True)}
```
"""


def _module(model: PretrainedModel) -> nn.Module:
    assert isinstance(model, nn.Module), f"{type(model).__name__} is not an nn.Module"
    return model


def _floating(model: PretrainedModel) -> dict[str, torch.Tensor]:
    """The tensors that are stored: without BatchNorm's counters of batches, which nothing reads."""
    return {k: v for k, v in _module(model).state_dict().items() if v.is_floating_point()}
