"""A headless Chromium that may open one place and nothing else."""

import shutil
from contextlib import contextmanager

import pytest
from playwright.sync_api import sync_playwright

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium found: install the package chromium")


@contextmanager
def visited(url, may_ask, width=1280, dark=False):
    """Yield (page, problems): a browser at ``url``, and a list of console errors and of requests not ``may_ask(url)``."""
    problems = []

    def watch(route):
        asked = route.request.url
        if asked.startswith(("data:", "blob:")) or may_ask(asked):
            route.continue_()
        else:
            problems.append(f"request {asked}")
            route.abort()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
        page.route("**/*", watch)
        page.on("console", lambda m: problems.append(f"console {m.text}") if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: problems.append(f"error {error}"))
        page.goto(url)
        yield page, problems
        browser.close()


def opened(path, width=1280, dark=False):
    """Yield (page, problems) of :func:`visited` for a file that may ask for nothing but itself."""
    return visited(path.as_uri(), lambda asked: asked == path.as_uri(), width, dark)


def picture(page, index=0):
    """Return what the canvas ``index`` shows."""
    return page.locator("canvas").nth(index).evaluate("canvas => canvas.toDataURL()")
