"""cases.csv: the values of each row, when rows appear, and what becomes of the table of a run before."""

import csv
import json

import pytest
from ignite.engine import Engine

from shared_networks.data import CaseLog
from shared_networks.handlers import BatchReport
from shared_networks.outputs import CaseTable
from shared_networks.outputs.case_row import case_flags

CLASSES = ("background", "CSF", "GM", "WM", "WML")
REPORT = {
    "volumes_ml": {"CSF": 200.5, "GM": 600.0, "WM": 500.25, "WML": 9.0},
    "lesion_count": 2,
    "lesion_load_percent": 0.6872,
    "lesion_volumes_ml": [8.5, 0.5],
    "small_lesions": {"count": 3, "volume_ml": 0.021},
    "lesions_by_region": {
        "periventricular": {"count": 1, "volume_ml": 8.5},
        "juxtacortical": {"count": 0, "volume_ml": 0.0},
        "deep_white_matter": {"count": 1, "volume_ml": 0.5},
    },
    "inputs": {"t1": "a, b/t1.nii.gz", "flair": "f.nii.gz"},
    "warnings": "",
}


def read(folder, name="cases.csv"):
    with (folder / name).open(encoding="utf-8", newline="") as stream:
        return {row["case"]: row for row in csv.DictReader(stream)}


def write_report(folder, case, **changes):
    (folder / case).mkdir(parents=True, exist_ok=True)
    (folder / case / f"{case}_report.json").write_text(json.dumps(REPORT | changes), encoding="utf-8")


def make_table():
    return CaseTable(("t1", "flair"), CLASSES, by_region=True)


def run(folder, batches, log=None, table=None, step=None):
    """Drive report and table by an engine over lists of items."""
    log, table = log or CaseLog(), table or make_table()
    engine = Engine(step or (lambda engine, batch: [{} for _ in batch]))
    BatchReport(log, str(folder), beside=[table]).attach(engine)
    engine.run(batches)
    return table


def test_a_row_holds_the_numbers_of_the_report(tmp_path):
    write_report(tmp_path, "p1")
    run(tmp_path, [[{"case": "p1"}]])
    row = read(tmp_path)["p1"]
    assert float(row.pop("seconds")) >= 0
    assert row == {
        "case": "p1",
        "status": "ok",
        "CSF_ml": "200.5",
        "GM_ml": "600.0",
        "WM_ml": "500.25",
        "WML_ml": "9.0",
        "lesion_count": "2",
        "lesion_load_percent": "0.6872",
        "largest_lesion_ml": "8.5",
        "small_lesion_count": "3",
        "small_lesion_ml": "0.021",
        "periventricular_count": "1",
        "periventricular_ml": "8.5",
        "juxtacortical_count": "0",
        "juxtacortical_ml": "0.0",
        "deep_white_matter_count": "1",
        "deep_white_matter_ml": "0.5",
        "flags": "",
        "warnings": "",
        "t1": "a, b/t1.nii.gz",
        "flair": "f.nii.gz",
    }


def test_a_row_is_there_as_soon_as_its_case_is_decided(tmp_path):
    seen = []

    def step(engine, batch):
        seen.append(list(read(tmp_path)))
        return [{}]

    run(tmp_path, [[{"case": name}] for name in "abc"], step=step)
    assert seen == [[], ["a"], ["a", "b"]] and list(read(tmp_path)) == ["a", "b", "c"]


def test_a_refused_case_has_its_reason_and_no_numbers_of_an_earlier_run(tmp_path):
    write_report(tmp_path, "p1")
    run(tmp_path, [[{"case": "p1"}]], step=lambda engine, batch: [{"refused": 'disk full, "really"'}])
    row = read(tmp_path)["p1"]
    assert (row["status"], row["flags"], row["warnings"]) == ("refused", "refused", 'disk full, "really"')
    assert row["CSF_ml"] == row["lesion_count"] == row["seconds"] == ""


def test_a_skipped_case_keeps_numbers_remarks_and_seconds(tmp_path):
    write_report(tmp_path, "p1", warnings="look swapped")
    run(tmp_path, [[{"case": "p1", "warning": "look swapped"}]])
    before = read(tmp_path)["p1"]
    log = CaseLog()
    log.add({"case": "p1", "skipped": "done before"})
    run(tmp_path, [[{"case": "p2"}]], log)
    after = read(tmp_path)["p1"]
    assert before["status"] == "warned" and before["seconds"] != ""
    assert after == before | {"status": "skipped"} and after["flags"] == "warning"


def test_a_run_that_breaks_off_leaves_the_rows_of_what_was_done(tmp_path):
    def step(engine, batch):
        if batch[0]["case"] == "b":
            raise KeyError("a defect")
        return [{}]

    with pytest.raises(KeyError):
        run(tmp_path, [[{"case": "a"}], [{"case": "b"}]], step=step)
    assert list(read(tmp_path)) == ["a"]


