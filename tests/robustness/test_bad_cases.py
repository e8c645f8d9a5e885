"""Every case of either bundle that can go wrong, as a real file, through `python -m shared_networks.check`."""

import json
import re

import pytest

from shared_networks import check
from tests.robustness import bad_pictures, bad_volumes
from tests.robustness.file_maker import FileMaker, items_of

# What an item of a list calls its images and its name, the section of the list, and how many cases there are at least.
KINDS = {
    "volumes": (bad_volumes, ("t1", "flair", "subject"), "", 90),
    "pictures": (bad_pictures, ("mri", "other", "name"), "test", 45),
}
TABLES = {
    kind: {
        "refused": table.REFUSED,
        "warned": table.WARNED,
        "ok": {name: (make, "") for name, make in table.GOOD.items()},
    }
    for kind, (table, *_) in KINDS.items()
}
CASES = [(kind, status, name) for kind, table in TABLES.items() for status in table for name in table[status]]


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """By kind: exit code, entries by case and counts of one run over all cases, the good ones among the bad."""
    found = {}
    for kind, (_, keys, section, _) in KINDS.items():
        folder = tmp_path_factory.mktemp(kind)
        items = items_of(TABLES[kind], [case[1:] for case in CASES if case[0] == kind], FileMaker(folder), keys)
        items.sort(key=lambda item: item[keys[2]].split()[1:])
        (folder / "cases.json").write_text(json.dumps({section: items} if section else items))
        code = check.main(["--datalist", str(folder / "cases.json"), "--json", str(folder / "result.json")])
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        found[kind] = code, {entry["case"]: entry for entry in result["cases"]}, result["counts"]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_one_bad_case_does_not_end_the_others(checked, kind):
    code, entries, counts = checked[kind]
    assert code == 2
    assert counts == {status: len(table) for status, table in TABLES[kind].items()}
    assert len(entries) == sum(counts.values()) >= KINDS[kind][3]


@pytest.mark.parametrize(("kind", "status", "name"), CASES, ids=map(": ".join, CASES))
def test_what_is_said_of_each_is_on_one_line(checked, kind, status, name):
    entry, message = checked[kind][1][re.sub("[ ^]", "_", f"{status}_{name}")], TABLES[kind][status][name][1]
    assert entry["status"] == status, entry["reason"]
    assert re.search(message, entry["reason"]) if message else entry["reason"] == ""
    assert "\n" not in entry["reason"]
