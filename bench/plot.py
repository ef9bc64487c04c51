# SPDX-License-Identifier: Apache-2.0
"""plot.py COMPARE.JSON DIRECTORY - draws what bench/compare.sh measured: throughput.svg, cpu.svg, factors.svg.

Horizontal bars of the medians, a thin line from least to greatest. Standard library only; the text is the browser's.
"""
import json
import os
import sys
from html import escape

from report import IN_CLEAR  # beside this file

WIDTH, LABEL, BAR, GAP, TOP = 760, 190, 20, 8, 54
OURS, OTHERS, INK, PAPER = "#1f6f8b", "#b0b7bc", "#22272b", "#ffffff"


def text_of(x: float) -> str:
    return f"{x:,.0f}".replace(",", "\u2009") if abs(x) >= 1000 else f"{x:.3g}"


def bars(title: str, note: str, rows: list) -> str:
    """rows: (label, one figure of compare.json, ours); a row without a figure is a heading."""
    most = max(figure["max"] for _, figure, _ in rows if figure) or 1
    space = WIDTH - LABEL - 90
    height = TOP + len(rows) * (BAR + GAP) + 12
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
           f'font-family="sans-serif" font-size="13" fill="{INK}" role="img" aria-label="{escape(title)}">',
           f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
           f'<text x="12" y="22" font-size="16" font-weight="bold">{escape(title)}</text>',
           f'<text x="12" y="41" font-size="12">{escape(note)}</text>']
    for i, (label, figure, ours) in enumerate(rows):
        y = TOP + i * (BAR + GAP)
        middle = y + BAR / 2
        if figure is None:
            out.append(f'<text x="12" y="{middle + 5:.1f}" font-weight="bold">{escape(label)}</text>')
            continue
        length, least, greatest = (LABEL + space * figure[k] / most for k in ("median", "min", "max"))
        name = label + (", in clear" if label in IN_CLEAR else "")
        out += [f'<text x="{LABEL - 8}" y="{middle + 4.5:.1f}" text-anchor="end">{escape(name)}</text>',
                f'<rect x="{LABEL}" y="{y}" width="{max(length - LABEL, 1):.1f}" height="{BAR}" fill="{OURS if ours else OTHERS}"/>',
                f'<line x1="{least:.1f}" x2="{greatest:.1f}" y1="{middle}" y2="{middle}" stroke="{INK}"/>',
                f'<text x="{max(greatest, length) + 6:.1f}" y="{middle + 4.5:.1f}">{text_of(figure["median"])}</text>']
    return "\n".join(out + ["</svg>"]) + "\n"


def base_rows(cells: dict, quantity: str, least_first: bool) -> list:
    found = [(name, m[quantity], name.startswith("lanloom")) for name, m in cells.get("base", {}).items() if quantity in m]
    return sorted(found, key=lambda row: row[1]["median"], reverse=not least_first)


def factor_rows(cells: dict) -> list:
    rows = []
    for cell, candidates in cells.items():
        found = [(n, m["stream_gbit"], n.startswith("lanloom")) for n, m in candidates.items() if "stream_gbit" in m]
        if cell != "base" and found:
            rows += [(cell, None, False), *found]
    return rows


def main(source: str, directory: str) -> None:
    with open(source, encoding="utf-8") as f:
        report = json.load(f)
    cells, host = report["cells"], report["machine"]
    where = f"{host['processor']}, {host['processors']} processors for everything; median of {report['rounds']}"
    plots = {
        "throughput.svg": ("One TCP stream from container to container, Gbit/s", where, base_rows(cells, "stream_gbit", False)),
        "cpu.svg": ("CPU seconds of both daemons per gigabyte (less is better)", where, base_rows(cells, "cpu_s_per_gb", True)),
        "factors.svg": ("One TCP stream under other conditions, Gbit/s", where, factor_rows(cells)),
    }
    for name, (title, note, rows) in plots.items():
        if rows:
            with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
                f.write(bars(title, note, rows))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
