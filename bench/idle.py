# SPDX-License-Identifier: Apache-2.0
"""idle.py TURNS <CANDIDATES - the idle round trip of several tunnels, in turns.

What else the machine does moves an idle round trip by a factor of two within a minute, so one long measurement after
another compares minutes. Here each turn sends 20 pings through every tunnel, in an order drawn anew.

CANDIDATES has one line for each: name, address and the command that enters the container, with tabs between. Prints a
line "name<TAB>median in ms" for each turn of each candidate; a turn without an answer has none.
"""
import random
import re
import statistics
import subprocess
import sys


def burst(enter: list, address: str) -> list:
    command = [*enter, "ping", "-n", "-c", "20", "-i", "0.003", "-W", "1", "-w", "5", address]
    text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    return [float(t) for t in re.findall(r"time=([0-9.]+) ms", text)]


def main(turns: int) -> None:
    candidates = [line.rstrip("\n").split("\t") for line in sys.stdin]
    medians: dict = {name: [] for name, _, _ in candidates}
    for _ in range(turns):
        random.shuffle(candidates)
        for name, address, enter in candidates:
            times = burst(enter.split(), address)
            if times:
                medians[name].append(statistics.median(times))
    for name, values in medians.items():
        for value in values:
            print(f"{name}\t{value:.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
