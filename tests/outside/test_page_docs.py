"""The documentation of the interface, in a real Chromium."""

import json
import subprocess

from pages import DESKTOP, PHONE, Browser
from playwright.sync_api import Page, expect


class Documentation(Browser):
    """`/docs`, made of the document that the service itself serves."""

    def read(self, **options) -> Page:
        page = self.open(**options)
        page.get_by_role("link", name="API").click()
        expect(page.get_by_role("heading", name="POST /classify")).to_be_visible()
        return page

    def test_every_operation_is_there_with_its_parameters_and_answers(self) -> None:
        page = self.read()
        openapi = page.request.get(f"{self.service.url}openapi.json").json()
        for path, item in openapi["paths"].items():
            for method, operation in item.items():
                section = page.get_by_role("region", name=f"{method.upper()} {path}", exact=True)
                expect(section).to_contain_text(operation["summary"])
                for parameter in filter(lambda parameter: "name" in parameter, operation["parameters"]):
                    expect(section.locator("code", has_text=parameter["name"]).first).to_be_visible()
                for status in operation["responses"]:
                    expect(section.locator(".status", has_text=status)).to_be_visible()

    def test_a_document_that_is_not_given_is_missed_aloud(self) -> None:
        page = self.open()
        self.expected = {"503"}
        page.route("**/openapi.json", lambda route: route.fulfill(status=503, json={"code": "overloaded"}))
        page.get_by_role("link", name="API").click()
        expect(page.get_by_text("The document could not be read (status 503).")).to_be_visible()

    def test_an_example_can_be_copied_into_a_terminal(self) -> None:
        command = self.read().get_by_role("group", name="Example: one", exact=True).inner_text()
        done = subprocess.run(["sh", "-c", f"{command} --silent"], capture_output=True, text=True)
        self.assertEqual(json.loads(done.stdout)["results"][0]["image"], {"format": "png", "width": 1, "height": 1, "orientation": 1})

    def test_an_error_is_shown_as_it_is_answered(self) -> None:
        page = self.read()
        page.locator("summary", has_text="undecodable_image").click()
        example = json.loads(page.get_by_role("group", name="Example: undecodable_image").inner_text())
        self.assertEqual((example["status"], example["code"]), (422, "undecodable_image"))

    def test_it_is_accessible_and_fits_a_phone(self) -> None:
        for scheme, size in (("light", DESKTOP), ("dark", PHONE)):
            page = self.read(color_scheme=scheme, viewport=size)
            for summary in page.locator("summary").all():
                summary.click()
            self.assert_accessible(page, scheme)
            self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), size["width"])
