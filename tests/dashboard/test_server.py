"""The server: what it shows, that it shows nothing else, and that no other page can ask it."""

import os
import re
import signal
import socket
import subprocess

import pytest
from browser import needs_browser, visited
from commands import attncompare, command, environment

from attncompare.dashboard.folder import Watch

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def test_pages_of_the_folder_a_sweep_and_a_run(dashboard, add_run):
    assert b"No runs yet" in dashboard.ask("/")[2]
    add_run("one")
    add_run("two", "additive", state="interrupted", message="by Ctrl-C")
    text = dashboard.ask("/")[2].decode()
    assert "BLEU 30.00" in text and "by Ctrl-C" in text and "300/300" in text
    (group,), ids = dashboard.ids("group"), dashboard.ids("run")
    text = dashboard.ask(f"/group/{group}")[2].decode()
    assert "validation BLEU" in text and 'data-label="additive"' in text
    text = dashboard.ask(f"/run/{ids[0]}")[2].decode()
    assert "metrics.csv" in text and "training loss" in text
    assert dashboard.ask(f"/run/{ids[0]}/maps")[2].startswith(b"<!doctype html>")
    status, headers, _ = dashboard.ask("/")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy and "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and "Python" not in headers["Server"]
    for name in ("page.css", "page.js", "live.js"):
        status, _, body = dashboard.ask(f"/static/{name}")
        assert status == 200 and b"&#" not in body  # styles and scripts are no text of a page
    status, headers, body = dashboard.ask("/", "HEAD")
    assert (status, body) == (200, b"") and int(headers["Content-Length"]) > 100
    assert dashboard.ask("/", headers={"If-None-Match": headers["ETag"]})[::2] == (304, b"")


def test_the_report_is_that_of_compare_and_follows_the_runs(dashboard, add_run):
    from attncompare.compare import compare_groups, gather
    from attncompare.compare.page import report_page

    run = add_run("one")
    (group,) = dashboard.ids("group")
    gathered = gather([run.path])
    first = dashboard.ask(f"/group/{group}/report")[2].decode()
    assert first == report_page(compare_groups(gathered.runs, left_out=gathered.left_out))
    add_run("two", "additive")
    assert dashboard.ask(f"/group/{group}/report")[2].decode().count("additive") > first.count("additive")


def variants_of(text):
    """Return the buttons of a page's curves: each variant, and its color."""
    return re.findall(r'data-label="([^"]+)">\s*<span class="swatch" style="--color:(#\w+)">', text)


def test_a_sweep_over_heads_has_a_color_for_each_variant_and_that_of_the_report(dashboard, add_run):
    for heads in (12, 1, 2, 4):  # who begins first decides nothing
        add_run(f"{len(dashboard.ids('run'))}", "multihead", heads=heads)
    add_run("z", "additive")
    (group,) = dashboard.ids("group")
    page, report = (variants_of(dashboard.ask(f"/group/{group}{what}")[2].decode()) for what in ("", "/report"))
    names = ["additive", "scaled", "multihead heads=2", "multihead", "multihead heads=12"]
    assert [name for name, _ in page] == names and len({color for _, color in page}) == len(names)
    assert page == report


def test_reference_runs_are_left_out_and_reproductions_marked(dashboard, add_run, runs):
    add_run("it")
    add_run("again", asked="reproduce=runs/it")
    add_run("five/run", "additive")
    (runs / "reference").mkdir()
    (runs / "reference/five.tar.xz").touch()
    text = dashboard.ask("/")[2].decode()
    assert text.count("reproduction of runs/it") == 1
    assert "additive" not in text and "Reference runs are left out unless their folder is given: five." in text
    assert [view.name for view in Watch(runs / "five").groups()[0].views] == ["run"]


def test_what_cannot_be_built_says_why(dashboard, add_run, runs):
    run = add_run("it", state="failed", message="the loss is nan")
    for file in (run.path / "maps").iterdir():
        file.unlink()
    (group,), (name,) = dashboard.ids("group"), dashboard.ids("run")
    status, _, body = dashboard.ask(f"/group/{group}/report")
    assert status == 409 and b"no run has finished" in body
    status, _, body = dashboard.ask(f"/run/{name}/maps")
    assert status == 409 and b"the loss is nan" in body


def test_it_is_for_reading(dashboard):
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        status, headers, _ = dashboard.ask("/", method)
        assert status == 405 and headers["Allow"] == "GET, HEAD"


