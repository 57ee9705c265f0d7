"""What the tests of all pages share: a service, a browser before it, and what holds for every page.

    make test-web

Where no Chromium is there and none can be installed they say so and are skipped.
"""

import itertools
import tempfile
import unittest
from pathlib import Path

import browser
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect, sync_playwright
from service import Service

PHONE = {"width": 360, "height": 700}
DESKTOP = {"width": 1280, "height": 900}
WATCH_POLICY = "addEventListener('securitypolicyviolation', (event) => console.error('policy: ' + event.violatedDirective))"


class Browser(unittest.TestCase):
    """A browser for all tests, a page and a folder for each; nothing may appear in the page's console."""

    flags: list[str | Path] = []

    @classmethod
    def setUpClass(cls) -> None:
        chromium = browser.find()
        if chromium is None:
            raise unittest.SkipTest(f"no Chromium here, and it cannot be installed (Debian: apt-get install {' '.join(browser.PACKAGES)})")
        cls.service = Service(*cls.flags)
        cls.addClassCleanup(cls.service.kill)
        cls.playwright = cls.enterClassContext(sync_playwright())
        cls.browser = cls.playwright.chromium.launch(executable_path=chromium, args=browser.FLAGS)
        cls.addClassCleanup(cls.browser.close)

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.complaints: list[str] = []
        self.expected: set[str] = set()

    def tearDown(self) -> None:
        unexpected = [text for text in self.complaints if not any(part in text for part in self.expected)]
        self.assertEqual(unexpected, [], "the console of the page")

    def open(self, **options) -> Page:
        options = {"viewport": DESKTOP} | options
        context = self.browser.new_context(**options)
        self.addCleanup(context.close)
        context.add_init_script(WATCH_POLICY)
        page = context.new_page()
        page.on("console", lambda message: message.type in ("error", "warning") and self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(self.service.url)
        return page

    def picture(self, name: str = "sky.png", color: tuple[int, int, int] = (90, 150, 220), **options) -> Path:
        return browser.png(self.folder, name, color, **options)

    def choose(self, page: Page, *files: Path) -> None:
        page.get_by_role("button", name="Choose pictures").set_input_files([str(file) for file in files])

    def card(self, page: Page, name: str):
        return page.get_by_role("article", name=name)

    def labels(self, page: Page, name: str) -> list[tuple[str, float]]:
        """What a card says, once it says something."""
        items = self.card(page, name).locator(".labels li")
        expect(items.first).to_be_visible()
        percents = lambda item: float(item.locator(".share").inner_text().removesuffix("%").strip("< "))
        return [(item.locator(".name").inner_text(), percents(item)) for item in items.all()]

    def assert_accessible(self, page: Page, where: str) -> None:
        # The check evaluates strings; what the page itself may do is not loosened.
        found = Axe().run(page)
        self.assertEqual(found.violations_count, 0, f"{where}: {found.generate_report()}")

    def assert_apart(self, words: Locator) -> None:
        """At least four pixels lie between any two of those that are shown."""
        boxes = list(filter(None, (word.bounding_box() for word in words.all())))
        self.assertGreater(len(boxes), 2)
        for one, other in itertools.combinations(boxes, 2):
            across, down = (max(one[start], other[start]) - min(one[start] + one[length], other[start] + other[length])
                            for start, length in (("x", "width"), ("y", "height")))
            self.assertGreaterEqual(max(across, down), 4, (one, other))
