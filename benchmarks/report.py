"""Figures as a table, as JSON, and as an entry in RESULTS.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.metrics import Row, Samples

RESULTS = Path(__file__).parent / "RESULTS.md"

_HEADINGS = ("what", "unit", "ours", "Triton", "ratio", "must reach", "")
_MARKS = {True: "✓", False: "✗", None: ""}


def table(rows: Sequence[Row]) -> str:
    """Markdown, readable as it is."""
    cells = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADINGS))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    rule = "| " + " | ".join("-" * max(width, 3) for width in widths) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])


def as_json(samples: Samples, machine: Mapping[str, str], command: str) -> str:
    figures = [
        {
            "name": row.metric.name,
            "unit": row.metric.unit,
            "ours": row.ours,
            "triton": row.triton,
            "ratio": row.ratio,
            "target": row.metric.target,
            "met": row.met,
            "samples": dict(samples.values[row.metric]),
        }
        for row in samples.rows()
    ]
    return json.dumps({"machine": dict(machine), "command": command, "figures": figures})


def append(samples: Samples, machine: Mapping[str, str], command: str, date: str) -> None:
    facts = ", ".join(f"{name}: {value}" for name, value in machine.items())
    entry = f"""
## {date}

{facts}. Medians of the rounds.

    {command}

{table(samples.rows())}

<details><summary>JSON</summary>

```json
{as_json(samples, machine, command)}
```

</details>
"""
    with RESULTS.open("a") as results:
        results.write(entry)


def _cells(row: Row) -> tuple[str, ...]:
    metric = row.metric
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return (metric.name, metric.unit, _figure(row.ours), _figure(row.triton), ratio, metric.target, _MARKS[row.met])


def _figure(value: float | None) -> str:
    """Three or so significant digits, no exponent."""
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}"
