"""The page that takes pictures, in a real Chromium against the real binary."""

import base64
import json
import os
import socket
import subprocess
from urllib.parse import urlsplit

from pages import DESKTOP, PHONE, Browser
from playwright.sync_api import Page, expect
from service import BINARY, FOLDER, SMALL_MODEL, untrained_model


class Trained(Browser):
    """A trained model of ten labels."""

    def test_it_says_which_network_answers_and_what_to_do(self) -> None:
        page = self.open()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_text("cifar10-resnet20 version 1: 10 labels, sees 32 × 32 pixels, runs on the CPU")).to_be_visible()
        expect(page.get_by_text("untrained")).to_be_hidden()
        expect(page.get_by_role("heading", name="asks for a key")).to_be_hidden()

    def test_a_picture_gets_labels_bars_and_times(self) -> None:
        page = self.open()
        self.choose(page, self.picture())
        labels = self.labels(page, "sky.png")
        self.assertEqual(len(labels), 5)
        shares = [share for _, share in labels]
        self.assertEqual(shares, sorted(shares, reverse=True))
        bars = self.card(page, "sky.png").locator(".filled").evaluate_all(
            "(bars) => bars.map((bar) => 100 * bar.getBoundingClientRect().width / bar.parentElement.getBoundingClientRect().width)")
        self.assertAlmostEqual(bars[0], shares[0], delta=0.5)
        card = self.card(page, "sky.png")
        expect(card.get_by_text("PNG, 120 × 90 pixels")).to_be_visible()
        expect(card.get_by_text("ms in the service")).to_be_visible()
        expect(card.get_by_text("inference")).to_be_visible()
        expect(card.get_by_alt_text("Your picture sky.png")).to_be_visible()
        card.get_by_text("Answer as JSON").click()
        answer = json.loads(card.locator("pre").inner_text())
        self.assertEqual(answer["results"][0]["predictions"][0]["label"], labels[0][0])

    def test_among_several_pictures_a_bad_file_is_explained_and_the_others_are_answered(self) -> None:
        page = self.open()
        text = self.folder / "notes.jpg"
        text.write_text("hello")
        empty = self.folder / "empty.png"
        empty.touch()
        self.expected = {"422"}
        self.choose(page, self.picture("a.png"), text, empty, self.picture("b.png", (40, 120, 40)))
        expect(page.get_by_role("heading", name="4 pictures")).to_be_visible()
        self.assertEqual(len(self.labels(page, "a.png")), 5)
        self.assertEqual(len(self.labels(page, "b.png")), 5)
        bad = self.card(page, "notes.jpg")
        expect(bad.get_by_text("This is no picture that can be read.")).to_be_visible()
        expect(bad.get_by_role("button", name="Try again")).to_be_visible()
        expect(bad.get_by_text("No preview")).to_be_visible()
        expect(self.card(page, "empty.png").get_by_text("This file could not be opened.")).to_be_visible()
        expect(page.get_by_role("status")).to_have_text("4 pictures, 2 answered.")

    def test_pictures_can_be_dropped_and_pasted(self) -> None:
        page = self.open()
        for event, name in (("drop", "dropped.png"), ("paste", "pasted.png")):
            content = base64.b64encode(self.picture().read_bytes()).decode()
            page.evaluate("""async ([event, name, content]) => {
                const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
                const data = new DataTransfer();
                data.items.add(new File([bytes], name, { type: "image/png" }));
                const options = { bubbles: true, cancelable: true };
                const dispatched = event === "drop"
                    ? new DragEvent(event, { ...options, dataTransfer: data })
                    : new ClipboardEvent(event, { ...options, clipboardData: data });
                document.body.dispatchEvent(dispatched);
            }""", [event, name, content])
            self.assertEqual(len(self.labels(page, name)), 5)
        page.evaluate("document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, dataTransfer: new DataTransfer() }))")
        expect(page.get_by_role("alert").get_by_text("That was no file.")).to_be_visible()

    def test_everything_can_be_done_with_the_keyboard(self) -> None:
        page = self.open()
        # From now on the browser hands file choosers over; told so only as the key is pressed, it may be too late.
        page.on("filechooser", lambda _: None)
        self.tab_to(page, "Choose pictures")
        self.assertTrue(page.evaluate("getComputedStyle(document.querySelector('.drop .button')).outlineStyle !== 'none'"))
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Enter")
        chooser.value.set_files([str(self.picture("a.png")), str(self.picture("b.png"))])
        self.labels(page, "b.png")
        self.tab_to(page, "Labels")
        page.keyboard.press("End")
        expect(self.card(page, "a.png").locator(".labels li")).to_have_count(10)
        self.tab_to(page, "Remove a.png")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="One picture")).to_be_visible()
        expect(self.card(page, "b.png").get_by_role("button", name="Remove")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Choose pictures")).to_be_focused()

    def tab_to(self, page: Page, name: str) -> None:
        for _ in range(30):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            if focused.count() and name in focused.aria_snapshot():
                return
        self.fail(f"`{name}` is not reached with the Tab key")

    def test_a_screen_reader_is_told_the_answer_in_a_sentence(self) -> None:
        page = self.open()
        self.choose(page, self.picture())
        label, share = self.labels(page, "sky.png")[0]
        expect(page.get_by_role("status")).to_have_text(f"sky.png: {label}, {share} %.")
        snapshot = self.card(page, "sky.png").aria_snapshot()
        self.assertIn(f"{label} {share} %", snapshot)
        self.assertIn('heading "sky.png" [level=3]', snapshot)

    def test_nothing_is_wrong_that_an_accessibility_check_finds(self) -> None:
        self.expected = {"422"}
        for scheme, size in (("light", DESKTOP), ("dark", DESKTOP), ("dark", PHONE)):
            page = self.open(color_scheme=scheme, viewport=size)
            self.assert_accessible(page, f"{scheme}, empty")
            text = self.folder / "notes.jpg"
            text.write_text("hello")
            self.choose(page, self.picture(), text)
            self.labels(page, "sky.png")
            expect(self.card(page, "notes.jpg").get_by_role("button", name="Try again")).to_be_visible()
            self.assert_accessible(page, f"{scheme}, answered")

    def test_it_fits_a_phone_and_is_dark_where_that_is_wished(self) -> None:
        page = self.open(viewport=PHONE, color_scheme="dark", has_touch=True, is_mobile=True)
        self.choose(page, self.picture("a-rather-long-name-without-any-space-in-it-as-cameras-give-them-20261125.png"))
        expect(page.locator(".labels li").first).to_be_visible()
        self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), PHONE["width"])
        expect(page.get_by_text("Take a picture, or choose some")).to_be_visible()
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        self.assertTrue(all(int(channel) < 60 for channel in ground[4:-1].split(",")), ground)

    def test_the_command_can_be_copied_and_gives_the_same_answer(self) -> None:
        page = self.open(permissions=["clipboard-read", "clipboard-write"])
        self.choose(page, self.picture("it's a $(picture).png"))
        labels = self.labels(page, "it's a $(picture).png")
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        command = page.evaluate("navigator.clipboard.readText()")
        self.assertEqual(command, page.get_by_label("Command").inner_text())
        done = subprocess.run(["sh", "-c", f"{command} --silent"], cwd=self.folder, capture_output=True, text=True)
        answer = json.loads(done.stdout)
        self.assertEqual([entry["label"] for entry in answer["results"][0]["predictions"]], [name for name, _ in labels])

    def test_the_heat_map_is_offered_where_the_model_has_one_and_lies_over_the_picture(self) -> None:
        page = self.open()

        def unexplained(route) -> None:
            answer = route.fetch().json()
            answer["models"][0]["explains"] = False
            route.fulfill(json=answer)

        page.route("**/models", unexplained)
        page.reload()
        self.choose(page, self.picture())
        self.labels(page, "sky.png")
        expect(page.get_by_role("button", name="What did it look at?")).to_have_count(0)
        page.unroute("**/models")
        page.reload()
        for size in ((1200, 300), (300, 1200), (32, 32)):
            self.choose(page, self.picture(size=size))
            page.get_by_role("button", name="What did it look at?").click()
            overlay = page.get_by_alt_text("Heat map")
            expect(overlay).to_be_visible()
            picture = page.get_by_alt_text("Your picture").bounding_box()
            self.assertEqual(overlay.bounding_box(), picture)
            self.assertAlmostEqual(picture["width"] / picture["height"], size[0] / size[1], delta=0.02)
            page.get_by_role("button", name="Hide heat map").click()
            expect(overlay).to_have_count(0)
            page.get_by_role("button", name="Clear").click()

    def test_what_the_page_does_not_need_is_forbidden_to_it(self) -> None:
        page = self.open()
        self.expected = {"policy: img-src", "violates the following Content Security Policy"}
        with page.expect_console_message(lambda message: message.text == "policy: img-src"):
            page.evaluate("document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:1/elsewhere.png' }))")


