"""What gets installed: versions above known holes, each file of them known by its hash."""

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import attncompare

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
RUNTIME = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = [Requirement(line) for lines in PROJECT["optional-dependencies"].values() for line in lines]
FOR_USERS = [  # what the package itself can use: its own dependencies, and the extras that are no tools of developers
    *RUNTIME,
    *(
        Requirement(line)
        for name in ("slurm", "ray", "wandb", "digits", "bench")
        for line in PROJECT["optional-dependencies"][name]
    ),
]
BUILD = [Requirement(line) for line in PYPROJECT["build-system"]["requires"]]
# Imported by name, but inseparable from a dependency.
COMES_WITH = {"markupsafe": "jinja2", "pydantic-core": "pydantic", "triton": "torch"}
COMES_WITH |= dict.fromkeys(("markdown-it-py", "pygments"), "rich")

# The last release with a hole, or a malicious upload.
BAD = """
    aiohttp==3.14.3 datasets==5.1.0 filelock==3.20.2 fonttools==4.60.1 hydra-core==1.3.6 jinja2==3.1.5 num2words==0.5.15
    num2words==0.5.16 pillow==12.3.0 protobuf==6.33.4 pyarrow==23.0.0 pytorch-lightning==2.6.2 pytorch-lightning==2.6.3
    requests==2.32.5 torch==2.5.1 torch==2.12.1 urllib3==2.7.0 wandb==0.28.2
"""


def entries():
    """Return (requirement, hashes) of each entry of constraints.txt, in its order."""
    text = (ROOT / "constraints.txt").read_text()
    lines = re.sub(r"\s*\\\n\s*", " ", re.sub(r"^#.*\n", "", text, flags=re.M)).splitlines()
    split = [line.partition(" --hash=") for line in lines]
    return [(Requirement(head), (mark + hashes).split()) for head, mark, hashes in split]


PINS = {canonicalize_name(pin.name): pin for pin, _ in entries()}


def pinned(name):
    """Return the version of a package in constraints.txt."""
    (specifier,) = PINS[canonicalize_name(name)].specifier
    return specifier.version


def test_every_entry_is_one_version_with_hashes_and_nothing_else():
    assert len(entries()) > 100
    for pin, hashes in entries():
        assert [specifier.operator for specifier in pin.specifier] == ["=="], pin
        assert pin.url is None, pin
        assert hashes and len(set(hashes)) == len(hashes), pin
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", file) for file in hashes), pin


def test_no_package_stands_there_twice():
    names = [canonicalize_name(pin.name) for pin, _ in entries()]
    assert sorted(set(names)) == sorted(names)


def test_the_header_tells_how_to_make_it_again():
    header = (ROOT / "constraints.txt").read_text().partition("\n\n")[0][:200]
    assert "make constraints" in header
    assert re.search(r"^constraints:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("wanted", [*RUNTIME, *EXTRAS, *BUILD], ids=str)
def test_the_pinned_version_satisfies_every_bound(wanted):
    assert wanted.specifier.contains(pinned(wanted.name), prereleases=True)


@pytest.mark.parametrize("wanted", RUNTIME, ids=lambda wanted: wanted.name)
def test_every_dependency_has_a_lower_bound(wanted):
    assert any(specifier.operator == ">=" for specifier in wanted.specifier)


@pytest.mark.parametrize("bad", BAD.split())
def test_no_version_with_a_known_hole_is_allowed(bad):
    name, _, number = bad.partition("==")
    (wanted,) = [wanted for wanted in RUNTIME if wanted.name == name]
    assert number not in wanted.specifier
    assert pinned(name) != number


def imported():
    """Return the top-level modules that the package imports, anywhere in it."""
    files = [*(ROOT / "attncompare").rglob("*.py"), *(ROOT / "hydra_plugins").rglob("*.py")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.partition(".")[0] for name in names} - {"attncompare", "hydra_plugins"} - sys.stdlib_module_names


def test_every_imported_package_is_a_dependency():
    declared = {canonicalize_name(wanted.name) for wanted in FOR_USERS}
    owners = packages_distributions()
    for module in imported():
        names = {canonicalize_name(name) for name in owners.get(module, [module])}
        assert declared & {COMES_WITH.get(name, name) for name in names}, module


def test_the_build_of_torch_without_cuda_is_the_pinned_version_with_a_known_hash():
    makefile = (ROOT / "Makefile").read_text()
    (number,) = re.findall(r"^CPU_TORCH := torch==(\S+)\+cpu$", makefile, re.M)
    (known,) = re.findall(r"^CPU_TORCH_HASH := (\S+)$", makefile, re.M)
    assert number == pinned("torch")
    (hashes,) = [hashes for pin, hashes in entries() if pin.name == "torch"]
    assert f"--hash={known}" in hashes


@pytest.fixture
def wheel(tmp_path):
    """Return a wheel of the empty package `tiny` 1.0."""
    info = "tiny-1.0.dist-info"
    files = {
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    path = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


@pytest.mark.skipif(Version(version("pip")) < Version("26.3"), reason="`make` installs with the pip of constraints.txt")
@pytest.mark.parametrize(
    ("pin", "said"),
    [
        ("tiny==1.0 --hash=sha256:{known}", None),
        ("tiny==1.0 --hash=sha256:{other}", "DO NOT MATCH THE HASHES"),
        ("another==1.0 --hash=sha256:{known}", "must have their versions pinned"),
    ],
    ids=["known", "changed", "unknown"],
)
def test_pip_takes_only_files_whose_hash_stands_in_the_constraints(wheel, pin, said):
    known = hashlib.sha256(wheel.read_bytes()).hexdigest()
    constraints = wheel.with_name("constraints.txt")
    constraints.write_text(pin.format(known=known, other="0" * 64))
    site = wheel.with_name("site")
    options = ["--isolated", "--no-index", "--find-links", wheel.parent, "--constraint", constraints, "--target", site]
    command = [sys.executable, "-m", "pip", "install", *map(str, options), "tiny>=0.5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if said is None:
        assert done.returncode == 0, done.stderr
        assert (site / "tiny-1.0.dist-info").is_dir()
    else:
        assert done.returncode == 1
        assert said in done.stderr
        assert not site.exists()


@pytest.mark.parametrize(
    ("own", "before", "wanted"),
    [
        ({}, "os.getloadavg = lambda: (0.0, 0.0, 0.0); ", {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "0"}),
        ({}, "os.getloadavg = lambda: (1e9, 0.0, 0.0); ", {"GOMP_SPINCOUNT": "1000", "KMP_BLOCKTIME": "0"}),
        ({}, "del os.getloadavg; ", {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "0"}),  # as on Windows
        ({}, "sys.modules['torch'] = None; ", {}),  # imported already, it has read what there was
        *(({name: "7"}, "", {name: "7"}) for name in ("OMP_WAIT_POLICY", *attncompare.WAITING)),
    ],
)
def test_how_threads_wait_is_set_before_torch_unless_the_user_has_set_it(own, before, wanted):
    names = ("OMP_WAIT_POLICY", *attncompare.WAITING)
    variables = {name: value for name, value in os.environ.items() if name not in names} | own
    script = f"import json, os, sys; {before}import attncompare; print(json.dumps(dict(os.environ)))"
    done = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=True)
    assert {name: value for name, value in json.loads(done.stdout).items() if name in names} == wanted
