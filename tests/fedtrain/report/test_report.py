"""The report's page, parsed without a browser."""
# ruff: noqa: D102  (the reader's methods are html.parser's)

import base64
import csv
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedtrain.report import data as report_data
from fedtrain.report import write_report
from fedtrain.report.axis import nice_ticks
from fedtrain.report.charts import Series, line_chart
from tests.run_folder import write_run

VOID = {"meta", "link", "input", "img", "br"}


class Reader(HTMLParser):
    """Reads elements with their attributes and text; refuses unclosed tags."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[dict] = []
        self.open: list[dict] = []
        self.feed(page)
        assert not self.open, f"not closed: {[element['tag'] for element in self.open]}"

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", **{f"@{name}": value for name, value in attrs}}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append({"tag": tag, "text": "", **{f"@{name}": value for name, value in attrs}})

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, **attributes):
        wanted = {f"@{name}": value for name, value in attributes.items()}
        return [e for e in self.elements if e["tag"] == tag and wanted.items() <= e.items()]

    def data(self):
        return json.loads(self.all("script", id="data")[0]["text"])


def read(folder):
    return Reader(write_report(folder).read_text(encoding="utf-8"))


def headline(page):
    return {e["@data-headline"]: e["text"] for e in page.elements if "@data-headline" in e}


def test_the_page_refers_to_nothing_outside(tmp_path):
    write_run(tmp_path)
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert set(re.findall(r"//[\w.-]+[\w./]*", text)) == {"//www.w3.org/2000/svg"}
    assert "http" not in text.replace('"http://www.w3.org/2000/svg"', "").replace("http-equiv", "")
    page = Reader(text)
    for attribute in ("@src", "@srcset", "@action", "@data", "@xlink:href"):
        assert [e for e in page.elements if attribute in e] == []
    assert {e["@href"] for e in page.elements if "@href" in e} == {"data:,"}
    assert "url(" not in text
    assert "@import" not in text


def test_only_the_pages_own_script_may_run(tmp_path):
    write_run(tmp_path)
    page = read(tmp_path)
    (policy,) = [e["@content"] for e in page.all("meta") if e.get("@http-equiv") == "Content-Security-Policy"]
    (script,) = [e["text"] for e in page.all("script") if "@type" not in e]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_the_table_holds_every_row_exactly(tmp_path):
    rows = write_run(tmp_path)
    page = read(tmp_path)
    assert [e["text"] for e in page.all("th")] == [name.replace("_", " ") for name in rows[0]]
    cells = iter(page.all("td"))
    for row in rows:
        for column, value in row.items():
            cell = next(cells)
            shown = cell["text"] if column in ("status", "proof") else float(cell["@data-value"])
            assert shown == value, column
    assert next(cells, None) is None


def test_the_headline_follows_from_the_rows(tmp_path):
    rows = write_run(tmp_path, rounds=20, model_bytes=500_000)
    traffic = sum(row["bytes_down"] + row["bytes_up"] for row in rows)
    page = read(tmp_path)
    shown = headline(page)
    assert shown["final accuracy"] == f"{100 * rows[-1]['accuracy']:.1f} %"
    assert shown["rounds proven optimal"] == "20 of 20"
    assert shown["traffic"] == f"{traffic / 1e6:.3g} MB"
    whole = sum(2 * row["clients"] - row["dropped"] for row in rows) * 500_000
    assert f"{100 * traffic / whole:.1f} % of the {whole / 1e6:.3g} MB" in page.all("dl")[0]["text"]
    with np.load(tmp_path / "alignment.npz") as stored:
        total = stored["loads"].sum(axis=0)
    assert shown["load variation"] == f"{total.std() / total.mean():.3f}"


def test_rounds_that_are_not_proven_are_not_counted(tmp_path):
    write_run(tmp_path, status="FEASIBLE", proof="NONE", gap=0.25)
    page = read(tmp_path)
    assert headline(page)["rounds proven optimal"] == "0 of 12"
    assert "largest gap 0.25" in page.all("dl")[0]["text"]
    assert len([e for e in page.all("rect") if e.get("@class") == "unproven"]) == 12


def test_the_lines_lie_where_the_rows_say(tmp_path):
    rows = write_run(tmp_path)
    text = write_report(tmp_path).read_text(encoding="utf-8")
    chart = re.search(r"<figure class=\"chart\"><figcaption><h3>Accuracy</h3>.*?</figure>", text, re.DOTALL)[0]
    ticks = [(float(label) / 100, float(y) - 4) for y, label in re.findall(r'y="([\d.]+)" [^>]*>([\d.]+) %<', chart)]
    (low, bottom), (high, top) = min(ticks), max(ticks)
    assert 0.0 <= low < high <= 1.0
    points = re.search(r'<path class="line"[^>]* d="M([^"]+)"', chart)[1].split(" L")
    per_pixel = (high - low) / (top - bottom)
    drawn = [low + (float(point.split(",")[1]) - bottom) * per_pixel for point in points]
    np.testing.assert_allclose(drawn, [row["accuracy"] for row in rows], atol=0.1 * abs(per_pixel))


def test_the_axis_of_accuracy_begins_near_the_data(tmp_path):
    write_run(tmp_path, accuracy=0.95)
    text = write_report(tmp_path).read_text(encoding="utf-8")
    chart = re.search(r"<h3>Accuracy</h3>.*?</figure>", text, re.DOTALL)[0]
    assert ">0 %<" not in chart
    assert ">100 %<" in chart


def test_a_gap_that_is_rounding_is_told_in_words(tmp_path):
    write_run(tmp_path, gap=7.4e-15)
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert "proven in all 12 rounds" in text
    assert "is 7.4e-15, which is rounding" in text
    write_run(tmp_path, gap=0.25, status="FEASIBLE", proof="NONE")
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert "proven in all" not in text
    assert "(bound − objective) / bound" in text


def test_a_line_under_others_is_wider(tmp_path):
    write_run(tmp_path, bytes_down=1e6, bytes_up=1e6)
    text = write_report(tmp_path).read_text(encoding="utf-8")
    chart = re.search(r"<h3>Traffic so far</h3>.*?</figure>", text, re.DOTALL)[0]
    down, up = (float(width) for width in re.findall(r'class="line" style="[^"]*stroke-width:([\d.]+)"', chart))
    assert down > up + 1


def test_many_equal_lines_stay_narrow(tmp_path):
    lines = [Series(f"{k}", np.ones(5), f"{k}", "red") for k in range(40)]
    chart = line_chart("Prices", np.arange(5.0), lines, name="price", form=str)
    widths = [float(width) for width in re.findall(r"stroke-width:([\d.]+)", chart)]
    assert sorted(widths, reverse=True) == widths
    assert max(widths) < 10


@pytest.mark.parametrize(("values", "step"), [([60.0, 59.99999], 0.0), ([60.0, 59.9994], 0.0), ([2.0, 0.0], 1.0)])
def test_ticks_are_different_texts(values, step):
    series = [Series("a", np.array(values), "a", "red")]
    chart = line_chart("A", np.arange(2.0), series, name="a", form=str, low=values[-1], step=step)
    ticks = re.findall(r'text-anchor="end">([^<]+)<', chart)
    assert len(set(ticks)) == len(ticks) >= 3
    if step:
        assert ticks == ["0", "1", "2"]


def test_every_class_has_a_colour_in_the_legend(tmp_path):
    write_run(tmp_path)
    text = write_report(tmp_path).read_text(encoding="utf-8")
    legend = re.search(r'<ul class="legend classes".*?</ul>', text, re.DOTALL)[0]
    assert re.findall(r"</span>(class \d+)<", legend) == [f"class {k}" for k in range(10)]


def test_the_page_carries_the_alignments_as_they_were(tmp_path):
    write_run(tmp_path)
    data = read(tmp_path).data()["alignment"]
    with np.load(tmp_path / "alignment.npz") as stored:
        for k in range(12):
            cohort, pairs = data["kept"][str(k)]
            assert cohort == stored["cohort"][slice(*stored["cohort_ptr"][k : k + 2])].tolist()
            kept = slice(*stored["pair_ptr"][k : k + 2])
            assert pairs[::2] == stored["pair_client"][kept].tolist()
            assert pairs[1::2] == stored["pair_expert"][kept].tolist()
        assert data["loads"] == stored["loads"].tolist()
        assert data["prices"] == stored["prices"].tolist()
        assert [row[-1] for row in data["capacity"]] == [None] * 12
        assert data["labels"] == stored["label_counts"].tolist()


def test_a_long_run_keeps_rounds_evenly_with_both_ends(tmp_path, monkeypatch):
    write_run(tmp_path, rounds=50)
    monkeypatch.setattr(report_data, "EMBEDDED_PAIRS", 200)
    kept = [int(number) for number in read(tmp_path).data()["alignment"]["kept"]]
    assert kept[0] == 0
    assert kept[-1] == 49
    assert 2 < len(kept) < 12
    assert np.ptp(np.diff(kept)) <= 1


def test_an_interrupted_run_shows_what_it_did(tmp_path):
    write_run(tmp_path, rounds=7, planned=30)
    page = read(tmp_path)
    assert [e["text"] for e in page.all("p") if e.get("@class") == "notice"] == [
        "Interrupted: 7 of 30 rounds were completed. The page shows those."
    ]
    assert headline(page)["rounds proven optimal"] == "7 of 7"


def test_a_line_cut_off_while_it_was_written_is_left_out(tmp_path):
    write_run(tmp_path, rounds=5)
    path = tmp_path / "rounds.csv"
    path.write_text(path.read_text(encoding="utf-8").rstrip()[:-1], encoding="utf-8")
    page = read(tmp_path)
    assert page.data()["rounds"] == [0, 1, 2, 3]
    assert any("cut off" in e["text"] for e in page.all("p") if e.get("@class") == "notice")


@pytest.mark.parametrize(
    "missing", [(), ("rounds.csv",), ("rounds.csv", "alignment.npz"), ("config.toml", "rounds.csv")]
)
def test_a_run_without_rounds_says_so(tmp_path, missing):
    write_run(tmp_path, rounds=0, planned=30)
    for name in missing:
        (tmp_path / name).unlink()
    page = read(tmp_path)
    assert "No round of this run was completed" in page.all("header")[0]["text"]
    assert headline(page) == {}
    assert page.data()["rounds"] == []


def test_a_run_of_one_round(tmp_path):
    rows = write_run(tmp_path, rounds=1)
    assert headline(read(tmp_path))["final accuracy"] == f"{100 * rows[0]['accuracy']:.1f} %"


def test_a_run_without_alignment_shows_the_rest(tmp_path):
    write_run(tmp_path)
    (tmp_path / "alignment.npz").unlink()
    page = read(tmp_path)
    assert page.all("section", id="alignment") == []
    assert len(page.all("section", id="learning")) == 1
    assert any("no alignment.npz" in e["text"] for e in page.all("p") if e.get("@class") == "notice")


def test_values_that_were_not_measured_leave_gaps(tmp_path):
    write_run(tmp_path, accuracy="", solve_seconds="nan")
    page = read(tmp_path)
    assert headline(page)["final accuracy"] == "–"
    assert page.data()["readouts"]["accuracy"] == ["–"] * 12


def test_what_users_wrote_is_escaped(tmp_path):
    hostile = '</script><script>alert("1")</script><img src=x>{{script}}'
    write_run(tmp_path, name=hostile, tier_names=[hostile, "b", "c"], status=hostile, **{"<b>": 1.0})
    page = read(tmp_path)
    assert len(page.all("script")) == 2
    assert page.all("img") == []
    assert page.all("b") == []
    assert page.all("h1")[0]["text"] == hostile
    assert page.data()["alignment"]["tierNames"][0] == hostile
    assert hostile in page.all("pre")[0]["text"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1,high,0.1", r"rounds\.csv, line 3: accuracy is 'high'"),
        ("1,0.5", r"rounds\.csv, line 3: 2 fields, the header has 3"),
    ],
)
def test_a_file_that_no_run_writes_is_refused(tmp_path, line, told):
    (tmp_path / "rounds.csv").write_text(f"round,accuracy,loss\n0,0.1,1.0\n{line}\n2,0.3,0.2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=told):
        write_report(tmp_path)


def test_arrays_that_no_run_writes_are_refused(tmp_path):
    write_run(tmp_path)
    with np.load(tmp_path / "alignment.npz") as stored:
        arrays = dict(stored)
    np.savez(tmp_path / "alignment.npz", **{name: array for name, array in arrays.items() if name != "tier"})
    with pytest.raises(ValueError, match=r"alignment\.npz lacks tier"):
        write_report(tmp_path)
    np.savez(tmp_path / "alignment.npz", **(arrays | {"prices": np.zeros(3)}))
    with pytest.raises(ValueError, match=r"prices has shape \(3,\), expected \(rounds, experts\) = \(12, 4\)"):
        write_report(tmp_path)


@pytest.mark.parametrize("name", ["rounds.csv", "alignment.npz", "config.toml"])
@pytest.mark.parametrize(
    "damage", [lambda whole: whole[: len(whole) // 2 - 1] + b"=\xff=", lambda _: b"\xff\x00=", None]
)
def test_damaged_files_are_named(tmp_path, name, damage):
    write_run(tmp_path)
    path = tmp_path / name
    whole = path.read_bytes()
    if damage is None:
        np.save(tmp_path / "other.npy", np.zeros(3))
        path.write_bytes((tmp_path / "other.npy").read_bytes())
    else:
        path.write_bytes(damage(whole))
    with pytest.raises(ValueError, match=re.escape(name)):
        write_report(tmp_path)


def test_columns_that_runs_may_add_are_shown(tmp_path):
    write_run(tmp_path, simulated_seconds=12.5)
    page = read(tmp_path)
    assert page.all("th")[-1]["text"] == "simulated seconds"
    assert page.all("td")[-1]["text"] == "12.5 s"


def test_half_a_model_is_refused(tmp_path):
    write_run(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((99).to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match="is not a whole safetensors file"):
        write_report(tmp_path)


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_ticks_enclose_the_data_evenly(a, b):
    low, high = min(a, b), max(a, b)
    ticks = nice_ticks(low, high)
    span = ticks[-1] - ticks[0]
    assert 2 <= len(ticks) <= 8
    assert ticks[0] <= low + 1e-6 * span
    assert ticks[-1] >= high - 1e-6 * span
    np.testing.assert_allclose(np.diff(ticks), span / (len(ticks) - 1), rtol=1e-6)


def test_what_was_put_aside_is_told_with_its_reason(tmp_path):
    write_run(tmp_path, late=2, out_of_memory=0, rejected=1)
    hostile = "<img src=x onerror=alert(1)>"
    (tmp_path / "quarantine.csv").write_text(
        f'round,client,reason\n1,3,"tensor {hostile}, not finite"\n2,3,stale\n2,4,cut o', encoding="utf-8"
    )
    page = read(tmp_path)
    assert page.all("img") == []
    lines = [e["text"] for e in page.all("tr", **{"class": "quarantined"})]
    assert lines == [f"13tensor {hostile}, not finite", "23stale"]
    assert "2 replies were not merged, most often of client 3 (2)." in page.all("section", id="clients")[0]["text"]
    dropped = sum(int(row["dropped"]) for row in csv.DictReader((tmp_path / "rounds.csv").open(encoding="utf-8")))
    assert headline(page)["updates merged"] == f"{12 * 12 - dropped - 24 - 12} of 144"
    assert page.data()["readouts"]["late"] == ["2"] * 12


def test_a_quarantine_that_no_run_writes_is_refused(tmp_path):
    write_run(tmp_path)
    (tmp_path / "quarantine.csv").write_text("round,client,reason\n1,2\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"quarantine\.csv, line 2"):
        write_report(tmp_path)
    (tmp_path / "quarantine.csv").write_bytes(b"round,client,reason\n1,2,\xff\n")
    with pytest.raises(ValueError, match=r"quarantine\.csv is not CSV text"):
        write_report(tmp_path)
