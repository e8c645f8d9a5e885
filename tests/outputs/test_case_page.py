"""index.html: what is in it without a browser, and how it behaves in one, where there is one."""

import base64
import io
import json
import os
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from shared_networks.outputs import CasePage, CaseTable, case_page
from shared_networks.outputs.preview import make_preview

CLASSES = ("background", "CSF", "GM", "WM", "WML")
# Stands for the viewer where the page's own data are looked at.
VIEWER = "function brainsprite() {}"


class Scripts(HTMLParser):
    """Scripts of a page: (attributes, text); and everything that it would fetch."""

    def __init__(self):
        super().__init__()
        self.found, self.fetched = [], []

    def handle_starttag(self, tag, attrs):
        if tag == "script":
            self.found.append([dict(attrs), ""])
        self.fetched += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        if self.found and self.lasttag == "script":
            self.found[-1][1] += data


def write_run(folder, monkeypatch, viewer=VIEWER, cases=("plain", "refused", "remarked", "big"), most_mb=45.0):
    """A run over cases of which one was refused and one remarked; returns the page's text."""
    monkeypatch.setattr(case_page, "find_viewer", lambda: viewer)
    entries = []
    for number, case in enumerate(cases):
        status, reason = {"refused": ("refused", "no </script> there"), "remarked": ("warned", "swapped?")}.get(
            case, ("ok", "")
        )
        entries.append({"case": case, "status": status, "reason": reason, "seconds": 10.0 - number})
        if status == "refused":
            continue
        (folder / case).mkdir(parents=True)
        report = {"volumes_ml": {"CSF": 1.0, "GM": 2.0, "WM": 3.0 + number, "WML": 0.0}, "lesion_count": 0}
        (folder / case / f"{case}_report.json").write_text(json.dumps(report | {"warnings": reason}), encoding="utf-8")
        (folder / case / f"{case}_qc.png").write_bytes(b"")
        x, y, z = np.indices((40, 44, 36)) / 44
        label = np.where(x > 0.4, 3, 2)
        label[10:14, 20:24, 12:16] = 4
        preview = make_preview({"T1": x, "FLAIR": y, "fused": z}, label, np.eye(4), dict(enumerate(CLASSES)))
        (folder / case / f"{case}_preview.json").write_text(json.dumps(preview), encoding="utf-8")
    table = CaseTable(("t1", "flair"), CLASSES)
    page = CasePage(table, "A <run>", most_mb)
    for file in (table, page):
        file.start(folder, "")
    table.add(entries)
    for file in (table, page):
        file.finish(entries)
    return (folder / "index.html").read_text(encoding="utf-8")


def parse(text):
    parser = Scripts()
    parser.feed(text)
    run = next(json.loads(body) for attributes, body in parser.found if attributes.get("id") == "run")
    previews = {a["data-case"]: json.loads(body) for a, body in parser.found if a.get("class") == "preview"}
    return parser, run, previews


def test_the_page_holds_table_and_previews_and_fetches_nothing(tmp_path, monkeypatch):
    text = write_run(tmp_path, monkeypatch)
    parser, run, previews = parse(text)
    assert parser.fetched == [] and "{{" not in text and "<title>A &lt;run&gt;</title>" in text
    assert run["summary"] == "4 cases (2 ok, 1 refused, 1 warned); 2 flagged"
    rows = {row["case"]: row for row in run["rows"]}
    assert rows["big"]["WM_ml"] == 6.0 and rows["plain"]["seconds"] == 10.0
    assert rows["refused"]["warnings"] == "no </script> there" and rows["refused"]["picture"] == ""
    assert rows["plain"]["picture"] == "_qc.png" and rows["plain"]["thumbnail"].startswith("data:image/webp")
    assert previews.keys() == {"plain", "remarked", "big"}
    assert list(previews["plain"]["images"]) == ["T1", "FLAIR", "fused"] and "thumbnail" not in previews["plain"]
    assert VIEWER in text and "Permission is hereby granted" in text


