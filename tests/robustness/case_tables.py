"""What the tests do with tables of bad pictures and bad volumes: name -> (maker of files, message)."""

import json
import re

from shared_networks import check
from tests.robustness.file_maker import FileMaker


def items_of(tables, cases, maker, keys):
    """Write the files of ``cases`` ((status, name), ...) and return items of a data list.

    ``keys``: what the item calls its first image, its second image and its name.
    """
    items = []
    for number, (status, name) in enumerate(cases):
        first, second, *_ = tables[status][name][0](maker, f"c{number}")
        items.append(dict(zip(keys, (str(first), str(second), f"{status} {name}"), strict=True)))
    return items


def check_all(folder, tables, cases, keys, section=""):
    """Exit code, entries by case and counts of one run of the check over all cases, the good ones among the bad."""
    items = items_of(tables, cases, FileMaker(folder), keys)
    items.sort(key=lambda item: item[keys[2]].split()[1:])
    (folder / "cases.json").write_text(json.dumps({section: items} if section else items))
    code = check.main(["--datalist", str(folder / "cases.json"), "--json", str(folder / "result.json")])
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return code, {entry["case"]: entry for entry in result["cases"]}, result["counts"]


def assert_only_the_bad_are_refused(checked, tables, least):
    """One bad case does not end the others, and every one has its entry; there are ``least`` cases or more."""
    code, entries, counts = checked
    assert code == 2
    assert counts == {status: len(table) for status, table in tables.items()}
    assert len(entries) == sum(map(len, tables.values())) >= least


def assert_said(entry, status, message):
    """An entry has the status and, on one line, the message of the table."""
    assert entry["status"] == status, entry["reason"]
    assert re.search(message, entry["reason"]) if message else entry["reason"] == ""
    assert "\n" not in entry["reason"]
