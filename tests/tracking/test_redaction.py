"""What of a dirty checkout enters a record: its diff without whatever looks like a secret."""

import logging
import subprocess

import pytest

from attncompare.record import git_state
from attncompare.record import SWEEP_LIMIT as LARGEST
from attncompare.record.provenance import looks_secret, split_diff, without_secrets

# Made up, in the form of real ones.
KEYS = {
    "private key": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "amazon": "AKIA" + "IOSFODNN7EXAMPLE",
    "github": "ghp_" + 36 * "a",
    "openai": "sk-" + 40 * "a",
    "anthropic": "sk-ant-api03-" + 40 * "a",
    "hugging face": "hf_" + 34 * "a",
    "slack": "xoxb-" + "1234567890-abcdef",
    "google": "AIza" + 35 * "a",
    "wandb": 'api_key = "' + 40 * "3" + '"',
    "wandb in a comment": "# the wandb key: " + 40 * "f",
    "password": "password: 'correct-horse-battery'",
    "token": 'TOKEN = "0123456789abcdef"',
    "url": "https://someone:hunter2@example.invalid/repo.git",
    "json web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.",
}
SECRET_FILES = (
    *(
        ".env",
        ".env.local",
        "prod.env",
        "server.pem",
        "tls.key",
        "id_rsa",
        "id_ed25519.pub",
        ".netrc",
        "credentials.json",
    ),
    *(
        "my_secrets.yaml",
        "cert.p12",
        "cert.pfx",
        ".npmrc",
        ".pypirc",
        "kubeconfig.yaml",
        ".ssh/config",
        "a/.aws/config",
    ),
)
CODE = {
    "attncompare/data/tokenizer.py": "+class Tokenizer:\n+    key_BHSK = self.key(memory)  # the token's key\n",
    "conf/train.yaml": "+seed: 1  # password of nothing\n",
    "README.md": "+see https://example.invalid/a@b and sk-learn, hf_hub\n",
    "tests/data.json": '+{"sha256": "' + 64 * "a" + '"}\n',
}


def git(folder, *arguments):
    identity = ("-c", "user.name=someone", "-c", "user.email=someone@example.invalid")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path):
    """A repository with code and with files that never should have been committed, all of them changed since."""
    git(tmp_path, "init")
    for turn in ("old", "new"):
        for name in ("code.py", "ü b.py", *SECRET_FILES):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(f"the {turn} content of {name}\n")
        for number, key in enumerate(KEYS.values()):
            (tmp_path / f"settings{number}.py").write_text(f"a = 1\n{key}\nb = '{turn}'\n")  # shown as context
        if turn == "old":
            git(tmp_path, "add", "--force", ".")
            git(tmp_path, "commit", "-m", "first")
    return tmp_path


def test_secrets_stay_out_of_the_diff_and_are_named(checkout, caplog, monkeypatch):
    logger = logging.getLogger("attncompare")
    monkeypatch.setattr(logger, "disabled", False)  # Hydra disables all loggers that exist when it starts
    monkeypatch.setattr(logger, "handlers", [caplog.handler])
    caplog.set_level(logging.WARNING, "attncompare")
    (checkout / ".env.new").write_text("SECRET=1\n")  # git does not know it
    state = git_state(checkout)
    assert "+the new content of code.py" in state["diff"] and "+the new content of ü b.py" in state["diff"]
    assert sorted(state["left_out"]) == sorted([*SECRET_FILES, *(f"settings{n}.py" for n in range(len(KEYS)))])
    for key in KEYS.values():
        assert key not in str(state)
    assert "the new content of id_rsa" not in str(state) and "SECRET=1" not in str(state)
    assert "id_rsa" in caplog.text


def test_what_is_kept_can_be_applied_again(checkout):
    for name in ("one.py", "ü two.py"):
        (checkout / name).write_text("a\nb\n\nc \r\n\n")
    git(checkout, "add", "--force", ".")
    git(checkout, "commit", "-m", "second")
    (checkout / "one.py").write_text("a\nB\n\nc \r\n\n")
    (checkout / "ü two.py").write_text("a\nb\n\nC \r\n\n")
    diff = git_state(checkout)["diff"]
    git(checkout, "checkout", ".")
    (checkout / "kept.diff").write_bytes(diff.encode())
    git(checkout, "apply", "kept.diff")
    assert (checkout / "one.py").read_bytes() == b"a\nB\n\nc \r\n\n"
    assert (checkout / "ü two.py").read_bytes() == b"a\nb\n\nC \r\n\n"


def test_settings_of_the_user_change_nothing(checkout):
    before = git_state(checkout)
    (checkout / ".git" / "config").open("a").write(
        '[diff]\n  noprefix = true\n  external = "touch ran; true"\n[color]\n  ui = always\n'
    )
    assert git_state(checkout) == before
    assert not (checkout / "ran").exists()


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_seen(key):
    assert looks_secret("code.py", f"+{KEYS[key]}\n")


@pytest.mark.parametrize("name", CODE)
def test_code_is_no_secret(name):
    assert not looks_secret(name, CODE[name])


def test_a_file_of_data_is_left_out():
    part = "diff --git a/data.csv b/data.csv\n--- a/data.csv\n+++ b/data.csv\n@@ -1 +1 @@\n"
    assert without_secrets(part + "+1\n") == (part + "+1\n", [])
    assert without_secrets(part + "+" + LARGEST * "1" + "\n") == ("", ["data.csv"])


def test_a_line_that_looks_like_a_header_does_not_end_a_file():
    diff = "diff --git a/x b/x\n@@ -1 +1 @@\n+diff --git a/y b/y\n diff --git a/z b/z\n"
    assert split_diff(diff) == [("x", diff)]
