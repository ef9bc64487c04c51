# SPDX-License-Identifier: Apache-2.0
"""report.py - the arithmetic of bench/compare.sh.

  report.py iperf FILE NANOSECONDS      "GBIT CPU": what arrived per second in all directions; CPU seconds per gigabyte
  report.py write SAMPLES DIRECTORY COMMIT QUICK NOTES   compare.json and compare.md from all samples
"""
import datetime
import json
import os
import platform
import statistics
import sys

# What is claimed: name, (cell, candidate, quantity) above and below the line, at least. An inverted ratio (where less is
# better) has the other program above. "fastd" stands for the better of fastd's two methods.
RATIOS = [
    ("one TCP stream, beside fastd", ("base", "lanloom", "stream_gbit"), ("base", "fastd", "stream_gbit"), 8),
    ("one TCP stream at inner MTU 1500, beside fastd", ("mtu-1500", "lanloom", "stream_gbit"),
     ("base", "fastd", "stream_gbit"), 8),
    ("one TCP stream, beside VXLAN without encryption", ("base", "lanloom", "stream_gbit"), ("base", "vxlan", "stream_gbit"), 0.45),
    ("one TCP stream at inner MTU 1500, beside VXLAN there", ("mtu-1500", "lanloom", "stream_gbit"),
     ("mtu-1500", "vxlan", "stream_gbit"), 0.45),
    ("one TCP stream, beside the same without encryption", ("base", "lanloom", "stream_gbit"),
     ("base", "lanloom-identity", "stream_gbit"), 0.75),
    ("one TCP stream at inner MTU 1500, beside the same without encryption", ("mtu-1500", "lanloom", "stream_gbit"),
     ("mtu-1500", "lanloom-identity", "stream_gbit"), 0.75),
    ("ChaCha20-Poly1305, beside fastd", ("base", "lanloom-chacha20", "stream_gbit"), ("base", "fastd", "stream_gbit"), 2.5),
    ("AES-256-GCM by libsodium, beside fastd", ("base", "lanloom-libsodium", "stream_gbit"), ("base", "fastd", "stream_gbit"), 4.5),
    ("underlay without segmentation offload, beside fastd", ("no-gso", "lanloom", "stream_gbit"),
     ("no-gso", "fastd", "stream_gbit"), 4),
    ("UDP datagrams of 64 bytes, beside fastd", ("udp-64", "lanloom", "udp_per_second"), ("udp-64", "fastd", "udp_per_second"), 1.5),
    ("1 % loss, beside fastd", ("loss-1", "lanloom", "stream_gbit"), ("loss-1", "fastd", "stream_gbit"), 1.0),
    ("idle round trip, fastd's beside it", ("idle", "fastd", "rtt_ms"), ("idle", "lanloom", "rtt_ms"), 1.0),
    ("round trip p99 at 500 Mbit/s, fastd's beside it", ("rtt-500", "fastd", "p99_ms"), ("rtt-500", "lanloom", "p99_ms"), 1.0),
    ("CPU seconds per gigabyte, fastd's beside it", ("base", "fastd", "cpu_s_per_gb"), ("base", "lanloom", "cpu_s_per_gb"), 6),
]
IN_CLEAR = ("vxlan", "python", "lanloom-identity")  # what does not encrypt
LESS_IS_BETTER = ("rtt_ms", "p50_ms", "p99_ms", "cpu_s_per_gb", "loss")
UNITS = {
    "stream_gbit": "1 TCP stream, Gbit/s",
    "streams4_gbit": "4 streams, Gbit/s",
    "both_gbit": "both ways together, Gbit/s",
    "rtt_ms": "idle round trip, ms",
    "cpu_s_per_gb": "CPU of both daemons, s/GB",
    "udp_per_second": "datagrams/s with < 1 % loss",
    "p50_ms": "p50, ms",
    "p99_ms": "p99, ms",
    "loss": "lost",
}
CELLS = {
    "base": "inner MTU 1400, underlay 1500 with segmentation offload",
    "idle": "the same, without a load",
    "reverse": "the stream the other way",
    "bidirectional": "a stream each way at once",
    "udp-64": "UDP, payload 64 bytes",
    "udp-1200": "UDP, payload 1200 bytes",
    "rtt-500": "round trip under an offered 500 Mbit/s of UDP",
    "no-gso": "underlay without segmentation offload",
    "mtu-1500": "inner MTU 1500",
    "mtu-9000": "inner MTU 9000",
    "loss-0.1": "0.1 % loss, underlay without segmentation offload",
    "loss-1": "1 % loss, underlay without segmentation offload",
}


def iperf(path: str, nanoseconds: int) -> str:
    with open(path, encoding="utf-8") as f:
        end = json.load(f)["end"]
    sums = [end[name] for name in ("sum_received", "sum_received_bidir_reverse") if name in end]
    gbit = sum(one["bits_per_second"] for one in sums) / 1e9
    gigabytes = sum(one["bytes"] for one in sums) / 1e9
    if gigabytes == 0:
        raise ValueError("nothing arrived")
    cpu = f"{nanoseconds / 1e9 / gigabytes:.4f}" if nanoseconds > 0 else ""
    return f"{gbit:.4f} {cpu}"


