"""Debian's Chromium, headless, driven over the DevTools protocol through a pipe: for the verifier page. Standard library only."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

PROGRAMS = ("chromium", "chromium-headless-shell", "google-chrome")


def program():
    """The browser's path, or None."""
    return next((p for p in map(shutil.which, PROGRAMS) if p), None)


class Failed(Exception):
    """The browser answered with an error, or not at all."""


class Chromium:
    """One browser with one page. What the page asks the network for is gathered in `requests`, what it logs in `log`."""

    def __init__(self, language="en-US"):
        self.profile = tempfile.TemporaryDirectory(prefix="kesu-chromium-")
        to_read, self.to = os.pipe()
        self.back, from_write = os.pipe()
        command = [program(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
                   "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server", "--hide-scrollbars",
                   f"--lang={language}", f"--accept-lang={language}", f"--user-data-dir={self.profile.name}", "--remote-debugging-pipe", "about:blank"]

        def numbered():
            # The browser reads from descriptor 3 and writes to 4; both ends may stand at these numbers already.
            a, b = os.dup(to_read), os.dup(from_write)
            high = [os.open(os.devnull, os.O_RDONLY) for _ in range(4)]
            a, b = os.dup(a), os.dup(b)
            os.dup2(a, 3)
            os.dup2(b, 4)
            for f in high:
                if f > 4:
                    os.close(f)

        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
                                        preexec_fn=numbered, env={**os.environ, "LANGUAGE": language.replace("-", "_"), "HOME": self.profile.name})
        os.close(to_read)
        os.close(from_write)
        self.buffer, self.number, self.events, self.requests, self.log = b"", 0, [], [], []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "DOM", "Log"):
            self.call(domain + ".enable")
        # Workers are targets of their own: their requests count, too.
        self.call("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=False, flatten=True)

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
        except (Failed, OSError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        os.close(self.back)
        self.profile.cleanup()

    def send(self, method, session, params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        return self.number

    def receive(self):
        while b"\0" not in self.buffer:
            more = os.read(self.back, 1 << 16)
            if not more:
                raise Failed("the browser ended")
            self.buffer += more
        one, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(one)

    def call(self, method, **params):
        number = self.send(method, getattr(self, "session", None), params)
        while True:
            message = self.receive()
            if message.get("id") == number:
                if "error" in message:
                    raise Failed(f"{method}: {message['error']['message']}")
                return message["result"]
            self.event(message)

    def event(self, message):
        method, params = message.get("method", ""), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Target.attachedToTarget":
            for domain in ("Network.enable", "Runtime.enable"):
                self.send(domain, params["sessionId"], {})
        elif method == "Log.entryAdded":
            self.log.append(params["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.log.append(json.dumps(params["exceptionDetails"])[:500])
        self.events.append(method)

    def open(self, url):
        self.events.clear()
        self.call("Page.navigate", url=url)
        while self.run("document.readyState") != "complete":
            time.sleep(0.01)

    def run(self, script, evaluate=True):
        """`evaluate`: whether eval() works in the script although the page's policy forbids it."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, allowUnsafeEvalBlockedByCSP=evaluate)
        if "exceptionDetails" in result:
            raise Failed(json.dumps(result["exceptionDetails"])[:1000])
        return result["result"].get("value")

    def until(self, script, seconds=60):
        """Waits till the expression is true (no measurement: the bound only ends a test that hangs)."""
        if not self.run(f"""new Promise((done) => {{
            const look = () => (({script}) ? done(true) : Date.now() > {1000 * (time.time() + seconds)} ? done(false) : setTimeout(look, 4));
            look(); }})"""):
            raise Failed(f"never true: {script}; log: {self.log}")

    def choose(self, selector, *paths):
        """Files, or one folder, into a file input, as a person would by its dialog."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", files=[str(pathlib.Path(p).resolve()) for p in paths], nodeId=node)

    def screenshot(self, path, width=1280, mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=mobile)
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        import base64
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                         clip={"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1})
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))
        return size
