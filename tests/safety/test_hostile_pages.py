"""Pages made of hostile data: whatever a corpus, a label or a record says, it is text, and nothing of it runs."""

import hashlib
import json
import shutil

import pytest
import yaml
from browser import needs_browser, opened
from sample_maps import sample_site

from attncompare.maps.maps import ProbeMaps, SiteMap, save_maps
from attncompare.maps.page import MapSeries, maps_page
from attncompare.record import seal

RUN = "window.ran=1"
HOSTILE = {
    "script": f"<script>{RUN}</script>",
    "end-of-script": f"</script><script>{RUN}</script>",
    "handler": f"<img src=x onerror={RUN}>",
    "svg": f"<svg/onload={RUN}>",
    "comment": f"<!-- --><!--<script>{RUN}</script>",
    "cdata": f"]]><script>{RUN}</script>",
    "quotes": f"\"'><script>{RUN}</script>`${{{RUN}}}",
    "attribute": f'" onmouseover="{RUN}" autofocus onfocus="{RUN}" x="',
    "line-separators": f"\u2028\u2029{RUN}//\u2028",
    "direction": f"\u202e\u2066{RUN}\u202c",
    "style": f"</style><style>*{{display:none}}</style><script>{RUN}</script>",
    "template": "{{ 7 * 7 }}{% raw %}",
    "link": f"javascript:{RUN}",
    "anchor": f'<a href="javascript:{RUN}"><b>go</b></a><br>',
    "frame": f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe><base href=//evil.invalid>",
    "refresh": "<meta http-equiv=refresh content='0;url=//evil.invalid'>",
    "form": "<form action=//evil.invalid><button autofocus>",
}
ALL = " ".join(HOSTILE.values())


# What no page of ours has, and only data could have brought in; plotly draws its curves as pictures of their own.
FOREIGN = "img, iframe, base, form, meta[http-equiv=refresh], [onload], [onerror], [onfocus], [onmouseover], [srcdoc]"


def hold(file):
    """Open ``file`` and hold it to: nothing ran, nothing was asked for, nothing stands in the page but its own parts."""
    with opened(file) as (page, problems):
        dialogs = []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.wait_for_selector("canvas")
        page.mouse.move(300, 300)
        page.keyboard.press("Tab")
        assert page.evaluate("window.ran") is None
        assert page.locator(FOREIGN).count() == 0
        assert (problems, dialogs) == ([], [])
        return page.locator("body").inner_text()


@needs_browser
def test_nothing_in_the_maps_page_runs(tmp_path):
    texts = tuple(HOSTILE.values())
    series = []
    for label in (ALL, *texts[:3]):
        plain = sample_site("cross", queries=len(texts), keys=len(texts))
        site = SiteMap("cross", texts, texts, plain.weights_LHTS)
        series.append(MapSeries(label, [(1, [ProbeMaps(0, ALL, (site,)), ProbeMaps(1, texts[0], (site,))])]))
    file = tmp_path / "maps.html"
    file.write_text(maps_page(ALL, series), encoding="utf-8")
    assert f"<script>{RUN}</script>" in hold(file)


