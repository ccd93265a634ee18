"""The page at /, in a real browser where there is one."""

import re
import shutil

import pytest

from tests.serving.server_process import run_server


@pytest.fixture(scope="module")
def browser():
    selenium = pytest.importorskip("selenium", reason="needs `pip install selenium`")
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        pytest.skip("needs Debian's chromium and chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for name in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{name}")
    # What the page asks for is kept, to see that it asks no other host.
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    assert selenium
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory, lm, classifier, embedder):
    folder = tmp_path_factory.mktemp("models")
    classifier.export(folder / "films" / "1")
    embedder.export(folder / "vectors" / "1")
    lm.save_pretrained(folder / "gpt")
    with run_server(folder, tmp_path_factory.mktemp("server")) as server:
        server.wait_until_ready()
        browser.get(server.url)
        yield browser


def choose(page, model):
    from selenium.webdriver.support.ui import Select, WebDriverWait

    WebDriverWait(page, 20).until(lambda page: page.find_elements("css selector", "option"))
    Select(page.find_element("id", "model")).select_by_value(model)


def write(page, name, text):
    field = page.find_element("id", name)
    field.clear()
    field.send_keys(text)
    return field


def wait_for(page, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(page, 20).until(lambda _: condition())


def is_idle(page):
    return page.find_element("id", "run").is_enabled()


def read(page, selector="#answer"):
    return page.find_element("css selector", selector).text


@pytest.mark.slow
def test_a_text_streams_and_is_that_of_the_task(page, lm):
    from selenium.webdriver.common.keys import Keys

    choose(page, "gpt")
    for name, value in {"max_tokens": "12", "temperature": "0", "seed": "1"}.items():
        write(page, name, value)
    write(page, "text", "a cat").send_keys(Keys.CONTROL, Keys.ENTER)
    wait_for(page, lambda: "tokens" in read(page, "#status") and is_idle(page))
    wanted = lm.generate("a cat", max_new_tokens=12)
    assert read(page, "#answer pre").split() == wanted.split()


@pytest.mark.slow
def test_labels_are_shown_with_their_scores(page, classifier):
    choose(page, "films")
    write(page, "text", "British lamb")
    page.find_element("id", "run").click()
    rows = wait_for(page, lambda: page.find_elements("css selector", ".bar"))
    wanted = classifier.classify("British lamb", top_k=3)
    assert [row.text.split() for row in rows] == [
        [one["label"], f"{one['score']:.3f}"] for one in wanted
    ]


@pytest.mark.slow
def test_the_nearest_texts_come_first(page, embedder):
    choose(page, "vectors")
    texts = ["boycott", "Paris", "nobody read it"]
    write(page, "text", "Paris")
    write(page, "second", "\n".join(texts))
    page.find_element("id", "run").click()
    rows = wait_for(page, lambda: page.find_elements("css selector", ".bar"))
    assert rows[0].text.split() == ["Paris", "1.000"] and len(rows) == 3


def list_shades(page):
    """How dark each token that is looked at is."""
    tokens = page.find_elements("css selector", ".attention-row:nth-of-type(3) .attention-token")
    colors = [token.value_of_css_property("background-color") for token in tokens]
    return [float(re.findall(r"[\d.]+", color)[3]) if "rgba" in color else 1.0 for color in colors]


@pytest.mark.slow
def test_the_tokens_show_where_a_model_looks(page, lm):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    from lmzoo.explain import attention

    choose(page, "films")
    assert not page.find_element("id", "look").is_displayed()
    choose(page, "gpt")
    write(page, "text", "a cat ate <b>").send_keys(Keys.CONTROL, Keys.SHIFT, Keys.ENTER)
    buttons = wait_for(page, lambda: page.find_elements("css selector", "button.attention-token"))
    found = attention(lm, "a cat ate <b>")
    assert [button.text for button in buttons] == [token.text for token in found.tokens]
    # The heads, one layer a row; the arrows go from one to the next.
    heads = page.find_elements("css selector", ".attention-grid button")
    assert len(heads) == found.weights["decoder"][:, :, 0, 0].size
    heads[0].send_keys(Keys.ARROW_RIGHT, Keys.ENTER)
    assert heads[1].get_attribute("aria-pressed") == "true"
    ActionChains(page).move_to_element(buttons[2]).perform()
    weights = found.average(layer=0, head=1)[2]
    shades = [0.85 * weight / weights.max() for weight in weights]
    assert list_shades(page) == pytest.approx(shades, abs=0.01)
    buttons[2].send_keys(Keys.ARROW_RIGHT)
    assert buttons[3].get_attribute("aria-pressed") == "true"
    overflow = page.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0


@pytest.mark.slow
def test_markup_in_a_text_is_text_and_an_error_is_told(page):
    choose(page, "gpt")
    write(page, "text", "<b id='x'>" * 10)
    page.find_element("id", "run").click()
    wait_for(page, lambda: "context of 32 tokens" in read(page, "#status"))
    assert page.find_elements("id", "x") == []


@pytest.mark.slow
def test_the_page_asks_no_other_host_and_is_free_of_errors(page):
    import json

    server = page.current_url
    asked = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = [
        one["params"]["request"]["url"]
        for one in asked
        if one["method"] == "Network.requestWillBeSent"
    ]
    assert urls and all(url.startswith((server, "data:")) for url in urls)
    found = [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
    # A refused request, which a test before made on purpose, is one.
    assert [one for one in found if "400" not in one["message"]] == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_fits_small_and_large_screens_light_and_dark(page, tmp_path, scheme, width):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    overflow = page.execute_script("return document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0
    color = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    channels = [int(part) for part in re.findall(r"\d+", color)[:3]]
    assert (sum(channels) < 384) == (scheme == "dark")
    assert page.save_screenshot(str(tmp_path / "page.png"))