class Untrained(Browser):
    """Random weights beside trained ones."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.flags = ["--model", untrained_model(), "--model", SMALL_MODEL]
        super().setUpClass()

    def test_an_untrained_network_is_called_that_and_another_can_be_chosen(self) -> None:
        page = self.open()
        expect(page.get_by_text("This network is untrained.")).to_be_visible()
        self.choose(page, self.picture())
        card = self.card(page, "sky.png")
        expect(card.get_by_text("these labels mean nothing")).to_be_visible()
        page.get_by_label("Model").select_option("cifar10-resnet20")
        expect(page.get_by_text("This network is untrained.")).to_be_hidden()
        expect(card.get_by_text("these labels mean nothing")).to_have_count(0)
        expect(card.locator(".name", has_text="airplane")).to_be_visible()
        expect(page.get_by_label("Command")).to_contain_text("model=cifar10-resnet20")


class Closed(Browser):
    """A service that asks for keys."""

    @classmethod
    def setUpClass(cls) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        made = subprocess.run([BINARY, "key", "new", "alice"], capture_output=True, text=True, check=True)
        cls.key = made.stderr.split()[-1]
        keys = FOLDER / "keys"
        keys.write_text(made.stdout)
        cls.flags = ["--api-keys-file", keys]
        super().setUpClass()

    def test_the_key_is_asked_for_and_then_the_pictures_that_waited_for_it_are_answered(self) -> None:
        self.expected = {"401"}
        page = self.open()
        expect(page.get_by_role("heading", name="This service asks for a key")).to_be_visible()
        expect(page.get_by_label("API key")).to_be_focused()
        self.choose(page, self.picture())
        expect(self.card(page, "sky.png").get_by_text("The service needs a key.")).to_be_visible()
        page.get_by_label("API key").fill("rsk_wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_text("That key was not accepted.")).to_be_visible()
        self.assert_accessible(page, "a wrong key")
        page.get_by_label("API key").fill(self.key)
        page.keyboard.press("Enter")
        self.assertEqual(len(self.labels(page, "sky.png")), 5)
        expect(page.get_by_label("API key")).to_be_hidden()
        command = page.get_by_label("Command")
        expect(command).to_contain_text('-H "Authorization: Bearer $API_KEY"')
        expect(command).not_to_contain_text(self.key)
        done = subprocess.run(["sh", "-c", f"{command.inner_text()} --silent"], cwd=self.folder,
                              env=os.environ | {"API_KEY": self.key}, capture_output=True, text=True)
        self.assertIn("results", json.loads(done.stdout))
        kept = page.evaluate("() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])")
        self.assertEqual(kept, '[{},{},""]')
        page.reload()
        expect(page.get_by_label("API key")).to_be_visible()
        expect(page.get_by_label("API key")).to_have_value("")


class Small(Browser):
    """A service that soon has enough."""

    flags = ["--max-body=1MiB", "--memory-budget=1MiB"]

    def test_a_file_that_is_too_large_is_called_that(self) -> None:
        page = self.open()
        self.expected = {"413"}
        large = self.folder / "large.png"
        large.write_bytes(self.picture().read_bytes() + bytes(1 << 20))
        self.choose(page, large)
        expect(self.card(page, "large.png").get_by_text("This file is too large (1.", exact=False)).to_be_visible()

    def test_while_the_service_is_busy_the_picture_waits_and_says_so(self) -> None:
        page = self.open()
        page.clock.install()
        self.expected = {"503"}
        self.spend_the_memory()
        self.choose(page, self.picture())
        card = self.card(page, "sky.png")
        for _ in range(3):
            expect(card.get_by_text("The service has more to do than it can. Next attempt in")).to_be_visible()
            expect(card.get_by_role("button", name="Try now")).to_be_visible()
            page.clock.run_for(5000)
        expect(card.get_by_role("button", name="Try again")).to_be_visible()
        expect(card.get_by_text("It asks to be left alone for a moment.")).to_be_visible()

    def spend_the_memory(self) -> None:
        """Sends all of a large body but its end."""
        address = urlsplit(self.service.url)
        client = self.enterContext(socket.create_connection((address.hostname, address.port)))
        client.sendall(b"POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1040000\r\n\r\n" + bytes(1039999))


class Gone(Browser):
    """A service that ends while its page is open."""

    def test_a_service_that_cannot_be_reached_is_called_that(self) -> None:
        page = self.open()
        expect(page.get_by_text("10 labels")).to_be_visible()
        self.service.kill()
        self.expected = {"ERR_CONNECTION_REFUSED"}
        self.choose(page, self.picture())
        expect(self.card(page, "sky.png").get_by_text("The service cannot be reached.")).to_be_visible()
