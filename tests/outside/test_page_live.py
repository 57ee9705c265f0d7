"""The live view, in a real Chromium."""

import re

from pages import DESKTOP, PHONE, Browser
from playwright.sync_api import Page, expect


class Live(Browser):
    """The admin listener's view of the last minutes."""

    def look(self, **options) -> Page:
        page = self.open(**options)
        page.goto(self.service.admin)
        expect(page.get_by_role("status")).to_have_text("ready")
        return page

    def test_it_shows_what_has_just_been_served(self) -> None:
        page = self.look()
        batches = page.get_by_role("img", name="Images in a batch")
        expect(batches).to_have_attribute("aria-label", re.compile(r"1: 0 %"))
        page.request.post(f"{self.service.url}classify", data=self.picture().read_bytes())
        expect(batches).to_have_attribute("aria-label", re.compile(r"1: 100 %"))
        expect(page.get_by_text("1 batch", exact=True)).to_be_visible()
        expect(page.get_by_text("cifar10-resnet20 version 1, float32 on cpu")).to_be_visible()
        expect(page.get_by_role("img", name="Latency of requests")).to_be_visible()

    def test_a_process_that_is_gone_is_not_taken_for_an_idle_one(self) -> None:
        page = self.look()
        self.expected = {"Failed to load resource"}
        page.route("**/history?*", lambda route: route.abort())
        expect(page.get_by_role("alert")).to_contain_text("The process does not answer")
        badge = page.get_by_role("status")
        expect(badge).to_have_text("no answer")
        expect(badge).to_have_class("state not-ready")
        page.unroute("**/history?*")
        expect(page.get_by_role("alert")).to_be_hidden()
        expect(badge).to_have_text("ready")
        expect(badge).to_have_class("state ready")

    def test_a_screen_reader_is_told_once_that_the_process_is_gone(self) -> None:
        page = self.look()
        self.expected = {"Failed to load resource"}
        page.route("**/history?*", lambda route: route.abort())
        expect(page.get_by_role("alert")).to_be_visible()
        page.evaluate("""() => {
            window.told = 0;
            const observer = new MutationObserver((changes) => { window.told += changes.length; });
            for (const role of ["alert", "status"]) {
                observer.observe(document.querySelector(`[role=${role}]`), { childList: true, characterData: true, subtree: true });
            }
        }""")
        # The page asks again only after it has shown what became of the last request.
        for _ in range(3):
            with page.expect_request("**/history?*"):
                pass
        self.assertEqual(page.evaluate("window.told"), 0)

    def test_it_is_accessible_and_fits_a_phone(self) -> None:
        for scheme, size in (("light", DESKTOP), ("dark", PHONE)):
            page = self.look(color_scheme=scheme, viewport=size)
            expect(page.get_by_role("img", name="Saturation")).to_be_visible()
            self.assert_accessible(page, scheme)
            self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), size["width"])

    def test_on_a_phone_no_two_words_touch(self) -> None:
        page = self.look(viewport=PHONE)
        sizes = page.get_by_role("img", name="Images in a batch").locator("text", has_text=re.compile(r"^(≤?\d+|more)$"))
        self.assert_apart(page.get_by_role("banner").locator(".brand > span, a"))
        self.assert_apart(sizes)
        self.expected = {"Failed to load resource"}
        page.route("**/history?*", lambda route: route.abort())
        expect(page.get_by_role("status")).to_have_text("no answer")
        self.assert_apart(page.get_by_role("banner").locator(".brand > span, a"))
