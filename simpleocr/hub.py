"""The Hugging Face Hub: one file fetched, one folder pushed, and one clear error for whatever it answers."""

from pathlib import Path

import httpx2
from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from simpleocr.modelfile import MAX_FILE_BYTES, ModelError

FAULTS = (ValueError, OSError, RuntimeError, httpx2.HTTPError)
"""What the client raises: its own errors are OSErrors and ValueErrors, a failed upload is a bare RuntimeError."""


def fetch(
    repo_id: str,
    filename: str,
    *,
    revision: str | None,
    token: str | bool | None,
    cache_dir: str | Path | None,
    force_download: bool,
    local_files_only: bool,
) -> Path:
    """The file of a repository, from the Hub or, if that cannot be reached, from its cache.

    Raises:
        ModelError: names the repository and the fault.
    """
    try:
        size = 0
        if not local_files_only:
            # asked once here, because hf_hub_download repeats for 24 s before it believes that the network is dead
            try:
                size = get_hf_file_metadata(hf_hub_url(repo_id, filename, revision=revision), token=token).size or 0
            except httpx2.TransportError:
                if force_download:
                    raise
                local_files_only = True
            except OSError:
                pass  # an answer, which hf_hub_download will get, too
        if size <= MAX_FILE_BYTES:
            return Path(
                hf_hub_download(
                    repo_id,
                    filename,
                    revision=revision,
                    token=token,
                    cache_dir=cache_dir,
                    force_download=force_download,
                    local_files_only=local_files_only,
                )
            )
    except FAULTS as error:
        raise _model_error(repo_id, revision, error) from error
    raise ModelError(f"{repo_id!r}: its {filename} has {size:,} bytes, more than the {MAX_FILE_BYTES:,} accepted")


def make_repository(repo_id: str, *, private: bool | None, token: str | None) -> str:
    """The full id of a repository, made if missing; an existing one stays as private as it is.

    Raises:
        ModelError: names the repository and the fault.
    """
    try:
        return HfApi(token=token).create_repo(repo_id, private=private, exist_ok=True).repo_id
    except FAULTS as error:
        raise _model_error(repo_id, None, error) from error


def push(
    folder: Path, repo_id: str, *, commit_message: str, revision: str | None, create_pr: bool, token: str | None
) -> str:
    """Uploads a folder in one commit to a branch, made if missing, and returns the address of the commit.

    Raises:
        ModelError: names the repository and the fault.
    """
    api = HfApi(token=token)
    try:
        if revision is not None and not revision.startswith("refs/"):
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            commit_message=commit_message,
            revision=revision,
            create_pr=create_pr,
        )
    except FAULTS as error:
        raise _model_error(repo_id, revision, error) from error
    return commit.commit_url


def _model_error(repo_id: str, revision: str | None, error: BaseException) -> ModelError:
    """What went wrong, in one sentence."""
    match error:
        case HFValidationError():
            fault = "neither a file or folder that exists nor the id 'user/repo' of a repository"
        case GatedRepoError():
            fault = "gated: accept its terms on the Hub and give a token"
        case RepositoryNotFoundError():
            fault = "no such folder, and no such repository on the Hub, or a private one that the token does not open"
        case RevisionNotFoundError():
            fault = f"the repository has no revision {revision!r}"
        case RemoteEntryNotFoundError():
            fault = "the repository has no model.safetensors, and nothing else is ever loaded"
        case LocalTokenNotFoundError():
            fault = "no token: give one, or store it with `hf auth login`"
        case HfHubHTTPError() if error.response.status_code in (401, 403):
            fault = f"the Hub refuses the token ({error.response.status_code})"
        case HfHubHTTPError():
            fault = f"the Hub answered {error.response.status_code}: {error.server_message or error}"
        case LocalEntryNotFoundError() | RuntimeError() if isinstance(error.__cause__, HfHubHTTPError):
            return _model_error(repo_id, revision, error.__cause__)
        case LocalEntryNotFoundError():
            fault = "not in the cache, and the Hub cannot be reached or must not be asked"
        case OfflineModeIsEnabled():
            fault = "the Hub must not be asked: offline mode is on"
        case httpx2.TransportError():
            fault = f"the Hub cannot be reached: {error}"
        case _:
            fault = str(error).partition("\n")[0]
    return ModelError(f"{repo_id!r}: {fault}")
