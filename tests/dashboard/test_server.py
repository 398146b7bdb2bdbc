"""The server: its own addresses, its own machine, reading only. Asked as a stranger would, dots and all."""

import os
import re
import signal
import socket
import subprocess

import pytest
from commands import attncompare, command, environment
from dashboards import Served


def ids(dashboard):
    return {run["name"]: run["id"] for group in dashboard.groups() for run in group["runs"]}


def test_its_pages_are_there_and_say_what_may_run(dashboard, add_run):
    add_run("it")
    run_id = ids(dashboard)["it"]
    for path in ("/", f"/run/{run_id}", f"/group/{run_id}", f"/report/{run_id}", f"/run/{run_id}?x=1"):
        status, headers, body = dashboard.ask(path)
        assert status == 200 and body.startswith(b"<!doctype html>")
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "script-src 'self';" in policy and "frame-ancestors 'self'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff" and "Python" not in headers["Server"]
    for name in ("plotly.js", "board.js", "index.js", "live.js", "report.js", "board.css"):
        assert dashboard.ask(f"/static/{name}")[0] == 200
    status, headers, body = dashboard.ask("/", "HEAD")
    assert status == 200 and body == b"" and int(headers["Content-Length"]) > 100


def test_what_has_not_changed_is_not_sent_again(dashboard, add_run):
    add_run("it")
    _, headers, _ = dashboard.ask("/state.json")
    assert dashboard.ask("/state.json", headers={"If-None-Match": headers["ETag"]})[::2] == (304, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_is_for_reading(dashboard, method):
    status, headers, _ = dashboard.ask("/", method)
    assert status == 405 and headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "[::1]"])
def test_another_name_is_refused(dashboard, host):
    assert dashboard.ask("/state.json", headers={"Host": host})[0] == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1:80"])
def test_a_tunnel_may_have_another_port(dashboard, host):
    assert dashboard.ask("/state.json", headers={"Host": host})[0] == 200


def test_pages_from_elsewhere_may_link_here_and_not_look(dashboard):
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors"}
        assert dashboard.ask("/state.json", headers=headers)[0] == 403
        assert dashboard.ask("/", headers=headers | {"Sec-Fetch-Mode": "navigate"})[0] == 200


def test_it_listens_on_this_machine_alone(dashboard):
    outward = socket.gethostbyname(socket.gethostname())
    if outward.startswith("127."):
        pytest.skip("this machine has no other address")
    with pytest.raises(OSError), socket.create_connection((outward, dashboard.port), timeout=3):
        pass


