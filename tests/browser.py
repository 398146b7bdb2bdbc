"""A headless Chromium that may open one file and nothing else."""

import shutil
from contextlib import contextmanager

import pytest
from playwright.sync_api import sync_playwright

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium found: install the package chromium")


@contextmanager
def opened(path, width=1280, dark=False):
    """Yield (page, problems): the opened file, and a list that collects console errors and requests elsewhere."""
    problems = []

    def watch(route):
        url = route.request.url
        if url.startswith(("data:", "blob:")) or url == path.as_uri():
            route.continue_()
        else:
            problems.append(f"request {url}")
            route.abort()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
        page.route("**/*", watch)
        page.on("console", lambda m: problems.append(f"console {m.text}") if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: problems.append(f"error {error}"))
        page.goto(path.as_uri())
        yield page, problems
        browser.close()


def picture(page, index=0):
    """Return what the canvas ``index`` shows."""
    return page.locator("canvas").nth(index).evaluate("canvas => canvas.toDataURL()")
