"""Command lines that would run something, read what is not theirs, or leave the runs folder: refused, nothing starts."""

import pytest

SHELL = "command: 'touch {canary}'"

CASES = {
    "a-target-for-the-launcher": ["-m", "seed=1,2", "hydra.launcher._target_=os.system"],
    "a-target-for-a-callback": ["+hydra.callbacks.x._target_=os.system", "+hydra.callbacks.x.command='touch {canary}'"],
    "a-callback-as-a-section": ["hydra.callbacks={{x: {{_target_: os.system, " + SHELL + "}}}}"],
    "a-target-in-a-value": ["+x={{_target_: os.system, " + SHELL + "}}"],
    "a-target-in-a-sweep": ["-m", "+x={{_target_: os.system}},{{_target_: os.popen}}"],
    "a-target-under-the-attention": ["+attention._target_=os.system"],
    "a-class-for-the-log": ["hydra.job_logging={{version: 1, handlers: {{x: {{class: os.system}}}}}}"],
    "another-search-path": ["hydra.searchpath=[file:///etc]"],
    "variables-for-child-processes": ["+hydra.job.env_set.LD_PRELOAD={canary}"],
    "a-folder-for-hydra": ["hydra.run.dir={canary}"],
    "a-file-into-hydra": ["attention@hydra.callbacks.x=scaled"],
    "hydra's-own-option-from-a-file": ["+hydra/callbacks=x"],
    "another-config-folder": ["--config-dir", "/etc"],
    "another-folder-of-main-configs": ["--config-path", "/etc"],
    "another-main-config": ["--config-name", "../../evil"],
    "a-pickled-job": ["--experimental-rerun", "config.pickle"],
    "a-file-outside-the-group": ["attention=../../evil"],
    "an-absolute-file": ["attention=/etc/passwd"],
    "an-environment-variable": ["notes=${{oc.env:HOME}}"],
    "an-environment-variable-in-a-list": ["task.sample_prompts=[a,'${{oc.env:HOME}}']", "task=language_model"],
    "an-environment-variable-in-a-sweep": ["-m", "notes=a,${{oc.env:HOME}}"],
    "hidden-in-another-reference": ["notes=${{a.${{oc.env:HOME}}}}"],
    "hydra's-resolver": ["notes=${{hydra:runtime.cwd}}"],
    "a-decoder": ["seed=${{oc.decode:1}}"],
    "a-clock": ["notes=${{now:%Y}}"],
    "references-in-a-circle": ["seed=${{data_seed}}", "data_seed=${{seed}}"],
    "a-million-million-runs": ["-m", "seed=range(0,1000000000000)"],
    "a-deep-list": ["+x=" + 200 * "[" + 200 * "]"],
    "a-huge-number": ["seed=" + 100 * "9"],
    "a-run-named-upwards": ["name=../x"],
    "a-run-named-as-the-folder-above": ["name=.."],
    "a-run-with-a-long-name": ["name=" + 300 * "a"],
    "a-run-named-with-a-line-end": ["name='a\nb'"],
    "a-run-named-for-a-terminal": ["name='\x1b[2Jx'"],
    "a-tag-upwards": ["tags=[../x]"],
    "a-variant-upwards": ["attention.name=../../x"],
    "a-variant-with-windows-separators": ["attention.name='..\\x'"],
    "a-project-upwards": ["tracking.project=../x"],
    "a-language-upwards": ["data=pairs", "data.path=.", "data.source=../x"],
    "a-locale-upwards": ["data=locale", "data.source=../x"],
    "runs-with-half-a-character": ["runs='a\udce4'"],
}

