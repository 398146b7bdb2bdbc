"""What a run leaves behind: no secret of the machine it ran on, and nothing that anything could execute."""

import os
import pickle
import re
import secrets
import subprocess
import zipfile
from io import BytesIO

import pytest
from commands import SMOKE, command, environment

# Names under which secrets stand in environments; no value of them may appear in any byte of a run's folder. They are
# made here, as the diff of this very file may be recorded.
CANARIES = {
    "WANDB_API_KEY": secrets.token_hex(20),
    "HF_TOKEN": f"hf_{secrets.token_hex(17)}",
    "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(30),
    "MY_OWN_VARIABLE": f"ordinary {secrets.token_hex(8)}",
    "HTTPS_PROXY": f"http://someone:{secrets.token_hex(8)}@proxy.invalid:3128",
    "SSH_AUTH_SOCK": f"/tmp/{secrets.token_hex(8)}",
}


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory):
    """Every file of a finished run, W&B's among them, by name: trained where the environment is full of secrets."""
    home = tmp_path_factory.mktemp("secrets")
    variables = {**environment(home), **CANARIES}
    options = {"cwd": home, "env": variables, "capture_output": True, "text": True}
    done = subprocess.run(command("train", *SMOKE), check=False, **options)
    assert done.returncode == 0, done.stderr
    folder = home / done.stdout.strip()
    files = [file for file in folder.rglob("*") if file.is_file()]
    return folder, {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def test_no_variable_of_the_environment_is_in_any_byte(left_behind):
    folder, files = left_behind
    (wandb,) = (content for name, content in files.items() if name.endswith(".wandb"))
    assert folder.name.encode() in wandb  # its texts can be read, so that a secret would be seen
    for name, content in files.items():
        for variable, value in CANARIES.items():
            assert value.encode() not in content, f"{variable} in {name}"
            assert value.encode("utf-16-le") not in content, f"{variable} in {name}"


def test_nothing_is_a_pickle_or_can_be_executed(left_behind):
    folder, files = left_behind
    kinds = {".csv", ".html", ".json", ".jsonl", ".log", ".npz", ".png", ".safetensors", ".txt", ".wandb", ".yaml"}
    for name, content in files.items():
        path = folder / name
        staged = name.startswith("wandb/artifacts/staging/")  # W&B's tables, in JSON, or empty
        assert path.suffix in kinds or (staged and content[:1] in (b"", b"{")), name
        assert not os.access(path, os.X_OK), name
        assert path.resolve().is_relative_to(folder.resolve()), name  # W&B links to its own logs
        assert not content.startswith((b"\x7fELF", b"#!", b"MZ", b"\xca\xfe\xba\xbe")), name
        assert not holds_pickle(content), name


def test_every_kind_of_pickle_would_be_found():
    assert all(holds_pickle(pickle.dumps(os.system, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1))
    assert holds_pickle(b"cposix\nsystem\n(S'true'\ntR.") and not holds_pickle(b"cost\nsum\n1\n")


def holds_pickle(content):
    """Return whether ``content`` is a pickle, or a zip that holds something else than plain arrays."""
    if content.startswith(b"PK"):
        with zipfile.ZipFile(BytesIO(content)) as archive:
            return any(not name.endswith(".npy") or b"|O" in archive.read(name)[:200] for name in archive.namelist())
    begins = re.match(rb"\x80[\x02-\x05]", content)
    textual = re.match(rb"c[\w.]+\n\w+\n[(S]", content)  # the oldest protocol
    return bool(begins or textual)
