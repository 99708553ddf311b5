"""A loopback Hugging Face Hub: real HTTP, storage in memory, as much as huggingface_hub and datasets call.

    with FakeHub() as hub:  # then, before anything imports huggingface_hub: os.environ |= hub.environment(cache)

Repositories, branches, tags, commits, pull requests, private repositories, one token, and git-LFS uploads; not Xet.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

USER = "tester"
TOKEN = "hf_test"
LFS_SUFFIXES = (".safetensors", ".bin", ".parquet")
CREATED = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True)
class File:
    """One file of one commit."""

    data: bytes
    lfs: bool = False

    @property
    def oid(self) -> str:
        """SHA-256 of the content in LFS, else what git calls the file."""
        if self.lfs:
            return hashlib.sha256(self.data).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()

    def entry(self, path: str) -> dict[str, Any]:
        lfs = {"lfs": {"oid": self.oid, "size": len(self.data), "pointerSize": 134}} if self.lfs else {}
        return {"type": "file", "path": path, "size": len(self.data), "oid": self.oid, **lfs}


@dataclass
class Repo:
    """The history of one repository."""

    private: bool
    refs: dict[str, str] = field(default_factory=dict)  # branch, tag or refs/pr/N -> commit
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    pull_requests: int = 0

    def commit(self, ref: str, files: dict[str, File]) -> str:
        state = [ref, len(self.commits), sorted((path, file.oid) for path, file in files.items())]
        sha = hashlib.sha1(json.dumps(state).encode()).hexdigest()
        self.commits[sha] = files
        self.refs[ref] = sha
        return sha

    def open_pull_request(self, base: str) -> str:
        self.pull_requests += 1
        ref = f"refs/pr/{self.pull_requests}"
        self.refs[ref] = self.refs[base]
        return ref

    def sha(self, revision: str) -> str:
        sha = revision if revision in self.commits else self.refs.get(revision)
        if sha is None:
            raise HubError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha


class HubError(Exception):
    """An answer that is an error, told the way the Hub tells it: by headers."""

    def __init__(self, status: int, code: str, message: str, **extra: str) -> None:
        super().__init__(message)
        self.status, self.extra = status, extra
        self.headers = {"X-Error-Code": code, "X-Error-Message": message}


class FakeHub:
    """The server; its attributes are for the tests to look at and to change between two calls.

    Attributes:
        repos: by type and id: "models/tester/ocr".
        log: (method, path, status) of every request.
        flaky: {"PUT /_lfs/": [503]}: statuses to answer first, by method and part of the path.
        corrupt: what is done to an LFS file on its way to the client.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.log: list[tuple[str, str, int]] = []
        self.flaky: dict[str, list[int]] = {}
        self.corrupt: Callable[[bytes], bytes] = bytes
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        # LFS redirects must leave the Hub's host: there the client reads metadata off the redirect itself
        self.cdn = f"http://localhost:{self.server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def environment(self, home: Path) -> dict[str, str]:
        """What a client needs; huggingface_hub reads it when it is imported."""
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_TOKEN": TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def publish(self, repo_id: str, files: dict[str, bytes], ref: str = "main", kind: str = "datasets") -> str:
        """A private repository with these files at `ref`, as if they had been uploaded; returns the commit."""
        stored = {path: File(data, lfs=path.endswith(LFS_SUFFIXES)) for path, data in files.items()}
        self.blobs |= {file.oid: file.data for file in stored.values() if file.lfs}
        return self.repos.setdefault(f"{kind}/{repo_id}", Repo(private=True)).commit(ref, stored)

    def files(self, repo_id: str, revision: str = "main", kind: str = "models") -> dict[str, bytes]:
        """Paths and contents of one revision."""
        repo = self.repos[f"{kind}/{repo_id}"]
        return {path: file.data for path, file in repo.commits[repo.sha(revision)].items()}


