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


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_command_is_refused(case, refused, canary, tmp_path):
    refused("train", *(argument.format(canary=canary) for argument in CASES[case]))
    assert not (tmp_path / "work" / "runs").exists()


def test_references_to_other_keys_and_harmless_parts_of_hydra_stay_open(cli):
    code, out, err = cli("train", "--cfg", "job", "--resolve", "data_seed=7", "seed=${data_seed}", "hydra.mode=RUN")
    assert code == 0, err
    assert "\nseed: 7\n" in out