# Files of own configs: where they stand, what is in them, and what the refusal names besides the file.
FILES = {
    "a-target": ("attention/x.yaml", "_target_: os.system\ncommand: touch {canary}", "_target_"),
    "a-target-deeper": ("attention/x.yaml", "score: {{name: dot, _target_: os.system}}", "score._target_"),
    "a-yaml-tag": ("attention/x.yaml", "name: !!python/object/apply:os.system ['touch {canary}']", "line 1"),
    "an-alias": ("attention/x.yaml", "name: &a b\nscore: *a", "line 1"),
    "a-key-twice": ("attention/x.yaml", "name: a\nname: b", "line 2"),
    "no-mapping": ("attention/x.yaml", "- a", "keys"),
    "an-environment-variable": ("attention/x.yaml", "name: ${{oc.env:HOME}}", "name"),
    "a-clock-in-a-list": ("task/x.yaml", "sample_prompts: [a, '${{now:%Y}}']", "sample_prompts.1"),
    "a-job": ("experiment/x.yaml", "# @package _global_\nhydra: {{job: {{env_set: {{LD_PRELOAD: x}}}}}}", "hydra.job"),
    "a-launcher": ("experiment/x.yaml", "# @package _global_\nhydra: {{launcher: {{setup: [x]}}}}", "hydra.launcher"),
    "a-callback": (
        "experiment/x.yaml",
        "# @package _global_\nhydra: {{callbacks: {{x: {{a: b}}}}}}",
        "hydra.callbacks",
    ),
    "a-folder-for-hydra": ("experiment/x.yaml", "# @package _global_\nhydra: {{run: {{dir: /x}}}}", "hydra.run"),
    "another-sweeper": ("experiment/x.yaml", "hydra: {{sweeper: {{fresh: true}}}}", "hydra.sweeper.fresh"),
    "hydra-as-a-value": ("experiment/x.yaml", "hydra: {{sweeper: x}}", "hydra.sweeper"),
    "hydra-as-package": ("attention/x.yaml", "# @package hydra.callbacks\nx: {{a: b}}", "hydra.callbacks"),
    "hydra-inside-of-a-package": ("attention/x.yaml", "# @package _global_.hydra\nverbose: true", "_global_.hydra"),
    "a-package-of-two-words": ("attention/x.yaml", "# @package a b\nname: x", "@package"),
    "a-sweep-of-hydra": (
        "experiment/x.yaml",
        "hydra: {{sweeper: {{params: {{hydra.job_logging: {{class: os.system}}}}}}}}",
        "hydra.job_logging",
    ),
    "a-sweep-of-files-elsewhere": ("experiment/x.yaml", "hydra: {{sweeper: {{params: {{task: ../x}}}}}}", "task=../x"),
    "a-target-in-a-case": ("experiment/x.yaml", "hydra: {{sweeper: {{cases: [+x._target_=os.system]}}}}", "_target_"),
    "a-case-without-an-end": ("experiment/x.yaml", 'hydra: {{sweeper: {{cases: ["name=\'a"]}}}}', "hydra.sweeper"),
    "defaults-upwards": ("attention/x.yaml", "defaults: [../../evil]", "../../evil"),
    "defaults-with-an-absolute-path": ("attention/x.yaml", "defaults: [//etc/evil]", "//etc/evil"),
    "defaults-of-another-group": ("attention/x.yaml", "defaults: [/evil/x]", "evil"),
    "defaults-of-hydra": ("experiment/x.yaml", "defaults: [override /hydra/launcher: basic]", "hydra"),
    "defaults-into-hydra": (
        "experiment/x.yaml",
        "defaults: ['/attention@hydra.callbacks.x: scaled']",
        "hydra.callbacks",
    ),
    "defaults-by-a-reference": ("attention/x.yaml", "defaults: ['${{oc.env:HOME}}']", "oc.env"),
    "defaults-of-a-file-upwards": ("experiment/x.yaml", "defaults: [override /task: ../../evil]", "../../evil"),
    "defaults-that-are-no-list": ("attention/x.yaml", "defaults: scaled", "defaults"),
    "a-launcher-like-ours": ("hydra/launcher/processes.yaml", "_target_: os.system", "Hydra"),
    "a-callback-in-its-group": ("hydra/callbacks/x.yaml", "x: {{_target_: os.system}}", "Hydra"),
    "a-built-in-name": ("attention/scaled.yaml", "name: scaled\nheads: 8", "another name"),
    "a-built-in-name-deeper": ("data/base/dataset.yaml", "# @package _global_\ndata: {{}}", "another name"),
    "the-name-of-the-main-config": ("train.yaml", "seed: 7", "another name"),
    "an-ending-that-is-not-read": ("attention/x.yml", "name: x", ".yaml"),
}


@pytest.mark.parametrize("asked", [["--config-dir", "conf"], ["-cd", "{folder}", "-m", "seed=1,2"], []])
@pytest.mark.parametrize("case", FILES)
def test_a_hostile_file_of_own_configs_is_refused(case, asked, refused, canary, tmp_path):
    folder = tmp_path / "work" / "conf"
    name, content, named = FILES[case]
    if "/" not in name and not asked:
        pytest.skip("a folder with a main config is that of another program")
    (folder / "attention").mkdir(parents=True)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content.format(canary=canary) + "\n")
    line = refused("train", "trainer=smoke", *(word.format(folder=folder) for word in asked))
    assert f"conf/{name}: " in line and named in line.partition(name)[2]
    assert not (tmp_path / "work" / "runs").exists()


@pytest.mark.parametrize("asked", [["+evil=x"], ["+evil/deep=x"], ["-m", "+evil=x,deep/x"]])
def test_folders_of_own_configs_that_are_none_of_our_groups_are_never_read(asked, refused, canary, tmp_path):
    (tmp_path / "work/conf/attention").mkdir(parents=True)
    for file in ("evil/x.yaml", "evil/deep/x.yaml"):
        path = tmp_path / "work/conf" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# @package hydra.callbacks.x\n_target_: os.system\ncommand: touch {canary}\n")
    assert "evil" in refused("train", *asked)


def test_a_link_out_of_own_configs_is_not_followed(refused, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/x.yaml").write_text("_target_: os.system\n")
    (tmp_path / "work/conf/attention").mkdir(parents=True)
    (tmp_path / "work/conf/attention/deep").symlink_to(tmp_path / "elsewhere")
    assert "conf/attention/deep" in refused("train", "attention=deep/x")


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_command_is_refused(case, refused, canary, tmp_path):
    refused("train", *(argument.format(canary=canary) for argument in CASES[case]))
    assert not (tmp_path / "work" / "runs").exists()


def test_references_to_other_keys_and_harmless_parts_of_hydra_stay_open(cli):
    code, out, err = cli("train", "--cfg", "job", "--resolve", "data_seed=7", "seed=${data_seed}", "hydra.mode=RUN")
    assert code == 0, err
    assert "\nseed: 7\n" in out