class _Handler(BaseHTTPRequestHandler):
    """One request: the first route whose method and path fit answers it."""

    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, *args: object) -> None:
        pass

    def answer(self) -> None:
        url = urlsplit(self.path)
        self.url, self.query = unquote(url.path), parse_qs(url.query)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self.stumble()
            if self.command in ("POST", "PUT", "DELETE") and not self.url.startswith("/_lfs"):
                self.authorize()
            for pattern, route in ROUTES:
                if match := re.fullmatch(pattern, f"{self.command} {self.url}"):
                    return route(self, *match.groups())
            self.reply({"error": "no such route"}, 404)
        except HubError as error:
            self.reply({"error": str(error), **error.extra}, error.status, error.headers)

    def stumble(self) -> None:
        for target, statuses in self.hub.flaky.items():
            method, _, part = target.partition(" ")
            if method == self.command and part in self.url and statuses:
                raise HubError(statuses.pop(0), "", "not now")

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815 - names that http.server gives

    def reply(self, content: Any = None, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.hub.log.append((self.command, self.path, status))
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(content, bytes) else "application/json"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def send(self, data: bytes, headers: dict[str, str]) -> None:
        """A file, or the range of it that was asked for."""
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            start, end = int(match[1]), int(match[2] or len(data) - 1)
            headers = {**headers, "Content-Range": f"bytes {start}-{end}/{len(data)}"}
            return self.reply(data[start : end + 1], 206, headers)
        return self.reply(data, 200, headers)

    def authorize(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise HubError(401, "", "Invalid credentials in Authorization header")

    def repo(self, kind: str, repo_id: str) -> Repo:
        repo = self.hub.repos.get(f"{kind}/{repo_id}")
        if repo is None or (repo.private and self.headers.get("Authorization") != f"Bearer {TOKEN}"):
            sent = self.headers.get("Authorization")
            raise HubError(404 if sent else 401, "RepoNotFound", "Repository not found")
        return repo

    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    # accounts and repositories

    def whoami(self) -> None:
        self.authorize()
        self.reply({"type": "user", "name": USER, "fullname": USER, "orgs": [], "auth": {"type": "access_token"}})

    def validate_yaml(self) -> None:
        fine = self.json()["content"].startswith("---\n")
        self.reply({"errors": [] if fine else [{"message": "no yaml metadata"}], "warnings": []})

    def create_repo(self) -> None:
        wanted = self.json()
        kind = f"{wanted.get('type') or 'model'}s"
        repo_id = f"{wanted.get('organization') or USER}/{wanted['name']}"
        url = f"{self.hub.endpoint}/{'' if kind == 'models' else f'{kind}/'}{repo_id}"
        if f"{kind}/{repo_id}" in self.hub.repos:
            raise HubError(409, "", "You already created this repo", url=url)
        repo = self.hub.repos[f"{kind}/{repo_id}"] = Repo(private=wanted.get("visibility") == "private")
        repo.commit("main", {".gitattributes": File(b"*.safetensors filter=lfs\n")})
        self.reply({"url": url, "name": repo_id, "id": repo_id})

    def info(self, kind: str, repo_id: str, revision: str | None) -> None:
        repo = self.repo(kind, repo_id)
        sha = repo.sha(revision or "main")
        siblings = [{"rfilename": path} for path in sorted(repo.commits[sha])]
        dates = {"createdAt": CREATED, "lastModified": CREATED}
        counts = {"tags": [], "downloads": 0, "likes": 0}
        same = {"_id": "0", "id": repo_id, "modelId": repo_id, "sha": sha, "private": repo.private}
        self.reply({**same, **counts, **dates, "siblings": siblings})

    def branch(self, kind: str, repo_id: str, branch: str) -> None:
        repo = self.repo(kind, repo_id)
        if branch in repo.refs:
            raise HubError(409, "", "Reference already exists")
        repo.refs[branch] = repo.sha(self.json().get("startingPoint", "main"))
        self.reply({})

    def tag(self, kind: str, repo_id: str, revision: str) -> None:
        repo = self.repo(kind, repo_id)
        repo.refs[self.json()["tag"]] = repo.sha(revision)
        self.reply({})

    # uploads

    def preupload(self, kind: str, repo_id: str, revision: str) -> None:
        repo = self.repo(kind, repo_id)
        sha = repo.sha(revision)
        files = []
        for path in (file["path"] for file in self.json()["files"]):
            mode = "lfs" if path.endswith(LFS_SUFFIXES) else "regular"
            old = repo.commits[sha].get(path)
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": old.oid if old else None})
        self.reply({"files": files, "commitOid": sha})

    def lfs_batch(self) -> None:
        objects = []
        for wanted in self.json()["objects"]:
            oid = wanted["oid"]
            actions = {
                "upload": {"href": f"{self.hub.endpoint}/_lfs/{oid}", "header": {}},
                "verify": {"href": f"{self.hub.endpoint}/_lfs_verify/{oid}", "header": {}},
            }
            known = oid in self.hub.blobs
            objects.append({"oid": oid, "size": wanted["size"], **({} if known else {"actions": actions})})
        self.reply({"transfer": "basic", "objects": objects}, headers={"Content-Type": "application/vnd.git-lfs+json"})

    def lfs_put(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise HubError(400, "", "content does not match its hash")
        self.hub.blobs[oid] = self.body
        self.reply({})

    def lfs_verify(self, oid: str) -> None:
        fine = len(self.hub.blobs.get(oid, b"")) == self.json()["size"]
        self.reply({}, 200 if fine else 404)

    def lfs_get(self, oid: str) -> None:
        self.send(self.hub.corrupt(self.hub.blobs[oid]), {"ETag": f'"{oid}"'})

    def commit(self, kind: str, repo_id: str, ref: str) -> None:
        repo = self.repo(kind, repo_id)
        header, *operations = (json.loads(line) for line in self.body.splitlines() if line.strip())
        parent = header["value"].get("parentCommit")
        if parent and not repo.sha(ref).startswith(parent):
            raise HubError(412, "", "A commit has happened since. Please refresh and try again.")
        extra = {}
        if self.query.get("create_pr"):
            ref = repo.open_pull_request(ref)
            extra["pullRequestUrl"] = f"{self.hub.endpoint}/{repo_id}/discussions/{repo.pull_requests}"
        files = dict(repo.commits[repo.sha(ref)])
        for operation in operations:
            value, path = operation["value"], operation["value"]["path"]
            match operation["key"]:
                case "file":
                    files[path] = File(base64.b64decode(value["content"]))
                case "lfsFile":
                    files[path] = File(self.hub.blobs[value["oid"]], lfs=True)
                case "deletedFile":
                    files.pop(path, None)
                case "deletedFolder":
                    files = {name: file for name, file in files.items() if not name.startswith(path)}
        sha = repo.commit(ref, files)
        url = f"{self.hub.endpoint}/{repo_id}/commit/{sha}"
        self.reply({"success": True, "commitOid": sha, "commitUrl": url, "hookOutput": "", **extra})

    # downloads

    def tree(self, kind: str, repo_id: str, place: str) -> None:
        repo = self.repo(kind, repo_id)
        revision, files, folder = self.place(repo, place)
        inside = {path: file for path, file in files.items() if path.startswith(f"{folder}/" if folder else "")}
        if folder and not inside:
            raise HubError(404, "EntryNotFound", f"{folder} does not exist on {revision!r}")
        deep = self.query.get("recursive", ["false"])[0].lower() == "true"
        entries = {path: file.entry(path) for path, file in inside.items()}
        for path in inside:
            for parent in (str(p) for p in Path(path).parents if str(p) not in (".", folder)):
                if not folder or parent.startswith(f"{folder}/"):
                    entries[parent] = _directory(parent)
        depth = folder.count("/") + 1 if folder else 0
        self.reply([entry for path, entry in sorted(entries.items()) if deep or path.count("/") == depth])

    def paths_info(self, kind: str, repo_id: str, revision: str) -> None:
        repo = self.repo(kind, repo_id)
        files = repo.commits[repo.sha(revision)]
        wanted = parse_qs(self.body.decode()).get("paths", [])
        folders = {str(parent) for path in files for parent in Path(path).parents}
        found = [files[path].entry(path) for path in wanted if path in files]
        self.reply(found + [_directory(path) for path in wanted if path in folders])

    def resolve(self, kind: str | None, repo_id: str, place: str) -> None:
        repo = self.repo(kind or "models", repo_id)
        revision, files, path = self.place(repo, place)
        sha = repo.sha(revision)
        if path not in files:
            error = HubError(404, "EntryNotFound", "Entry not found")
            error.headers["X-Repo-Commit"] = sha
            raise error
        file = files[path]
        headers = {"X-Repo-Commit": sha, "ETag": f'"{file.oid}"', "Accept-Ranges": "bytes"}
        if not file.lfs:
            return self.send(file.data, headers)
        linked = {"X-Linked-Etag": f'"{file.oid}"', "X-Linked-Size": str(len(file.data))}
        return self.reply(b"", 302, {**headers, **linked, "Location": f"{self.hub.cdn}/_lfs/{file.oid}"})

    def place(self, repo: Repo, text: str) -> tuple[str, dict[str, File], str]:
        """Revision, its files, and the path of "revision/path": a revision may have slashes of its own."""
        known = [name for name in (*repo.refs, *repo.commits) if f"{text}/".startswith(f"{name}/")]
        if not known:
            raise HubError(404, "RevisionNotFound", f"Invalid rev id: {text}")
        revision = max(known, key=len)
        return revision, repo.commits[repo.sha(revision)], text[len(revision) + 1 :]


def _directory(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0}


_API = r" /api/(models|datasets|spaces)/([^/]+/[^/]+)"
_OID = "([0-9a-f]{64})"
ROUTES: list[tuple[str, Callable[..., None]]] = [
    (r"GET /api/whoami-v2", _Handler.whoami),
    (r"POST /api/validate-yaml", _Handler.validate_yaml),
    (r"POST /api/repos/create", _Handler.create_repo),
    (rf"GET{_API}(?:/revision/(.+))?", _Handler.info),
    (rf"GET{_API}/tree/(.+)", _Handler.tree),
    (rf"POST{_API}/paths-info/(.+)", _Handler.paths_info),
    (rf"POST{_API}/branch/(.+)", _Handler.branch),
    (rf"POST{_API}/tag/(.+)", _Handler.tag),
    (rf"POST{_API}/preupload/(.+)", _Handler.preupload),
    (rf"POST{_API}/commit/(.+)", _Handler.commit),
    (r"POST /(?:datasets/|spaces/)?[^/]+/[^/]+\.git/info/lfs/objects/batch", _Handler.lfs_batch),
    (rf"PUT /_lfs/{_OID}", _Handler.lfs_put),
    (rf"POST /_lfs_verify/{_OID}", _Handler.lfs_verify),
    (rf"(?:GET|HEAD) /_lfs/{_OID}", _Handler.lfs_get),
    (r"(?:GET|HEAD) /(?:(datasets|spaces)/)?([^/]+/[^/]+)/resolve/(.+)", _Handler.resolve),
]