def test_no_address_leads_to_another_file(dashboard, add_run, runs, tmp_path):
    secret = "what nobody may read"
    run = add_run("it")
    for place in (tmp_path / "secret.txt", runs / "secret.txt", run.path / "secret.txt", run.path / "failure.json"):
        place.write_text(secret)
    (run.path / "checkpoints").mkdir()
    (run.path / "checkpoints" / "best.safetensors").write_text(secret)
    run_id = ids(dashboard)["it"]
    files = [
        *("secret.txt", "../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "config.yaml/../secret.txt"),
        *("checkpoints/best.safetensors", "manifest.json", "failure.json", "CONFIG.YAML", "config.yaml%00", ""),
    ]
    paths = [
        *(f"/run/{run_id}/file/{name}" for name in files),
        *("/secret.txt", "/../secret.txt", "/it/config.yaml", f"{tmp_path}/secret.txt", "//secret.txt"),
        *("/static/../look.py", "/static/head.html.j2", "/static/..%2froutes.py", "/run/../secret.txt"),
        *(f"/run/{run_id[:-1]}", f"/run/{run_id}0", f"/run/{'0' * 16}", f"/report/{'0' * 16}/page", "/%ff%fe", "/\\"),
    ]
    for path in paths:
        status, _, body = dashboard.ask(path)
        assert status == 404 and secret.encode() not in body, path


def test_files_of_a_record_are_plain_text_whatever_they_hold(dashboard, add_run):
    run = add_run("it", state="failed", message="<script>alert(1)</script>")
    status, headers, body = dashboard.ask(f"/run/{ids(dashboard)['it']}/file/summary.json")
    assert status == 200 and body == (run.path / "summary.json").read_bytes() and b"<script>" in body
    assert headers["Content-Type"] == "text/plain; charset=utf-8" and "sandbox" in headers["Content-Security-Policy"]


def test_a_link_in_a_record_is_not_followed(dashboard, add_run, tmp_path):
    run = add_run("it", state="failed")
    (tmp_path / "secret").write_text("what nobody may read")
    (run.path / "run.log").symlink_to(tmp_path / "secret")
    (run.path / "environment.json").unlink()
    os.mkfifo(run.path / "environment.json")
    run_id = ids(dashboard)["it"]
    for path in (f"/run/{run_id}/file/run.log", f"/run/{run_id}/file/environment.json", f"/run/{run_id}.json"):
        assert b"nobody may" not in dashboard.ask(path)[2], path
    assert dashboard.ask(f"/run/{run_id}/file/run.log")[0] == 404


def test_the_report_is_that_of_compare_and_follows_the_runs(dashboard, add_run):
    from attncompare.compare.gathering import gather
    from attncompare.compare.groups import compare_groups
    from attncompare.compare.report import report_page

    run = add_run("sweep/one")
    (run.path.parent / "sweep.yaml").write_text("runs: [[a], [b]]\n")
    (group,) = dashboard.groups()
    address = f"/report/{group['id']}/page"
    status, headers, first = dashboard.ask(address)
    gathered = gather([run.path.parent])
    expected = report_page(compare_groups(gathered.runs, left_out=gathered.left_out))
    assert (status, first.decode()) == (200, expected)
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    add_run("sweep/two", "additive")
    while dashboard.groups()[0]["version"] == group["version"]:
        pass
    assert dashboard.ask(address)[2].count(b"additive") > first.count(b"additive")


def test_what_cannot_be_built_says_why(dashboard, add_run, runs):
    run = add_run("it", state="failed", message="the loss is nan")
    for file in (run.path / "maps").iterdir():
        file.unlink()
    run_id = ids(dashboard)["it"]
    status, _, body = dashboard.ask(f"/report/{run_id}/page")
    assert status == 409 and b"the loss is nan" in body and str(runs).encode() not in body.split(b"go on with")[0]
    status, _, body = dashboard.ask(f"/run/{run_id}/maps")
    assert status == 409 and b"no attention maps yet" in body


def test_the_command_serves_until_ctrl_c_and_its_port_is_its_own(runs, add_run, tmp_path):
    add_run("it")
    process = subprocess.Popen(
        command("dashboard", runs, "--port", "0"),
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=-1,
        stderr=-1,
        text=True,
    )
    try:
        line = process.stdout.readline()
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/ \(Ctrl-C ends it\)", line)[1])
        assert ids(Served(port)).keys() == {"it"}
        done = attncompare("dashboard", runs, "--port", port, cwd=tmp_path)
        again = f"error: --port {port}: Address already in use; give another one, or 0 for any free one\n"
        assert (done.returncode, done.stdout, done.stderr) == (2, "", again)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "interrupted\n") and process.returncode == 130
    finally:
        process.kill()


@pytest.mark.parametrize("port", ["-1", "65536", "eight", "80.5", "٣"])
def test_what_is_no_port_is_refused(cli, port, runs):
    code, out, err = cli("dashboard", runs, f"--port={port}")
    assert (code, out) == (2, "") and f"--port {port}: no port; valid: a whole number up to 65535" in err


def test_a_folder_that_is_not_there_is_refused(cli):
    code, _, err = cli("dashboard", "no/runs")
    assert (code, err) == (2, "error: no/runs: no such folder; give the one that holds the runs, for example runs\n")