def test_without_a_viewer_the_pictures_are_shown(tmp_path, monkeypatch):
    text = write_run(tmp_path, monkeypatch, viewer="")
    _, run, previews = parse(text)
    assert previews == {} and "Permission is hereby granted" not in text
    assert [row["picture"] for row in run["rows"]] == ["_qc.png", "", "_qc.png", "_qc.png"]


def test_size_is_limited_and_flagged_cases_come_first(tmp_path, monkeypatch):
    write_run(tmp_path / "all", monkeypatch)
    sizes = {case: (tmp_path / "all" / case / f"{case}_preview.json").stat().st_size for case in ("plain", "remarked")}
    text = write_run(tmp_path / "some", monkeypatch, most_mb=(sum(sizes.values()) + 10) / 1e6)
    assert parse(text)[2].keys() == {"remarked", "plain"}
    text = write_run(tmp_path / "one", monkeypatch, most_mb=(sizes["remarked"] + 10) / 1e6)
    assert parse(text)[2].keys() == {"remarked"}


def test_the_viewer_is_that_of_an_installed_package(tmp_path, monkeypatch):
    monkeypatch.setattr(
        case_page, "_VIEWERS", (("no_such_package", "x.js"), ("shared_networks", "outputs/page/page.js"))
    )
    assert case_page.find_viewer().startswith('"use strict"')
    monkeypatch.setattr(case_page, "_VIEWERS", (("no_such_package", "x.js"), ("shared_networks", "no_such_file.js")))
    assert case_page.find_viewer() == ""


@pytest.fixture
def browser():
    """Headless Chromium: that of Playwright, or the program that CHROMIUM names."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        program = os.environ.get("CHROMIUM")
        options = ["--no-sandbox", "--single-process", "--no-zygote"] if program else []
        try:
            started = running.chromium.launch(executable_path=program, args=options)
        except playwright.Error:
            pytest.skip("no Chromium: playwright install chromium, or CHROMIUM=<program>")
        yield started
        started.close()


def planes(page):
    """Pixels of the three planes."""
    url = page.evaluate("() => document.querySelector('#planes').toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


@pytest.mark.parametrize("width", [1280, 400])
def test_in_a_browser(tmp_path, monkeypatch, browser, width):
    viewer = case_page.find_viewer()
    if not viewer:
        pytest.skip("no package that brings the viewer: pip install --no-deps nilearn")
    write_run(tmp_path, monkeypatch, viewer)
    page = browser.new_page(viewport={"width": width, "height": 800})
    problems, requests = [], []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((tmp_path / "index.html").as_uri())

    order = "() => [...document.querySelectorAll('tbody tr')].map((row) => row.dataset.case)"
    assert page.evaluate(order) == ["refused", "remarked", "plain", "big"]
    page.click("th button:text-is('WM ml')")
    assert page.evaluate(order) == ["plain", "remarked", "big", "refused"]
    page.click("th button:text-is('WM ml')")
    assert page.evaluate(order) == ["big", "remarked", "plain", "refused"]

    page.click("tr[data-case=plain]")
    page.wait_for_selector("#planes")
    assert page.locator("#viewer-title").inner_text() == "plain"
    before = planes(page)
    assert page.locator("#slice-X").input_value() == "13"  # voxels 26 to 29 from the right, two in each
    for slider, value in (("#slice-Z", "1"), ("#opacity", "0")):
        page.locator(slider).fill(value)
        after = planes(page)
        assert before.shape == after.shape and (before != after).any(axis=-1).mean() > 0.05
        before = after
    page.check("input[value=T1]")
    assert (planes(page) != before).any(axis=-1).mean() > 0.2
    grey = planes(page)
    page.locator("#opacity").fill("100")
    everything = planes(page)
    for number in (1, 2, 3, 4):
        page.uncheck(f"#classes input[value='{number}']")
    assert np.array_equal(planes(page), grey) and not np.array_equal(everything, grey)

    page.click("tr[data-case=refused]")
    assert (
        page.locator("#controls").is_hidden() and page.locator("#viewer-warnings").inner_text() == "no </script> there"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert problems == [] and all(url.startswith(("file:", "data:", "blob:")) for url in requests)
    page.close()
