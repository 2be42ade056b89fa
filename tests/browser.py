"""A real browser for the tests of pages: headless Chromium, driven by Selenium."""

import base64
import shutil
import time
from contextlib import contextmanager

import cv2
import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

# A driver's remark that images are read back, which the page does not cause.
_DRIVER = "GL Driver Message"


class Browser:
    """What the tests ask of a page, in a window of CSS pixels, without a network."""

    def __init__(self, driver):
        self.driver = driver

    def resize(self, width, height, mobile=False):
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile
        )

    def command(self, name, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def open(self, path):
        self.driver.get_log("browser")
        self.driver.get(path.as_uri())
        self.wait("window.relightViewer || document.body.classList.contains('still-only')")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not self.run(f"return Boolean({condition})"):
            assert time.monotonic() < end, f"{condition} did not come true in {seconds} s"
            time.sleep(0.02)

    def messages(self):
        """Give what came to the console, errors that nobody caught included."""
        return [entry for entry in self.driver.get_log("browser") if _DRIVER not in entry["message"]]

    def image(self):
        """Give what the canvas shows, of shape (H, W, 3)."""
        url = self.run("return relightViewer.capture()")
        data = np.frombuffer(base64.b64decode(url.split(",")[1]), np.uint8)
        return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    def box(self, selector):
        """Give an element's left, top, width and height on the screen."""
        return self.run(
            "const b = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return [b.left, b.top, b.width, b.height]",
            selector,
        )

    def at(self, selector, right, down):
        """Give a place within an element, in shares of its width and height."""
        left, top, width, height = self.box(selector)
        return left + right * width, top + down * height

    def mouse(self, kind, place, button="left", **more):
        buttons = 0 if kind == "mouseReleased" else {"left": 1, "right": 2, "middle": 4, "none": 0}[button]
        self.command(
            "Input.dispatchMouseEvent",
            type=kind,
            x=place[0],
            y=place[1],
            button=button,
            buttons=buttons,
            clickCount=1,
            **more,
        )

    def drag(self, start, end, button="left", **more):
        self.mouse("mousePressed", start, button, **more)
        for share in np.linspace(0, 1, 5):
            self.mouse("mouseMoved", np.add(start, share * np.subtract(end, start)).tolist(), button, **more)
        self.mouse("mouseReleased", end, button, **more)

    def touch(self, *moments):
        """Lay fingers down at the first moment's places, move them to the others', and lift them."""
        for kind, places in [("touchStart", moments[0]), *(("touchMove", places) for places in moments[1:])]:
            points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
            self.command("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        self.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def press(self, selector, *keys):
        self.run("document.querySelector(arguments[0]).focus()", selector)
        self.driver.find_element(By.CSS_SELECTOR, selector).send_keys(*keys)

    def set(self, selector, value, kind="input"):
        self.run(
            "const e = document.querySelector(arguments[0]);"
            "if (e.type === 'checkbox') e.checked = arguments[1]; else e.value = arguments[1];"
            "e.dispatchEvent(new Event(arguments[2]))",
            selector,
            value,
            kind,
        )

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def is_shown(self, selector):
        return self.run("return document.querySelector(arguments[0]).checkVisibility()", selector)


@contextmanager
def open_browser(*flags):
    """Start a browser, or skip the test where none is installed."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    # Drawn without a GPU; tests may run as root, where the sandbox does not start.
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--enable-unsafe-swiftshader", *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    try:
        browser = Browser(driver)
        browser.command("Network.enable")
        browser.command(
            "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )
        browser.resize(1280, 800)
        yield browser
    finally:
        driver.quit()