def test_what_could_not_be_appended_is_written_in_the_end(tmp_path, monkeypatch):
    table = make_table()
    monkeypatch.setattr(table, "add", lambda entries: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    run(tmp_path, [[{"case": "a"}], [{"case": "b"}]], table=table)
    assert list(read(tmp_path)) == ["a", "b"]


def test_a_full_disk_in_the_end_leaves_the_table_as_it_was(tmp_path, monkeypatch, caplog):
    table = run(tmp_path, [[{"case": "p1"}]])
    before = (tmp_path / "cases.csv").read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    table.finish([{"case": name, "status": "ok", "reason": ""} for name in ("p1", "p2")])
    assert [path.name for path in tmp_path.glob("*.csv")] == ["cases.csv"] and "cannot be written" in caplog.text
    assert (tmp_path / "cases.csv").read_bytes() == before


def test_pandas_reads_it_without_options(tmp_path):
    pandas = pytest.importorskip("pandas")
    write_report(tmp_path, "p1")
    run(tmp_path, [[{"case": "p1"}, {"case": "p2"}]])
    table = pandas.read_csv(tmp_path / "cases.csv")
    assert table["GM_ml"].tolist()[0] == 600.0 and table["GM_ml"].isna().tolist() == [False, True]
    assert table["case"].tolist() == ["p1", "p2"] and table["lesion_count"][0] == 2


def test_flags():
    ok, remark = {"status": "ok", "reason": ""}, {"status": "warned", "reason": "swapped?"}
    assert case_flags(ok, REPORT) == [] and case_flags(remark, {}) == ["warning"]
    assert case_flags(ok, REPORT, highest_lesion_load=0.5) == ["lesion_load"]
    empty = REPORT | {"volumes_ml": {"CSF": 0.0, "GM": 1.0, "WM": 1.0, "WML": 0.0}, "missing_modality": "t1"}
    assert case_flags(ok, empty) == ["one_modality", "no_CSF"]
    assert case_flags({"status": "refused", "reason": "x"}, REPORT) == ["refused"]


LIMITS = {
    "noise": {"t1": 0.85},
    "blur": {"t1": 0.96, "flair": 0.98},
    "percent": {"CSF": [10, 20], "GM": [40, 50]},
    "total_ml": [1000, 1800],
    "mean_probability": 0.84,
    "uncertain_lesions": 2.0,
}
QUALITY = {"t1": {"noise": 0.7, "blur": 0.9}, "flair": {"noise": 0.99, "blur": None}}
CERTAINTY = {"mean_probability": 0.88, "uncertain_lesion_ml": 4.5, "lesion_interval_ml": [6.5, 12.25]}


def test_quality_and_certainty_are_columns(tmp_path):
    write_report(tmp_path, "p1", image_quality=QUALITY, certainty=CERTAINTY)
    run(tmp_path, [[{"case": "p1"}]], table=CaseTable(("t1", "flair"), CLASSES, limits=LIMITS))
    row = read(tmp_path)["p1"]
    assert [row[name] for name in ("WML_low_ml", "WML_high_ml", "uncertain_lesion_ml")] == ["6.5", "12.25", "4.5"]
    assert row["mean_probability"] == "0.88"
    names = ("noise_t1", "blur_t1", "noise_flair", "blur_flair")
    assert [row[name] for name in names] == ["0.7", "0.9", "0.99", ""] and row["flags"] == ""


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, []),
        (
            {"image_quality": {"t1": {"noise": 0.86, "blur": 0.97}, "flair": {"noise": 2.0, "blur": 0.98}}},
            ["noise_t1", "blur_t1"],
        ),
        # 200.5 of 1309.75 ml are 15.3 percent CSF, 600 are 45.8 percent GM.
        ({"volumes_ml": {"CSF": 300.0, "GM": 500.0, "WM": 500.0, "WML": 9.0}}, ["unusual_CSF", "unusual_GM"]),
        ({"volumes_ml": {"CSF": 100.0, "GM": 300.0, "WM": 300.0, "WML": 9.0}}, ["unusual_total"]),
        ({"volumes_ml": {"zone": 1.0, "tumour": 1.0}}, []),
        ({"certainty": CERTAINTY | {"mean_probability": 0.83}}, ["uncertain"]),
        ({"certainty": CERTAINTY | {"uncertain_lesion_ml": 18.1}}, ["uncertain_lesions"]),
        ({"certainty": CERTAINTY | {"uncertain_lesion_ml": 17.9}}, []),
    ],
)
def test_flags_of_limits(changes, flags):
    entry = {"status": "ok", "reason": ""}
    assert case_flags(entry, REPORT | {"image_quality": QUALITY} | changes, 50.0, LIMITS) == flags
    assert case_flags(entry, REPORT | changes, 50.0) == []