@needs_browser
def test_nothing_in_a_report_runs(downloaded, cli, tmp_path):
    rows = [json.loads(line) for line in (downloaded / "predictions.jsonl").read_text().splitlines()]
    for row, text in zip(rows, [ALL, *HOSTILE.values()], strict=False):
        row.update(source=text, prediction=text, reference=text)
    (downloaded / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = yaml.safe_load((downloaded / "config.yaml").read_text())
    (downloaded / "config.yaml").write_text(yaml.safe_dump({**config, "notes": ALL.replace("${", "$ {")}))
    environment = json.loads((downloaded / "environment.json").read_text())
    hostile = {"python": ALL, "packages": {text: text for text in HOSTILE.values()}}
    (downloaded / "environment.json").write_text(json.dumps({**environment, **hostile}))
    summary = json.loads((downloaded / "summary.json").read_text())
    summary["data"]["fingerprint"] = ALL
    summary["signatures"] = {"bleu": ALL, "chrf": ALL}
    (downloaded / "summary.json").write_text(json.dumps(summary))
    *_, file = sorted(downloaded.glob("maps/step-*.npz"))
    save_maps(file, 2, [ProbeMaps(0, ALL, (sample_site("cross"),))])
    hostile_folder = downloaded.rename(tmp_path / "run; <script>window.ran=1<!-- $(touch x)")
    seal(hostile_folder)
    code, _, err = cli("compare", hostile_folder, "--html", tmp_path / "report.html")
    assert code == 0, err
    text = hold(tmp_path / "report.html")
    assert f"<script>{RUN}</script>" in text
    assert f"attncompare reproduce '{hostile_folder}'" in text or "reproduce '../run; <script>" in text  # for a shell


@needs_browser
def test_nothing_that_tells_why_runs_differ_or_were_left_out_runs(downloaded, cli, tmp_path):
    """Environments hold what differs between machines, a reason what a failed run said."""
    runs = tmp_path / "runs"
    for seed, key in enumerate((HOSTILE["script"], HOSTILE["handler"], ALL), 1):
        folder = shutil.copytree(downloaded, runs / str(seed), ignore=shutil.ignore_patterns("wandb"))
        config = yaml.safe_load((folder / "config.yaml").read_text())
        (folder / "config.yaml").write_text(yaml.safe_dump({**config, "seed": seed}))
        facts = json.loads((folder / "environment.json").read_text())
        (folder / "environment.json").write_text(json.dumps({**facts, "cpu": ALL + key, key: HOSTILE["svg"]}))
        summary = json.loads((folder / "summary.json").read_text())
        state = "finished" if key != ALL else "failed"
        sha256 = hashlib.sha256((folder / "config.yaml").read_bytes()).hexdigest()
        told = {"state": state, "message": ALL, "config_sha256": sha256}
        (folder / "summary.json").write_text(json.dumps({**summary, **told}))
        seal(folder)
    file = tmp_path / "report.html"
    code, _, err = cli("compare", runs, "--html", file)
    assert code == 0, err
    with opened(file) as (page, problems):
        page.wait_for_selector("html[data-drawn=all]")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        for point in page.locator(".chart").all():  # what stands beside the pointer
            point.hover()
        for button in page.locator(".keys button").all():
            button.click()
        assert page.locator(".tip a, svg script").count() == 0 and problems == []
    assert f"<script>{RUN}</script>" in hold(file)


@needs_browser
def test_nothing_in_the_page_of_a_new_sentence_runs(downloaded, cli, tmp_path):
    values = json.loads((downloaded / "tokenizer.json").read_text())
    vocab = values["model"]["vocab"]
    hostile = dict(zip([token for token in vocab if not token.startswith("<")], HOSTILE.values(), strict=False))
    values["model"]["vocab"] = {hostile.get(token, token): number for token, number in vocab.items()}
    (downloaded / "tokenizer.json").write_text(json.dumps(values))
    seal(downloaded)
    code, out, err = cli(
        "attend", downloaded, f"<script>{RUN}</script> \x1b]0;x\x07", "--html", tmp_path / "attend.html"
    )
    assert code == 0, err
    assert "\x1b]0" not in out and "\x07" not in out
    hold(tmp_path / "attend.html")


@needs_browser
@pytest.mark.parametrize("policy", [True, False], ids=["with-the-policy", "without"])
def test_even_text_that_got_out_of_its_place_could_not_run(policy, tmp_path):
    page = maps_page("title", [MapSeries("label", [(1, [ProbeMaps(0, "text", (sample_site("cross"),))])])])
    escaped = "".join(HOSTILE[kind] for kind in ("script", "handler", "svg", "frame"))
    page = page.replace("<h1>", f"{escaped}<h1>")
    file = tmp_path / "maps.html"
    file.write_text(page if policy else page.replace("Content-Security-Policy", "x"), encoding="utf-8")
    with opened(file) as (browser, _):
        browser.wait_for_selector("canvas")
        assert browser.evaluate("window.ran") == (None if policy else 1)
