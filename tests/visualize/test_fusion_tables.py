"""The comparison table says what the summaries say."""

from shared_networks.visualize.fusion_tables import comparison_table


def summary(method, ssim, images=2):
    return {
        "method": method,
        "data": "d",
        "date": "2026-01-02",
        "command": f"run {method}",
        "hardware": "CPU x",
        "threads": 2,
        "parameters": 1234,
        "seconds_per_image": 0.25,
        "modalities": {"CT": {"images": images, "metrics": {"SSIM": {"mean": ssim, "sd": 0.01}}}},
    }


def test_best_values_are_bold_ties_too_and_the_published_row_is_not():
    table = comparison_table([summary("a", 0.9), summary("b", 0.8), summary("c", 0.9001)], {"CT": {"SSIM": 0.99}}, "p")
    lines = table.splitlines()
    assert "| a | **0.900 ± 0.010** | 0.250 | 1,234 |" in lines
    assert "| b | 0.800 ± 0.010 | 0.250 | 1,234 |" in lines
    assert "| c | **0.900 ± 0.010** | 0.250 | 1,234 |" in lines
    assert "| p | 0.990 | | |" in lines
    assert "## CT (2 pairs)" in lines
    assert "- b: `run b` (2026-01-02, CPU x, 2 threads)" in lines


def test_every_row_has_as_many_cells_as_the_head():
    table = comparison_table([summary("a", 0.5)], {"CT": {}})
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {5}
