"""Whatever a data list or a table holds: a case for every entry, or one line that begins with the file's name."""

import csv
import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from shared_networks.data import CaseLog, FusionDataset, resolve_cases, resolve_pairs
from shared_networks.data.case_list import SECTIONS
from shared_networks.errors import InputError
from shared_networks.io.file_names import safe_name
from shared_networks.transforms import LoadFusionPaird, LoadModalitiesd
from tests.robustness.fuzz_readers import mutate

MANY = settings(max_examples=150, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
KEYS = ["t1", "flair", "mri", "other", "image", "label", "normal_hyperintensity", "subject", "case", "name", "modality"]
# Surrogates too: they can stand in JSON as escapes, and nothing can print them.
TEXTS = st.one_of(
    st.text(max_size=8), st.sampled_from(["a.nii", "..\\b.nii", "C:\\x\\t1.nii.gz", "../..", "nul", "ü/t1", "\ud800"])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=2)),
    max_leaves=5,
)
ITEMS = st.one_of(VALUES, st.dictionaries(st.sampled_from(KEYS), VALUES), st.dictionaries(st.sampled_from(KEYS), TEXTS))


@st.composite
def section_names(draw):
    """A known name with other capitals and spaces, or any text."""
    name = draw(st.one_of(st.sampled_from([*SECTIONS, "labels", "modality"]), TEXTS))
    return draw(st.sampled_from(["", " "])) + draw(st.sampled_from([str.upper, str.title, str]))(name)


CONTENTS = st.one_of(
    st.lists(ITEMS, max_size=4),
    st.dictionaries(section_names(), st.one_of(st.lists(ITEMS, max_size=3), VALUES), max_size=4),
    VALUES,
)
READERS = [(resolve_cases, LoadModalitiesd()), (resolve_pairs, LoadFusionPaird())]


def read(folder, **given):
    """Cases by each bundle's reader, None for a refused list; every case is looked at as a batch would."""
    found = []
    for resolve, loader in READERS:
        try:
            cases = resolve(**{key: str(value) for key, value in given.items()})
        except InputError as error:
            assert str(error).startswith(str(folder)), error
            found.append(None)
            continue
        log, dataset = CaseLog(), FusionDataset(cases, loader)
        for number in range(len(dataset)):
            log.add(dataset[number])
        taken = [entry["case"].lower() for entry in log.entries if "its output name" not in entry["reason"]]
        named = [case["case"] for case in cases if "refused" not in case]
        assert len(set(map(str.lower, named))) == len(named) and len(taken) <= len(cases) == len(log.entries)
        for entry in log.entries:
            assert entry["status"] == "refused" and entry["case"] == safe_name(entry["case"])
            assert "\n" not in entry["reason"] and len(entry["reason"]) < 1000
            json.dumps(entry, ensure_ascii=False).encode()
        found.append(cases)
    return found


def chosen(content):
    """Entries that are cases: those of the test sections, where there are any, or all."""
    if isinstance(content, list):
        return content
    sections = {}
    for name, items in content.items():
        section = SECTIONS.get(name.strip().lower())
        if section and isinstance(items, list):
            sections.setdefault(section, []).extend(items)
    return sections["test"] if "test" in sections else [item for items in sections.values() for item in items]


@MANY
@given(content=CONTENTS, encoding=st.sampled_from(ENCODINGS), escaped=st.booleans())
def test_every_entry_of_a_data_list_is_a_case(content, encoding, escaped):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "d.json"
        text = json.dumps(content, ensure_ascii=escaped)
        path.write_text(text, encoding=encoding, errors="replace")
        found = read(path, datalist=path)
        if not isinstance(content, list | dict) or not chosen(content):
            assert found == [None, None]
        else:
            assert [len(cases) for cases in found] == [len(chosen(content))] * 2


@MANY
@given(
    rows=st.lists(st.lists(TEXTS, min_size=3, max_size=5), min_size=1, max_size=4),
    columns=st.permutations(["t1", "flair", "ID", "label", "subject"]),
    encoding=st.sampled_from(ENCODINGS),
)
def test_every_row_of_a_table_is_a_case(rows, columns, encoding):
    stream = io.StringIO()
    table = csv.DictWriter(stream, columns)
    table.writeheader()
    table.writerows(dict(zip(columns, row, strict=False)) for row in rows)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "test.csv"
        path.write_text(stream.getvalue(), encoding=encoding, errors="replace", newline="")
        cases = read(Path(folder), dataset_dir=folder)[0]
        filled = [row for row in rows if any("".join(row))]
        assert cases is None or len(cases) >= min(1, len(filled))


@pytest.mark.parametrize("name", ["d.json", "test.csv"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_damaged_lists(tmp_path, name, encoding):
    item = {"t1": "p/t1.nii", "flair": "p/flair.nii", "mri": "m.png", "other": "o.png", "subject": "ä", "ID": "7"}
    table = f"{','.join(item)}\n{','.join(item.values())}\n"
    text = json.dumps({"test": [item, {"image": ["a", "b"]}]}, ensure_ascii=False) if name == "d.json" else table
    path = tmp_path / name
    outcomes = []
    for number in range(60):
        path.write_bytes(mutate(text.encode(encoding), np.random.default_rng([number])))
        given = {"datalist": path} if name == "d.json" else {"dataset_dir": tmp_path}
        outcomes.append(read(tmp_path, **given)[0])
    assert any(cases is not None for cases in outcomes)
    assert name == "test.csv" or any(cases is None for cases in outcomes)
