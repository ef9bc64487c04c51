# SPDX-License-Identifier: Apache-2.0
"""frames.py CASE PLACE... - Ethernet frames from one place to another, compared byte by byte. A PLACE is
the file of a network namespace, a colon, and the name of an interface in it.

frames.py sizes FROM TO                   one frame of every length from 14 to 1514, each awaited before the next
frames.py bursts FROM TO                  the same, thirty at a time, in order
frames.py tagged FROM TO                  frames with an 802.1Q tag, and with two
frames.py groups FROM TO ADDRESS          ARP, IPv4 and IPv6 multicast from ADDRESS; ARP is answered
frames.py broadcast FROM NEAR FAR         every broadcast once at NEAR and FAR, and none back at FROM
"""
import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import sys
import time

ETH_P_ALL = 3
PRIVATE = 0x88B5  # IEEE 802 local experimental ethertype
PACKET_AUXDATA = 8
VLAN_VALID, VLAN_TPID_VALID = 1 << 4, 1 << 6
SOL_PACKET = 263
SO_RCVBUFFORCE = 33
SIOCGIFHWADDR = 0x8927
DEADLINE = 10  # seconds


@contextlib.contextmanager
def enter(netns):
    """What is made inside belongs to that network namespace; and what is made afterwards, too."""
    with open(netns, encoding="ascii") as f:
        if ctypes.CDLL(None, use_errno=True).setns(f.fileno(), 0) != 0:
            raise OSError(ctypes.get_errno(), f"enter {netns}")
    yield


class port:
    """A packet socket on an interface of another network namespace."""

    options = ()

    def __init__(self, place):
        self.netns, interface = place.split(":")
        self.place = interface
        with enter(self.netns):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        for option in self.options:
            self.socket.setsockopt(*option)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.socket.bind((interface, ETH_P_ALL))
        answer = fcntl.ioctl(self.socket, SIOCGIFHWADDR, struct.pack("256s", interface.encode()))
        self.mac = answer[18:24]

    def send(self, frame):
        self.socket.send(frame)

    def receive(self, wanted, seconds=DEADLINE):
        """The next frame that came in here and that `wanted` accepts; None when there is none in time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                frame, ancillary, _, address = self.socket.recvmsg(65536, 256)
            except TimeoutError:
                break
            if address[2] == socket.PACKET_OUTGOING:
                continue
            for level, kind, content in ancillary:  # the kernel takes the outer tag out of the frame
                if level == SOL_PACKET and kind == PACKET_AUXDATA:
                    status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", content[:20])
                    if status & VLAN_VALID:
                        tpid = tpid if status & VLAN_TPID_VALID else 0x8100
                        frame = frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
            if wanted(frame):
                return frame
        return None


def require(condition, sentence):
    if not condition:
        sys.exit(sentence)


def ether(to, source, kind, payload=b""):
    return to + source + struct.pack("!H", kind) + payload


def pattern(size):
    """Bytes that differ at every offset and size, so that no shift goes unseen."""
    return bytes((i * 7 + (i >> 8) * 3 + size * 13) & 0xFF for i in range(size))


def of_every_size(source, sink):
    return [ether(sink.mac, source.mac, PRIVATE, pattern(size - 14)) for size in range(14, 1515)]


def private(frame):
    return frame[12:14] == struct.pack("!H", PRIVATE)


def expect(sink, frame, wanted):
    got = sink.receive(wanted)
    require(got is not None, f"a frame of {len(frame)} bytes, {frame[:14].hex(' ')}, does not arrive at {sink.place}")
    require(got == frame, f"a frame of {len(frame)} bytes arrives altered, with {len(got)} bytes: "
            f"{frame[:40].hex(' ')} as {got[:40].hex(' ')}")


def sizes(source, sink):
    for frame in of_every_size(source, sink):
        source.send(frame)
        expect(sink, frame, private)


def bursts(source, sink):
    frames = of_every_size(source, sink)
    for first in range(0, len(frames), 30):
        for frame in frames[first:first + 30]:
            source.send(frame)
        for frame in frames[first:first + 30]:
            expect(sink, frame, private)


def tagged(source, sink):
    def mine(frame):
        return frame[:12] == sink.mac + source.mac and frame[12:14] in (b"\x81\x00", b"\x88\xa8")

    for size in 2, 28, 46, 1000, 1496, 1500:
        for tci in 1, 42, 0xE000 | 4094:
            frame = ether(sink.mac, source.mac, 0x8100, struct.pack("!HH", tci, PRIVATE) + pattern(size))
            source.send(frame)
            expect(sink, frame, mine)
    frame = ether(sink.mac, source.mac, 0x88A8, struct.pack("!HHHH", 7, 0x8100, 9, PRIVATE) + pattern(1400))
    source.send(frame)
    expect(sink, frame, mine)


def checksum(content):
    total = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4_udp(source, to, payload):
    def header(check):
        return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 1, 0, 1, 17, check, source, to)
    return header(checksum(header(0))) + struct.pack("!HHHH", 5353, 5353, 8 + len(payload), 0) + payload


def ipv6_udp(source, to, payload):
    udp = struct.pack("!HHHH", 5353, 5353, 8 + len(payload), 0) + payload
    pseudo = source + to + struct.pack("!II", len(udp), 17)
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp)) + udp[8:]
    return struct.pack("!IHBB16s16s", 6 << 28, len(udp), 17, 255, source, to) + udp


def groups(source, sink, address):
    address = socket.inet_aton(address)

    def to_same(frame):
        return lambda other: other[:6] == frame[:6] and other[6:12] != sink.mac and other[12:14] == frame[12:14]

    for group in "224.0.0.251", "239.1.2.3":
        ip = socket.inet_aton(group)
        mac = b"\x01\x00\x5e" + bytes([ip[1] & 0x7F]) + ip[2:]
        frame = ether(mac, source.mac, 0x0800, ipv4_udp(address, ip, pattern(64)))
        source.send(frame)
        expect(sink, frame, to_same(frame))

    ip = socket.inet_pton(socket.AF_INET6, "ff02::fb")
    from_ip = socket.inet_pton(socket.AF_INET6, "fe80::" + source.mac[4:].hex())
    frame = ether(b"\x33\x33" + ip[12:], source.mac, 0x86DD, ipv6_udp(from_ip, ip, pattern(64)))
    source.send(frame)
    expect(sink, frame, to_same(frame))

    unused = socket.inet_aton("10.5.77.77")
    frame = ether(b"\xff" * 6, source.mac, 0x0806,
                  struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, source.mac, address, bytes(6), unused))
    source.send(frame)
    expect(sink, frame, lambda other: other[12:14] == b"\x08\x06" and other[38:42] == unused)


def broadcast(source, near, far):
    count = 100
    frames = [ether(b"\xff" * 6, source.mac, PRIVATE, struct.pack("!H", i) + pattern(60)) for i in range(count)]
    for frame in frames:
        source.send(frame)
        for sink in near, far:
            expect(sink, frame, private)
    # Whatever is still under way arrives before this: the way back keeps the order.
    for sink in near, far:
        last = ether(source.mac, sink.mac, PRIVATE, b"last")
        sink.send(last)
        expect(source, last, private)
        source.send(ether(sink.mac, source.mac, PRIVATE, b"last"))
        expect(sink, ether(sink.mac, source.mac, PRIVATE, b"last"), private)


if __name__ == "__main__":
    case, *rest = sys.argv[1:]
    places = [port(word) if ":" in word else word for word in rest]
    {"sizes": sizes, "bursts": bursts, "tagged": tagged, "groups": groups, "broadcast": broadcast}[case](*places)