def test_other_names_and_pages_from_elsewhere_are_refused(dashboard):
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "[::1]"):
        assert dashboard.ask("/", headers={"Host": host})[0] == 421
    for host in ("localhost", "LOCALHOST:1234", "127.0.0.1:80"):  # a tunnel may have another port
        assert dashboard.ask("/", headers={"Host": host})[0] == 200
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors"}
        assert dashboard.ask("/", headers=headers)[0] == 403
        assert dashboard.ask("/", headers=headers | {"Sec-Fetch-Mode": "navigate"})[0] == 200
    outward = socket.gethostbyname(socket.gethostname())
    if not outward.startswith("127."):
        with pytest.raises(OSError), socket.create_connection((outward, dashboard.port), timeout=3):
            pass


def test_no_address_leads_to_another_file(dashboard, add_run, runs, tmp_path):
    secret = "what nobody may read"
    run = add_run("it", state="failed", message="<script>alert(1)</script>")
    for place in (tmp_path / "secret.txt", runs / "secret.txt", run.path / "secret.txt"):
        place.write_text(secret)
    (run.path / "run.log").unlink(missing_ok=True)
    (run.path / "run.log").symlink_to(tmp_path / "secret.txt")
    (run.path / "environment.json").unlink()
    os.mkfifo(run.path / "environment.json")
    (name,) = dashboard.ids("run")
    files = ("secret.txt", "../secret.txt", "..%2fsecret.txt", "config.yaml/../secret.txt", "manifest.json", "run.log")
    paths = [
        *(f"/run/{name}/file/{file}" for file in (*files, "CONFIG.YAML", "config.yaml%00", "environment.json", "")),
        *("/secret.txt", "/../secret.txt", f"{tmp_path}/secret.txt", "//secret.txt", "/static/../pages.py"),
        *(f"/run/{name[:-1]}", f"/run/{name}0", f"/run/{'0' * 16}", f"/group/{'0' * 16}/report", "/%ff%fe", "/\\"),
    ]
    for path in paths:
        status, _, body = dashboard.ask(path)
        assert status == 404 and secret.encode() not in body, path
    assert secret.encode() not in dashboard.ask(f"/run/{name}")[2]
    status, headers, body = dashboard.ask(f"/run/{name}/file/summary.json")
    assert status == 200 and body == (run.path / "summary.json").read_bytes() and b"<script>" in body
    assert headers["Content-Type"].startswith("text/plain") and "sandbox" in headers["Content-Security-Policy"]


@needs_browser
@pytest.mark.parametrize(("width", "dark"), [(1280, False), pytest.param(390, True, marks=pytest.mark.long)])
def test_in_a_browser_the_pages_follow_the_folder_and_hostile_names_are_text(dashboard, add_run, runs, width, dark):
    with visited(dashboard.url, lambda asked: asked.startswith(dashboard.url), width, dark) as (page, problems):
        page.get_by_text("No runs yet.").wait_for()
        add_run(f"{HOSTILE}'\"", state="interrupted", message=HOSTILE)
        page.get_by_text("dot, 1 head, seed 1").click()
        page.locator(".chart svg").first.wait_for()
        before = page.locator(".chart svg").count()
        add_run("two", "additive")
        page.goto(dashboard.url + f"/group/{dashboard.ids('group')[0]}")
        page.get_by_role("button", name="additive").click()
        add_run("three", "scaled")
        page.get_by_role("button", name="scaled").wait_for()
        assert page.locator('.keys [aria-pressed="false"]').count() == 1, "what a reader hid stays hidden"
        page.locator(".chart svg").first.wait_for()
        assert before > 2 and page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("img").count() == 0 and problems == []


def test_the_command_serves_until_ctrl_c_and_its_port_is_its_own(runs, add_run, tmp_path):
    add_run("it")
    words = command("dashboard", runs, "--port", "0")
    process = subprocess.Popen(words, cwd=tmp_path, env=environment(tmp_path), stdout=-1, stderr=-1, text=True)
    try:
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())[1])
        done = attncompare("dashboard", runs, "--port", port, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "") and f"--port {port}" in done.stderr
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "interrupted\n") and process.returncode == 130
    finally:
        process.kill()


def test_a_folder_that_is_not_there_is_refused(cli):
    code, _, err = cli("dashboard", "no/runs")
    assert code == 2 and "no/runs" in err and err.count("\n") == 1