def summary(samples: str) -> dict:
    cells: dict = {}
    with open(samples, encoding="utf-8") as f:
        for line in f:
            _, cell, candidate, quantity, figure = line.rstrip("\n").split("\t")
            values = cells.setdefault(cell, {}).setdefault(candidate, {}).setdefault(quantity, {"values": []})
            values["values"].append(float(figure))
    for cell in cells.values():
        for candidate in cell.values():
            for one in candidate.values():
                one.update(median=statistics.median(one["values"]), min=min(one["values"]), max=max(one["values"]))
    return cells


def median_of(cells: dict, cell: str, candidate: str, quantity: str):
    names = [n for n in cells.get(cell, {}) if n == candidate or (candidate == "fastd" and n.startswith("fastd-"))]
    found = [cells[cell][n][quantity]["median"] for n in names if quantity in cells[cell][n]]
    if not found:
        return None
    return min(found) if quantity in LESS_IS_BETTER else max(found)


def in_turns(cells: dict, below) -> float | None:
    """The median over the turns of the cell "idle" of fastd's round trip beside lanloom's in the same turn: what else the
    machine does moves both. Of fastd's two methods the one that is better. None where a burst had no answer."""
    cell, own, quantity = below
    values = cells[cell][own][quantity]["values"]
    found = []
    for name, measured in cells[cell].items():
        if not name.startswith("fastd-") or quantity not in measured:
            continue
        beside = measured[quantity]["values"]
        if len(beside) != len(values):
            return None
        found.append(statistics.median(a / b for a, b in zip(beside, values)))
    return min(found, default=None)


def ratios(cells: dict) -> list:
    out = []
    for name, above, below, at_least in RATIOS:
        a, b = median_of(cells, *above), median_of(cells, *below)
        if a is None or not b:
            continue
        ratio = a / b
        if above[0] == "idle":
            ratio = in_turns(cells, below) or ratio
        out.append({"name": name, "ratio": ratio, "at_least": at_least, "holds": ratio >= at_least})
    return out


def figure(one: dict) -> str:
    def text(x: float) -> str:
        return f"{x:,.0f}".replace(",", " ") if abs(x) >= 1000 else f"{x:.3g}"

    if len(one["values"]) == 1:
        return text(one["median"])
    return f"{text(one['median'])} ({text(one['min'])}…{text(one['max'])})"


def table(cells: dict, cell: str) -> list:
    quantities = [q for q in UNITS if any(q in c for c in cells[cell].values())]
    lines = [f"**{cell}**: {CELLS[cell]}", "", "| | " + " | ".join(UNITS[q] for q in quantities) + " |",
             "|---|" + "---|" * len(quantities)]
    for candidate, measured in cells[cell].items():
        name = candidate + (" (in clear)" if candidate in IN_CLEAR else "")
        row = [figure(measured[q]) if q in measured else "–" for q in quantities]
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    return lines + [""]


def machine() -> dict:
    """With what libipsec-mb chooses its code by: AES-GCM with AVX-512 is faster than with AVX2."""
    told: dict = {}
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            name, _, value = line.partition(":")
            told.setdefault(name.strip(), value.strip())
    flags = told.get("flags", "").split()
    return {"processor": told.get("model name", "unknown"),
            "instructions": [one for one in ("avx2", "vaes", "gfni", "avx512vl") if one in flags],
            "processors": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0]}


def write(samples: str, directory: str, commit: str, quick: str, notes: str) -> None:
    cells = summary(samples)
    with open(notes, encoding="utf-8") as f:
        noted = [line.strip() for line in f if line.strip()]
    with open(samples, encoding="utf-8") as f:
        rounds = max((int(line.split("\t", 1)[0]) for line in f), default=0)
    report = {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "commit": commit,
        "rounds": rounds, "quick": quick == "yes", "machine": machine(), "notes": noted,
        "ratios": ratios(cells), "cells": cells,
    }
    with open(os.path.join(directory, "compare.json"), "w", encoding="utf-8") as f:
        json.dump(report, f, indent=1)
    host = report["machine"]
    lines = [f"{' '.join([host['processor'], *host['instructions']])}, {host['processors']} processors for both hosts and "
             f"both ends of the load, Linux "
             f"{host['kernel']}; {report['when']}, commit {commit}; median (least…greatest) of {rounds} "
             + ("round" if rounds == 1 else "rounds") + ".", ""]
    for cell in CELLS:
        if cell in cells:
            lines += table(cells, cell)
    if report["ratios"]:
        lines += ["| ratio of medians (idle: median of the ratios in each turn) | | at least |", "|---|---|---|"]
        lines += [f"| {r['name']} | {r['ratio']:.3g}{'' if r['holds'] else ' (missed)'} | {r['at_least']} |" for r in report["ratios"]]
        lines.append("")
    lines += [f"- {line}" for line in noted]
    with open(os.path.join(directory, "compare.md"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines).rstrip() + "\n")


def main(words: list) -> None:
    if words[0] == "iperf":
        print(iperf(words[1], int(words[2])))
    else:
        write(*words[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
