#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""flood.py initiations KEY FILE | fastd FROM TO KEY... FILE | junk FILE | large FILE - datagrams of strangers, for
`udp_load flood`.

  initiations  for the host with that public key (base64), network "lan": mac1 is right, nothing else is
  fastd        the same for fastd: a first handshake as the peer with public key FROM (hex) sends it to TO, which needs
               no secret; with each of the KEYs as its handshake's own
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


def fastd_initiation(sender, recipient, ephemeral):
    """As fastd 22 sends it: an L2TP control header of 12 bytes; type 1, a reserved byte, u16 BE length; records of u16 LE
    type, u16 LE length and value."""
    records = ((0, b"\1"), (3, b"\1"), (4, b"\0"), (13, b"v22"), (5, b"ec25519-fhmqvc"), (6, sender), (7, recipient),
               (8, ephemeral))
    body = b"".join(struct.pack("<HH", number, len(value)) + value for number, value in records)
    return struct.pack(">HHIHH", 0xC803, 12, 0, 0, 0) + struct.pack(">BBH", 1, 0, len(body)) + body


def junk(i):
    return (initiation() + os.urandom(16) + bytes(16), os.urandom(100), b"\4\1\0\0" + os.urandom(1200), b"\1")[i % 4]


kind, file = sys.argv[1], sys.argv[-1]
if kind == "initiations":
    network, key = ll.Network("lan"), base64.b64decode(sys.argv[2])
    datagrams = [ll.with_macs(network, key, initiation()) for _ in range(COUNT)]
elif kind == "fastd":
    sender, recipient, *ephemeral = (bytes.fromhex(key) for key in sys.argv[2:-1])
    datagrams = [fastd_initiation(sender, recipient, one) for one in ephemeral]
elif kind == "junk":
    datagrams = [junk(i) for i in range(COUNT)]
else:
    datagrams = [os.urandom(65507) for _ in range(16)]
with open(file, "wb") as out:
    for one in datagrams:
        out.write(struct.pack(">H", len(one)) + one)
