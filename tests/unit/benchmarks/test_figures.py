"""The figures that benchmarks compute from samples: shares, multiples, two builds compared."""

from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.against import compared, figures_in, table
from benchmarks.idle import multiples
from benchmarks.packaging import shares
from benchmarks.redact_growth import Timed, confirmed


def test_what_a_benchmark_prints_as_a_result_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(results, "BUILD", tmp_path / "build")
    print("== cli_start_ms (seed 1)\n  1.5 kB")
    results.write("cli_start_ms", "how: {so}", {"n": 20, "p50_help": 130.5, "ms": {"pass": 12}})
    results.write("idle_daemon", "otherwise", {"rss_mb": 70, "syncthing": "v1.29.5"})

    assert figures_in(capsys.readouterr().out) == {
        "cli_start_ms.p50_help": 130.5,
        "cli_start_ms.ms.pass": 12,
        "idle_daemon.rss_mb": 70,
    }


def test_builds_are_compared_by_the_medians_of_their_samples() -> None:
    rows = compared({"a": [3.0, 1.0, 2.0]}, {"a": [4.0, 4.0, 9.0]})

    assert rows["a"]["this"] == 2.0
    assert rows["a"]["other"] == 4.0
    assert rows["a"]["ratio"] == 0.5


def test_a_figure_of_one_build_only_has_no_ratio() -> None:
    rows = compared({"new": [1.0], "zero": [1.0]}, {"old": [1.0], "zero": [0.0]})

    assert {name: row["ratio"] for name, row in rows.items()} == dict.fromkeys(rows)
    assert [line.split() for line in table(rows)[1:]] == [
        ["new", "1", "-", "-"],
        ["old", "-", "1", "-"],
        ["zero", "1", "0", "-"],
    ]


def test_a_share_is_the_time_of_a_part_divided_by_that_of_packaging() -> None:
    figures = shares(10.0, {"sha256": 1.0, "zstd3": 2.0, "fsync": 9.0})

    assert (figures["of_sha256"], figures["of_zstd3"], figures["of_fsync"]) == (0.1, 0.2, 0.9)
    assert figures["with_fsync"] == 1.2
    assert (figures["package_s"], figures["fsync_s"]) == (10.0, 9.0)


def test_a_command_is_a_multiple_of_python_that_does_nothing() -> None:
    figures = multiples({"pass": [10.0, 30.0, 20.0], "help": [100.0, 120.0, 90.0]})

    assert figures == {"help": 5.0, "ms": {"pass": 20.0, "help": 100.0}}


def test_a_form_that_seems_to_grow_counts_as_it_is_measured_again() -> None:
    assert confirmed(Timed(0.1, 0.42), lambda: Timed(0.1, 0.2)) == 2.0


def test_a_form_that_does_grow_counts_as_one_however_often_it_is_measured() -> None:
    assert confirmed(Timed(0.1, 0.4), lambda: Timed(0.1, 0.4)) == 4.0


def test_a_form_that_does_not_seem_to_grow_is_measured_once() -> None:
    assert confirmed(Timed(0.1, 0.2), lambda: pytest.fail("measured again")) == 2.0
