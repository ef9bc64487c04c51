# SPDX-License-Identifier: Apache-2.0
"""attack.py HOW CAPTURE,CAPTURE... VICTIM [SPOOF] - sends datagrams seen on the underlay to VICTIM again, whole or spoilt.

CAPTURE is a pcap file of Ethernet frames, all of which the victim has received. Only UDP from port 4780 to VICTIM:4780 over IPv4 is taken, 400 of each type
at most, the newest. HOW says what is sent:
  replayed      every datagram as it was
  altered       each with one bit changed, at a place that moves from one to the next
  truncated     each without its last 1..40 bytes
  lengthened    each with 1..40 bytes more
With SPOOF they carry the source address and port they had; without, this host's own. Prints how many were sent.
Sends no faster than a socket buffer of 200 KiB takes them.
"""
import socket
import struct
import sys
import time


def frames(path):
    with open(path, "rb") as f:
        content = f.read()
    at = 24
    while at + 16 <= len(content):
        size = struct.unpack_from("<I", content, at + 8)[0]
        yield content[at + 16:at + 16 + size]
        at += 16 + size


def datagrams(paths, victim):
    """(source address, payload) of what was sent to the victim; offloaded trains are left out."""
    to = socket.inet_aton(victim)
    for frame in (frame for path in paths.split(",") for frame in frames(path)):
        if frame[12:14] != b"\x08\x00" or frame[23] != 17 or frame[30:34] != to:
            continue
        start = 14 + 4 * (frame[14] & 15)
        source, sink, length, _ = struct.unpack_from("!HHHH", frame, start)
        payload = frame[start + 8:start + length]
        if source == sink == 4780 and len(payload) <= 1472:
            yield socket.inet_ntoa(frame[26:30]), payload


def spoil(how, payload, n):
    if how == "altered":
        bit = (n * 37) % (len(payload) * 8)
        if payload[0] in (1, 2):
            bit %= (len(payload) - 16) * 8  # the second MAC is looked at only under load
        return payload[:bit // 8] + bytes([payload[bit // 8] ^ 1 << bit % 8]) + payload[bit // 8 + 1:]
    if how == "truncated":
        return payload[:-(n % 40) - 1]
    if how == "lengthened":
        return payload + bytes((n * 11 + i) & 0xFF for i in range(n % 40 + 1))
    return payload


def main():
    how, paths, victim = sys.argv[1:4]
    spoofed = sys.argv[4:] == ["SPOOF"]
    by_type = {}
    for source, payload in datagrams(paths, victim):
        by_type.setdefault(payload[0], []).append((source, payload))
    for kind in 1, 2, 4:
        if kind not in by_type:
            sys.exit(f"{paths}: no datagram of type {kind} to {victim}")
    chosen = [one for kind in sorted(by_type) for one in by_type[kind][-400:]]
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    plain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for n, (source, payload) in enumerate(chosen):
        payload = spoil(how, payload, n)
        if spoofed:
            udp = struct.pack("!HHHH", 4780, 4780, 8 + len(payload), 0) + payload
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 17, 0, socket.inet_aton(source),
                             socket.inet_aton(victim))
            raw.sendto(ip + udp, (victim, 0))
        else:
            plain.sendto(payload, (victim, 4780))
        if n % 50 == 49:
            time.sleep(0.02)  # a pause for the victim's socket buffer; what is asserted does not depend on it
    print(len(chosen))


if __name__ == "__main__":
    main()
