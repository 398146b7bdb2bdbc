"""A stand-in for W&B's server: as much of it as W&B's client asks for, kept in memory, on a local port."""

import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "0123456789" * 4  # what an API key looks like
_ENTITY = {"id": "e", "name": "me"}


def log_in(monkeypatch, url):
    """Let W&B, here and in child processes, use the server at ``url``.

    It does not ask who it is, which would take 5 s where nobody answers.
    """
    for name, value in {"BASE_URL": url, "API_KEY": KEY, "X_DISABLE_VIEWER": "true"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)


def log_out(monkeypatch, home):
    """Let W&B know no account."""
    monkeypatch.setenv("HOME", str(home))
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)


def plain(row):
    """A row of history without what W&B adds to it, and without the random names of its tables."""
    if not isinstance(row, dict):
        return row
    return {key: plain(value) for key, value in row.items() if not re.search(r"(^|\.)_(?!type)|artifact_path", key)}


@dataclass
class ServedRun:
    """What the server has of one run."""

    history: list[dict] = field(default_factory=list)
    summary: dict = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    exit_codes: list[int] = field(default_factory=list)
    told: dict = field(default_factory=dict)  # its name, group, tags, ...

    @property
    def rows(self):
        return [plain(row) for row in self.history]


class WandbServer:
    """Runs by id; while ``down`` it hangs up on everyone."""

    def __init__(self):
        self.runs: dict[str, ServedRun] = {}
        self.views: list[dict] = []  # workspaces and reports
        self.down = False

    def answer(self, path, body, url):
        if path == "/graphql":
            asked = json.loads(body)
            name = asked.get("operationName") or re.search(r"(?:query|mutation) (\w+)", asked["query"])[1]
            return {"data": self._graphql(name, asked.get("variables") or {}, url)}
        if stream := re.fullmatch(r"/files/.*/([^/]+)/file_stream", path):
            self._stream(self.runs[stream[1]], json.loads(body))
        if put := re.fullmatch(r"/put/([^/]+)/(.+)", path):
            self.runs[put[1]].files[put[2]] = body
        return {}

    def _graphql(self, operation, given, url):  # noqa: PLR0911  (an answer for each operation)
        project = {"id": "p", "internalId": "1", "name": given.get("projectName", "p"), "entity": _ENTITY}
        match operation:
            case "RunResumeStatus":
                return {
                    "model": {**project, "bucket": self._bucket(given["name"]) if given["name"] in self.runs else None}
                }
            case "UpsertBucket":
                run = self.runs.setdefault(given["name"], ServedRun())
                run.told |= {key: value for key, value in given.items() if value is not None}
                bucket = {"id": "r", "name": given["name"], "displayName": "r", "project": project, "config": "{}"}
                return {"upsertBucket": {"bucket": bucket, "inserted": True}}
            case "CreateRunFiles":
                files = [{"name": name, "uploadUrl": f"{url}/put/{given['run']}/{name}"} for name in given["files"]]
                return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}
            case "Viewer" | "GetDefaultEntity":
                return {"viewer": {"id": "u", "username": "me", "entity": "me", "flags": "{}", "teams": {"edges": []}}}
            case "CreateArtifact":  # tables are kept as artifacts too; it says that it has them
                sequence = {"id": "s", "latestArtifact": {"id": "a", "versionIndex": 0}}
                return {"createArtifact": {"artifact": {"id": "a", "state": "COMMITTED", "artifactSequence": sequence}}}
            case "UpsertView2" | "upsertView":
                self.views.append(given)
                known = {key: given.get(key) for key in ("name", "type", "displayName", "description", "spec")}
                place = {"id": f"Vmlld{len(self.views)}", "project": {**project, "entityName": given["entityName"]}}
                return {
                    "upsertView": {"view": {**known, **place, "updatedAt": "2026-01-01T00:00:00"}, "inserted": True}
                }
            case "ProjectInternalId":
                return {"project": project}
            case "GetProjects":
                return {"models": {"edges": [], "pageInfo": {"endCursor": None, "hasNextPage": False}}}
        return {"project": {"artifact": None}}

    def _bucket(self, run_id):
        run = self.runs[run_id]
        counts = {"historyLineCount": len(run.history), "eventsLineCount": 0, "logLineCount": 0}
        tails = {"historyTail": json.dumps([json.dumps(row) for row in run.history[-1:]]), "eventsTail": "[]"}
        texts = {"summaryMetrics": json.dumps(run.summary), "config": "{}", "wandbConfig": '{"t": 1}'}
        return {"id": "r", "name": run_id, **counts, **tails, **texts, "tags": []}

    @staticmethod
    def _stream(run, sent):
        files = sent.get("files") or {}
        if lines := files.get("wandb-history.jsonl"):
            run.history[lines["offset"] :] = [json.loads(line) for line in lines["content"]]
        if lines := files.get("wandb-summary.json"):
            run.summary = json.loads(lines["content"][-1])
        if sent.get("complete"):
            run.exit_codes.append(sent.get("exitcode", 0))


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """W&B hangs up in the middle, too."""


@contextmanager
def wandb_server(monkeypatch):
    """Start one, and let W&B use it."""
    server = WandbServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if server.down:
                self.close_connection = True
                return
            text = json.dumps(server.answer(self.path, body, url)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST

        def log_message(self, *arguments):
            pass

    with _QuietServer(("127.0.0.1", 0), Handler) as http:
        url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, daemon=True).start()
        log_in(monkeypatch, url)
        try:
            yield server
        finally:
            http.shutdown()
