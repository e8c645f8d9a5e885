"""Jobs: done once, resumed after an interruption, started anew when the command changes."""

import json

import pytest

from benchmarks.bundle_jobs import Job, finish


@pytest.fixture
def write_config(tmp_path):
    """Function (name) -> config that appends a line to ``<output_dir>/made.txt``, or fails for the text 'fail'."""

    def write(name="config"):
        path = tmp_path / f"{name}.json"
        content = {
            "imports": ["$from pathlib import Path"],
            "output_dir": "",
            "text": "x",
            "file": "$Path(@output_dir) / 'made.txt'",
            "lines": "$@file.read_text() if @file.exists() else ''",
            "go": ["$1 / 0 if @text == 'fail' else None", "$@file.write_text(@lines + @text)"],
        }
        path.write_text(json.dumps(content))
        return str(path)

    return write


def job(config, work, name, text, needs=()):
    words = ("run", "go", "--config_file", config, "--output_dir", str(work / name), "--text", text)
    return Job(name, words, "made.txt", tuple(needs))


def made(work, name):
    path = work / name / "made.txt"
    return path.read_text() if path.exists() else None


def test_a_job_is_done_once_and_again_when_its_command_changes_or_its_product_is_gone(write_config, tmp_path):
    config, work = write_config(), tmp_path / "work"
    first = job(config, work, "first", "a")
    assert not first.done(work)
    for _ in range(2):
        finish([first], work, 0)
        assert made(work, "first") == "a" and first.done(work)
    note = json.loads((work / "first" / "done.json").read_text())
    assert note["words"] == list(first.words) and note["seconds"] >= 0

    # Interrupted: the same command finds what it had left.
    (work / "first" / "done.json").unlink()
    finish([first], work, 0)
    assert made(work, "first") == "aa"
    (work / "first" / "made.txt").unlink()
    finish([first], work, 0)
    assert made(work, "first") == "a"

    # Another command starts in an empty folder; another order of the overrides is no other command.
    finish([job(config, work, "first", "b")], work, 0)
    assert made(work, "first") == "b"
    words = job(config, work, "first", "b").words
    assert Job("first", (*words[:4], *words[6:], *words[4:6]), "made.txt").done(work)


@pytest.mark.parametrize("parallel", [0, 2])
def test_what_depends_on_a_failure_is_not_started_and_the_rest_is_done(write_config, tmp_path, parallel):
    config, work = write_config(), tmp_path / "work"
    jobs = [
        job(config, work, "good", "a"),
        job(config, work, "bad", "fail"),
        job(config, work, "after_bad", "b", ["bad"]),
        job(config, work, "after_good", "c", ["good"]),
    ]
    with pytest.raises(RuntimeError, match=r"1 runs failed, 1 that need them were not started; see .*bad.log\.txt"):
        finish(jobs, work, parallel, 1)
    assert [made(work, one.name) for one in jobs] == ["a", None, None, "c"]
    assert "ZeroDivisionError" in (work / "bad" / "log.txt").read_text()
    finish([jobs[0], jobs[3]], work, parallel, 1)
    assert made(work, "good") == "a"


def test_a_run_without_its_product_has_failed(write_config, tmp_path):
    config, work = write_config(), tmp_path / "work"
    words = job(config, work, "one", "a").words
    with pytest.raises(RuntimeError, match="1 runs failed, 0 that need them"):
        finish([Job("one", words, "other.txt")], work, 0)
