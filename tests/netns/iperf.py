# SPDX-License-Identifier: Apache-2.0
"""iperf.py FILE - the throughput in a report of `iperf3 -J`; fails when less than a megabyte arrived in any direction."""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as f:
    end = json.load(f)["end"]
sums = [end[name] for name in ("sum_received", "sum_received_bidir_reverse") if name in end] or [end["sum"]]
if any(one["bytes"] * (1 - one.get("lost_percent", 0) / 100) < 1e6 for one in sums):
    sys.exit(f"next to nothing arrived: {sums}")
print(" and ".join(f"{one['bits_per_second'] / 1e9:.2f}" for one in sums), "Gbit/s")
