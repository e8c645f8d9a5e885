"""The benchmark of the batch report runs."""

from benchmarks.batch_report import main


def test_a_row_for_each_number_of_cases(capsys):
    main(["--cases", "3", "20"])
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == ["cases", "3", "20"]
    assert all(float(row.split()[1]) >= 0 and float(row.split()[2]) > 0 for row in rows[1:])
