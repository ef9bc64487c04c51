#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""flood.py initiations KEY FILE | junk FILE | large FILE - datagrams of strangers, for `udp_load flood`.

  initiations  for the host with that public key (base64), network "lan": mac1 is right, nothing else is
  junk         a wrong mac1, random bytes, data with a random index, a single byte: in turn
  large        64 KiB of random bytes
Each is written as a u16 BE length and as many bytes.
"""
import base64
import os
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "reference"))
sys.dont_write_bytecode = True
import lanloom_reference as ll  # noqa: E402

COUNT = 4096


def initiation():
    return b"\1\1\0\0" + os.urandom(132)


def junk(i):
    return (initiation() + os.urandom(16) + bytes(16), os.urandom(100), b"\4\1\0\0" + os.urandom(1200), b"\1")[i % 4]


kind, file = sys.argv[1], sys.argv[-1]
if kind == "initiations":
    network, key = ll.Network("lan"), base64.b64decode(sys.argv[2])
    datagrams = [ll.with_macs(network, key, initiation()) for _ in range(COUNT)]
elif kind == "junk":
    datagrams = [junk(i) for i in range(COUNT)]
else:
    datagrams = [os.urandom(65507) for _ in range(16)]
with open(file, "wb") as out:
    for one in datagrams:
        out.write(struct.pack(">H", len(one)) + one)
