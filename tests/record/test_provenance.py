"""What is recorded of code and machine: enough to tell why two runs differ, and nothing that looks like a secret."""

import json
import logging
import secrets
import signal
import subprocess

import pytest

from attncompare.errors import Refused
from attncompare.record import changes, environment, provenance, recorded_threads, said
from attncompare.record.provenance import LARGEST_DIFF, cpu_features, git_state, looks_secret, without_secrets

# Made up, in the form of real ones.
KEYS = {
    "private key": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "amazon": "AKIA" + "IOSFODNN7EXAMPLE",
    "github": "ghp_" + 36 * "a",
    "openai": "sk-" + 40 * "a",
    "hugging face": "hf_" + 34 * "a",
    "slack": "xoxb-" + "1234567890-abcdef",
    "google": "AIza" + 35 * "a",
    "wandb": 'api_key = "' + 40 * "3" + '"',
    "wandb's in a comment": "# the wandb key: " + 40 * "f",
    "password": "password: 'correct-horse-battery'",
    "token": 'TOKEN = "0123456789abcdef"',
    "url": "https://someone:hunter2@example.invalid/repo.git",
    "json web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.",
}
SECRET_FILES = (
    *(".env", ".env.local", "prod.env", "server.pem", "tls.key", "id_rsa", "id_ed25519.pub", ".netrc", ".npmrc"),
    *("credentials.json", "my_secrets.yaml", "cert.p12", "cert.pfx", ".pypirc", "kubeconfig.yaml", ".ssh/config"),
    "a/.aws/config",
)
CODE = {
    "attncompare/data/tokenizer.py": "+class Tokenizer:\n+    key_BHSK = self.key(memory)  # the token's key\n",
    "conf/train.yaml": "+seed: 1  # password of nothing\n",
    "README.md": "+see https://example.invalid/a@b and sk-learn, hf_hub\n",
    "tests/data.json": '+{"sha256": "' + 64 * "a" + '"}\n',
}


FRAGMENTS = (
    "-----BEGIN ",
    "AKIA",
    "gh",
    "key",
    "key0 ",
    "token ",
    "token=",
    "token='",
    "0",
    "0 ",
    "sk-",
    "xoxb-",
    " '",
)


def git(folder, *arguments):
    identity = ("-c", "user.name=someone", "-c", "user.email=someone@example.invalid")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path):
    """A repository with code and with files that never should have been committed, all of them changed since."""
    git(tmp_path, "init")
    (tmp_path / ".gitignore").write_text("ignored\n")
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
    monkeypatch.setattr(logging.getLogger("attncompare"), "handlers", [caplog.handler])
    for name in (".env.new", "new.py", "ignored"):
        (checkout / name).write_text("SECRET=1\n")
    state = git_state(checkout)
    assert state["commit"] == git(checkout, "rev-parse", "HEAD").strip() and state["untracked"] == ".env.new, new.py"
    assert "+the new content of code.py" in state["diff"] and "+the new content of ü b.py" in state["diff"]
    assert sorted(state["left_out"]) == sorted([*SECRET_FILES, *(f"settings{n}.py" for n in range(len(KEYS)))])
    assert not any(key in str(state) for key in (*KEYS.values(), "the new content of id_rsa", "SECRET=1"))
    assert "id_rsa" in caplog.text


def test_settings_of_the_user_change_nothing(checkout):
    before = git_state(checkout)
    with (checkout / ".git" / "config").open("a") as file:
        file.write('[diff]\n  noprefix = true\n  external = "touch ran; true"\n[color]\n  ui = always\n')
    assert git_state(checkout) == before
    assert not (checkout / "ran").exists()


def test_a_folder_inside_somebody_elses_checkout_is_none(checkout):
    (checkout / "site-packages").mkdir()
    assert git_state(checkout / "site-packages") is None


def test_a_key_is_seen_and_code_is_no_secret():
    assert [key for key, value in KEYS.items() if not looks_secret("code.py", f"+{value}\n")] == []
    assert [name for name, content in CODE.items() if looks_secret(name, content)] == []


