import base64
import http.client
import json
import threading
import time

import numpy as np
import pytest

from tests.demos import scripts
from tests.emulation import require
from tests.source_tree import REPOSITORY

DEMO = REPOSITORY / "demos" / "learning_pad"
ZED = [[(-0.8, -0.8), (0.8, -0.8), (-0.8, 0.8), (0.8, 0.8)]]


drawings, prepare, learner, server = (  # these import each other by their names
    scripts.load(DEMO / f"{name}.py") for name in ("drawings", "prepare", "learner", "server")
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pad")
    _, accuracy = prepare.write(folder, images=1200, epochs=5)
    assert accuracy > 0.9
    return folder


@pytest.fixture
def folder(prepared, tmp_path):
    for name in (prepare.MODEL, prepare.BASE):
        (tmp_path / name).write_bytes((prepared / name).read_bytes())
    return tmp_path


@pytest.fixture
def pad(folder):
    """A pad that is served."""
    with server.Server(learner.Learner(folder), port=0) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving
        serving.shutdown()


def asked(pad, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", pad.server_address[1], timeout=30)
    headers = {"Content-Type": "application/json", **headers}
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, content, headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers


def pixels(image):
    return base64.b64encode(np.round(255 * image).astype(np.uint8).tobytes()).decode()


def by_hand(seed):
    return drawings.image_of(drawings.drawn(ZED, np.random.default_rng(seed)))


def test_an_image_has_a_margin_and_the_middle_of_a_line_is_black():
    image = drawings.image_of([[(0, 0), (0, 10)]])[..., 0]
    assert image.shape == (28, 28)
    assert image[4:24, 13:15].min() == 1.0  # a line down the middle, between two pixels
    assert image[:, :11].max() == image[:, 17:].max() == image[:2].max() == 0.0


def test_a_new_class_is_known_after_few_lessons_and_the_old_ones_are_not_forgotten(folder):
    board = learner.Learner(folder)
    for seed in range(4):
        board.teach(by_hand(seed), "zed")
    found = [next(iter(board.predict(by_hand(seed)))) for seed in range(10, 20)]
    assert found.count("zed") >= 8
    images, labels = drawings.samples(50, seed=3)
    right = [
        next(iter(board.predict(x))) == board.names[y] for x, y in zip(images, labels, strict=True)
    ]
    assert np.mean(right) > 0.8
    status = board.status()
    assert (status["lessons"], status["names"][-1]) == (4, "zed")
    assert status["energy_mj"] > 0 and status["memory"]["rehearsal_bytes"] <= 200_000


def test_undo_reset_and_a_restart_give_the_former_model(folder):
    board = learner.Learner(folder)
    first = board.predict(by_hand(0))
    board.teach(by_hand(0), "zed")
    second = board.predict(by_hand(0))
    board.teach(by_hand(1), "circle")
    board.undo()
    assert board.predict(by_hand(0)) == second != first
    again = learner.Learner(folder)
    assert again.predict(by_hand(0)) == second
    assert again.status()["lessons"] == 1
    again.reset()
    assert again.predict(by_hand(0)) == first
    with pytest.raises(ValueError, match="no lesson that can be undone"):
        again.undo()


@pytest.mark.parametrize("name", ["", "  ", "x" * 25, "<b>", None, 3])
def test_a_name_that_cannot_be_one_changes_nothing(folder, name):
    board = learner.Learner(folder)
    with pytest.raises(ValueError, match="A name has 1 to 24 letters"):
        board.teach(by_hand(0), name)
    assert board.status()["lessons"] == 0


def test_there_are_no_more_classes_than_outputs(folder):
    board = learner.Learner(folder)
    board.names += [f"name {i}" for i in range(board.most_classes - len(board.names))]
    with pytest.raises(ValueError, match="16 classes at most"):
        board.teach(by_hand(0), "one more")


def test_the_page_and_its_files_are_served_with_a_strict_policy(pad):
    for path in server.FILES:
        status, content, headers = asked(pad, "GET", path)
        assert status == 200 and content
        assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert asked(pad, "GET", "/../learner.py")[0] == 404


def test_what_is_drawn_is_named_taught_undone_and_downloaded(pad):
    drawing = {"pixels": pixels(by_hand(0))}
    shares = json.loads(asked(pad, "POST", "/api/predict", drawing)[1])["shares"]
    assert sum(shares.values()) == pytest.approx(1.0)
    status = json.loads(asked(pad, "POST", "/api/teach", {**drawing, "name": "zed"})[1])
    assert status["names"][-1] == "zed"
    status, content, headers = asked(pad, "GET", "/api/model")
    assert status == 200 and content[4:8] == b"TFL3"
    assert "learned.tflite" in headers["Content-Disposition"]
    assert json.loads(asked(pad, "POST", "/api/undo", {})[1])["lessons"] == 0


@pytest.mark.parametrize(
    "path, body, headers, expected",
    [
        ("/api/predict", {"pixels": "AAAA"}, {}, (400, "784|28 x 28 bytes")),
        ("/api/predict", {"pixels": pixels(np.zeros((28, 28)))}, {}, (400, "an empty one")),
        ("/api/predict", {"pixels": 3}, {}, (400, "28 x 28 bytes")),
        ("/api/predict", b"[1]", {}, (400, "JSON object")),
        ("/api/predict", b"{", {}, (400, "must be JSON")),
        ("/api/predict", b"[" * 4000, {}, (400, "must be JSON")),
        ("/api/predict", b" " * 5000, {}, (413, "at most 4096 bytes")),
        ("/api/predict", {}, {"Content-Type": "text/plain"}, (415, "must be JSON")),
        ("/api/predict", {}, {"Content-Length": "-1"}, (411, "tell its length")),
        ("/api/predict", {}, {"Origin": "http://evil.example"}, (403, "Other pages")),
        ("/api/predict", {}, {"Host": "evil.example"}, (403, "This address")),
        ("/api/other", {}, {}, (404, "no such page")),
    ],
)
def test_bad_requests_are_refused(pad, path, body, headers, expected):
    status, content, _ = asked(pad, "POST", path, body, **headers)
    wanted, text = expected
    assert status == wanted
    assert any(part in json.loads(content)["error"] for part in text.split("|"))


def test_too_many_requests_must_wait():
    now = [0.0]
    rate = server.Rate(2, 3, clock=lambda: now[0])
    assert [rate.allows("a") for _ in range(4)] == [True, True, True, False]
    assert rate.allows("b")
    now[0] = 0.5
    assert [rate.allows("a") for _ in range(2)] == [True, False]


class Browser:
    """Headless Chromium with the page open."""

    def __init__(self, url):
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
            options.add_argument(word)
        options.add_argument("--window-size=1280,1000")
        options.binary_location = "/usr/bin/chromium"
        service = webdriver.ChromeService("/usr/bin/chromedriver")
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.get(url)
        self.until(lambda: len(self.all("#classes button")) == 5)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        return self.driver.find_element("css selector", selector)

    def until(self, is_so):
        end = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < end
            time.sleep(0.05)

    def draw(self, strokes):
        """Draws by the mouse and returns what the page then says."""
        from selenium.webdriver.common.actions.action_builder import ActionBuilder
        from selenium.webdriver.common.actions.pointer_input import PointerInput

        self.one("#clear").click()
        pad = self.one("#pad")
        reach = 0.4 * pad.size["width"]
        actions = ActionBuilder(self.driver, mouse=PointerInput("mouse", "mouse"), duration=5)
        for stroke in strokes:
            places = [(round(reach * x), round(reach * y)) for x, y in stroke]
            actions.pointer_action.move_to(pad, *places[0]).pointer_down()
            for place in places[1:]:
                actions.pointer_action.move_to(pad, *place)
            actions.pointer_action.pointer_up()
        actions.perform()
        self.until(lambda: "says the model" in self.one("#answer").text)
        return self.one("#answer").text

    def teach(self, name):
        lessons = int(self.one("#lessons").text)
        self.one("#name").send_keys(name)
        self.one("#learn").click()
        self.until(lambda: int(self.one("#lessons").text) == lessons + 1)


@pytest.fixture
def browser(pad):
    require.browser()
    opened = Browser(pad.url)
    yield opened
    opened.driver.quit()


@pytest.mark.timeout(300)
def test_in_a_browser_a_new_class_is_drawn_taught_and_recognized(browser):
    circle = [drawings.polygon(24)]
    assert "A circle" in browser.draw(circle)
    for lean in (0.0, 0.1, -0.1):
        browser.draw([[(x + lean * y, y) for x, y in ZED[0]]])
        browser.teach("zed")
    assert "A zed" in browser.draw([[(0.9 * x, 0.8 * y) for x, y in ZED[0]]])
    assert "A circle" in browser.draw(circle)
    assert [button.get_dom_attribute("data-name") for button in browser.all("#classes button")][
        -1
    ] == "zed"
    assert len(browser.one("#accuracy-line").get_dom_attribute("points").split()) == 3
    assert browser.one("#energy").text.endswith("mJ")
    assert not [entry for entry in browser.driver.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.mark.timeout(300)
def test_in_a_browser_pixels_are_those_of_python(browser):
    browser.draw(ZED)
    browser.driver.execute_async_script(
        """
        const done = arguments[arguments.length - 1];
        const before = window.fetch;
        window.fetch = (path, options) => {
          window.sent = JSON.parse(options.body).pixels;
          window.fetch = before;
          return before(path, options);
        };
        done();
        """
    )
    browser.draw(ZED)
    sent = np.frombuffer(
        base64.b64decode(browser.driver.execute_script("return window.sent")), np.uint8
    )
    expected = 255 * drawings.image_of(ZED)
    assert np.abs(sent.reshape(28, 28, 1) - expected).max() < 40  # the mouse moves by whole pixels


@pytest.mark.timeout(300)
def test_in_a_browser_the_keyboard_draws_too(browser):
    from selenium.webdriver.common.keys import Keys

    pad = browser.one("#pad")
    pad.send_keys(" ", *[Keys.ARROW_DOWN] * 12, " ")
    browser.until(lambda: "A line" in browser.one("#answer").text)
