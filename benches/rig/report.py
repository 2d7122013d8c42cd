"""Tables in Markdown, medians, and the baseline that our own numbers are compared with."""

import json
import os
import statistics

from .machine import ROOT

BASELINE = ROOT / "benches" / "baseline.json"


def median(values):
    return statistics.median(values)


def median_ratio(values, others):
    """The median of the ratios within a round: what slows a whole round down does not count."""
    return statistics.median(value / other for value, other in zip(values, others, strict=True))


def number(value):
    """Three digits, as far as there are any behind the point."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(head, rows):
    """The table as text; every cell but the first of a row is set to the right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


class Report:
    """Our own numbers: each beside the baseline's, which they replace where BENCH_SAVE names the machine."""

    HEAD = ["measure", "rows", "now", "of the baseline", "compared with"]

    def __init__(self):
        self.kept = json.loads(BASELINE.read_text())
        self.measured, self.rows = {}, []

    def add(self, name, unit, rows, value, compared=""):
        """`rows` is the size of the work: a baseline of another size tells nothing."""
        measure = f"{name}, {unit}"
        before = self.kept["measures"].get(measure)
        if before is None:
            ratio = "none"
        elif before["rows"] != rows:
            ratio = f"of {before['rows']:,} rows"
        else:
            ratio = f"{value / before['value']:.2f} ×"
        self.rows.append([measure, f"{rows:,}", number(value), ratio, compared])
        self.measured[measure] = {"rows": rows, "value": round(value, 3)}

    def print(self):
        print(table(self.HEAD, self.rows), flush=True)
        print(f"\nBaseline: {self.kept['machine']}", flush=True)
        if machine := os.environ.get("BENCH_SAVE"):
            # numbers of two machines are no baseline
            others = self.kept["measures"] if machine == self.kept["machine"] else {}
            kept = {"machine": machine, "measures": {**others, **self.measured}}
            BASELINE.write_text(json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
            print("These numbers are the baseline now.", flush=True)