@pytest.mark.parametrize("unit", ["a", "-eyJaaaaaaaaaa", "eyJaaaaaaaaaa.", "a://", "://a:", "://a", ":a", *FRAGMENTS])
def test_one_long_line_is_searched_in_linear_time(unit):
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it would take hours"))
    signal.alarm(60)
    try:
        looks_secret("code.py", unit * (LARGEST_DIFF // len(unit)))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_file_of_data_is_left_out_and_a_line_like_a_header_ends_no_file():
    part = "diff --git a/data.csv b/data.csv\n--- a/data.csv\n+++ b/data.csv\n@@ -1 +1 @@\n"
    assert without_secrets(part + "+1\n") == (part + "+1\n", [])
    assert without_secrets(part + "+" + LARGEST_DIFF * "1" + "\n") == ("", ["data.csv"])
    diff = "diff --git a/x b/x\n@@ -1 +1 @@\n+diff --git a/y b/y\n diff --git a/z b/z\n"
    assert without_secrets(diff) == (diff, [])


def test_the_environment_is_plain_and_holds_no_variable_of_it(monkeypatch):
    secret = secrets.token_hex(20)  # made here, as the diff of this very file may be recorded
    monkeypatch.setenv("WANDB_API_KEY", secret)
    facts = environment("fingerprint")
    assert secret not in str(facts) and json.loads(json.dumps(facts)) == facts
    assert facts["packages"]["torch"] and set(facts["blas"]) == {"mkl", "mkldnn"} and facts["threads"] >= 1
    assert changes(facts, facts) == []


@pytest.mark.parametrize(
    ("key", "wanted"), [("flags", ["avx2", "avx512_bf16", "fma"]), ("Features", ["asimd", "bf16"])]
)
def test_the_instructions_that_compute_are_recorded_sorted(key, wanted, tmp_path, monkeypatch):
    cpu = f"processor\t: 0\nmodel name\t: One\n{key}\t\t: smep fpu {' '.join(wanted[::-1])}\n"
    (tmp_path / "cpuinfo").write_text(f"{cpu}\nprocessor\t: 1\n{key}: sve\n")
    monkeypatch.setattr(provenance, "_CPU_INFO", tmp_path / "cpuinfo")
    provenance._cpu_facts.cache_clear()
    try:
        assert cpu_features() == wanted
    finally:
        provenance._cpu_facts.cache_clear()


@pytest.mark.parametrize("threads", [0, 1.0, True, "2", 1025])
def test_threads_that_no_machine_has_are_refused(threads):
    assert recorded_threads({"threads": 2}, "run") == 2 and recorded_threads({}, "run") is None
    with pytest.raises(Refused, match=r"^run: .*threads"):
        recorded_threads({"threads": threads}, "run")


RECORDED = {
    "attncompare": "0.1.0",
    "python": "3.11.7",
    "packages": {"torch": "2.6.0", "rich": "13", "old": "1", "Typing_Extensions": "4"},
    "git": {"commit": "a" * 40, "diff": "-x\n+y", "untracked": ""},
    "platform": "Linux",
    "cpu": "this",
    "cpu_capability": "AVX512",
    "cpu_features": ["amx", "avx2", "fma"],
    "cores": 2,
    "threads": 1,
    "device": "cpu",
    "data_fingerprint": "d",
}


def test_what_changes_numbers_comes_first():
    other = {key: "other" for key in RECORDED if key not in ("packages", "git", "cpu_features")}
    found = changes(RECORDED, {**other, "packages": {}, "git": None, "cpu_features": []})
    assert [one.what for one in found if not one.what.startswith("packages.") or "torch" in one.what] == [
        *("data_fingerprint", "packages.torch", "threads", "device", "cpu_capability", "cpu_features", "cpu"),
        *("git.commit", "git.diff", "attncompare", "python", "cores", "platform"),
    ]


def test_torch_has_its_own_line_and_the_many_others_share_one():
    packages = {"torch": "2.7.0", "rich": "14", "new": "2", "typing-extensions": "4"}
    torch, others = said(changes(RECORDED, {**RECORDED, "packages": packages}))
    assert "2.6.0" in torch and "2.7.0" in torch and others.endswith(": new, old, rich")


def test_long_texts_are_measured_and_lists_told_by_what_differs():
    git = {**RECORDED["git"], "diff": ""}
    now = {**RECORDED, "git": git, "cpu_features": ["avx2", "fma", "sve"], "threads": 2}
    assert said(changes(RECORDED, now)) == [
        "threads: 1 in the record, 2 now",
        "cpu_features: only in the record amx; only now sve",
        "git.diff: 2 lines in the record, none now",
    ]
    assert changes({"python": "3.11.7", "threads": 1}, RECORDED) == []  # of the rest nothing is known
