# SPDX-License-Identifier: Apache-2.0
"""supers.py CASE PLACE... - packets that the kernel has not segmented or summed, from one place to another. A PLACE is
as in frames.py. What arrives is cut and summed here, by hand, and compared.

supers.py trains FROM TO [whole]          TCP and UDP over IPv4 and IPv6 with 0 to 2 tags, options, extension headers;
                                          whole: some of each TCP packet must arrive as a super-frame
supers.py singles FROM TO                 UDP packets one by one; some are handed on as one, and none is altered by that
supers.py tagged FROM TO TAGS             4 MiB by TCP between the two kernels, by IPv4 and IPv6, with 1 or 2 VLAN tags
supers.py dhcp FROM TO ADDRESS            DHCP-sized messages from a socket of the host; the reader is a raw one
supers.py stream FROM TO ADDRESS          4 MiB by TCP to ADDRESS, content compared; and 60 UDP datagrams of each size
"""
import fcntl
import hashlib
import math
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time

from frames import DEADLINE, PACKET_AUXDATA, SOL_PACKET, VLAN_TPID_VALID, VLAN_VALID, checksum, enter, pattern, port, require

PACKET_VNET_HDR = 15
TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 = 1, 2, 4
NEEDS_CSUM = 1
TCP4, TCP6, UDP = 1, 4, 5
FIN, PSH, CWR = 1, 8, 128
TAGS = [b"", struct.pack("!HH", 0x8100, 42), struct.pack("!HHHH", 0x88A8, 7, 0x8100, 42)]


class super_port(port):
    """A packet socket that speaks of super-frames: the ten bytes of struct virtio_net_hdr before each frame."""

    options = ((SOL_PACKET, PACKET_VNET_HDR, 1),)

    def receive_all(self, wanted, enough, forever=False):
        """(header, frame) of what comes in, until `enough` of the list, or time is up."""
        got = []
        end = math.inf if forever else time.monotonic() + DEADLINE
        while not enough(got) and (left := end - time.monotonic()) > 0:
            self.socket.settimeout(None if forever else left)
            try:
                whole, ancillary, _, address = self.socket.recvmsg(70000, 256)
            except TimeoutError:
                break
            header, frame = struct.unpack("=BBHHHH", whole[:10]), whole[10:]
            if address[2] == socket.PACKET_OUTGOING:
                continue
            for level, kind, content in ancillary:
                if level == SOL_PACKET and kind == PACKET_AUXDATA:
                    status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", content[:20])
                    if status & VLAN_VALID:
                        tpid = tpid if status & VLAN_TPID_VALID else 0x8100
                        frame = frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
                        header = header[:4] + (header[4] + 4 if header[0] & NEEDS_CSUM else header[4],) + header[5:]
            if wanted(frame):
                got.append((header, frame))
        return got


def sum_of(content):
    return ~checksum(content + bytes(len(content) % 2)) & 0xFFFF


class packet:
    """A TCP or UDP packet, with everything that a segment of it shares."""

    def __init__(self, to, source, v6, tcp, tags, options, size):
        self.v6, self.tcp, self.size = v6, tcp, size
        self.link = to + source + TAGS[tags] + struct.pack("!H", 0x86DD if v6 else 0x0800)
        self.options = options
        extension = bytes([6 if tcp else 17, 0, 1, 4, 0, 0, 0, 0]) if options else b""
        self.extension = extension if v6 else b"\x01" * (8 if options else 0)
        self.tcp_options = b"\x01" * 12 if tcp and options else b""
        self.sequence, self.ident, self.flags = 0xFFFFF000, 0xFFF0, 0x10 | FIN | PSH | CWR
        self.payload = pattern(size)

    def frame(self, payload, sequence, ident, flags, complete):
        l4 = (struct.pack("!HHIIBBHHH", 5001, 5002, sequence & 0xFFFFFFFF, 9, (20 + len(self.tcp_options)) // 4 << 4,
                          flags, 500, 0, 0) + self.tcp_options if self.tcp
              else struct.pack("!HHHH", 5001, 5002, 8 + len(payload), 0))
        field = 16 if self.tcp else 6
        protocol = 6 if self.tcp else 17
        if self.v6:
            source, to = socket.inet_pton(socket.AF_INET6, "fd00::1"), socket.inet_pton(socket.AF_INET6, "fd00::2")
            ip = struct.pack("!IHBB16s16s", 6 << 28, len(self.extension) + len(l4) + len(payload),
                             0 if self.extension else protocol, 64, source, to) + self.extension
        else:
            source, to = socket.inet_aton("10.66.0.1"), socket.inet_aton("10.66.0.2")

            def header(check):
                return struct.pack("!BBHHHBBH4s4s", 0x45 + len(self.extension) // 4, 0,
                                   20 + len(self.extension) + len(l4) + len(payload), ident & 0xFFFF, 0x4000, 64,
                                   protocol, check, source, to) + self.extension
            ip = header(checksum(header(0)))
        pseudo = sum_of(source + to + struct.pack("!II", len(l4) + len(payload), protocol))
        check = pseudo
        if complete:
            check = ~sum_of(struct.pack("!H", pseudo) + l4 + payload) & 0xFFFF
            check = check or 0xFFFF
        l4 = l4[:field] + struct.pack("!H", check) + l4[field + 2:]
        return self.link + ip + l4 + payload

    def super_frame(self, size):
        frame = self.frame(self.payload, self.sequence, self.ident, self.flags, False)
        start = len(frame) - len(self.payload) - (20 + len(self.tcp_options) if self.tcp else 8)
        gso = (TCP6 if self.v6 else TCP4) | 0x80 if self.tcp else UDP
        return struct.pack("=BBHHHH", NEEDS_CSUM, gso, len(frame) - len(self.payload), size, start,
                           16 if self.tcp else 6) + frame

    def segments(self, size):
        cut = [self.payload[at:at + size] for at in range(0, self.size, size)]
        for k, part in enumerate(cut):
            flags = self.flags & ~(CWR if k > 0 else 0) & ~(FIN | PSH if k + 1 < len(cut) else 0)
            yield self.frame(part, self.sequence + k * size, self.ident + k, flags, True)


def of(one, frame):
    return frame[:len(one.link)] == one.link


def payload_at(one):
    return len(one.frame(b"", 0, 0, 0, True))


def payload_of(one, frame):
    return len(frame) - payload_at(one)


def flattened(one, got):
    """What the kernel would make of these writes. Segment sizes are theirs."""
    all_segments, sizes = [], set()
    for (flags, gso, _, size, _, _), frame in got:
        bytes_of_payload = payload_of(one, frame)
        at = len(one.frame(b"", 0, 0, 0, True)) - (20 + len(one.tcp_options) if one.tcp else 8)
        ip = len(one.link)
        part = packet.__new__(packet)
        part.__dict__.update(one.__dict__)
        part.payload, part.size = frame[len(frame) - bytes_of_payload:], bytes_of_payload
        part.ident = 0 if one.v6 else struct.unpack("!H", frame[ip + 4:ip + 6])[0]
        if one.tcp:
            part.sequence, part.flags = struct.unpack("!I", frame[at + 4:at + 8])[0], frame[at + 13]
        require(frame == part.frame(part.payload, part.sequence, part.ident, part.flags, not flags & NEEDS_CSUM),
                f"a packet of {len(frame)} bytes is no packet of these headers: {frame[:80].hex(' ')}")
        if gso:
            require(flags & NEEDS_CSUM and size < bytes_of_payload, "a super-frame of one segment")
            sizes.add(size)
        all_segments += part.segments(size) if gso else part.segments(max(bytes_of_payload, 1))
    return all_segments, sizes


def require_stream(one, parts, name):
    """Segments of a TCP packet that was cut anew, maybe more than once: any sizes, but all of it and nothing else."""
    flags_at = len(one.frame(b"", 0, 0, 0, True)) - len(one.tcp_options) - 7
    at = 0
    for k, part in enumerate(parts):
        sequence = struct.unpack("!I", part[flags_at - 9:flags_at - 5])[0]
        payload = part[len(part) - payload_of(one, part):]
        require(sequence == (one.sequence + at) & 0xFFFFFFFF and payload == one.payload[at:at + len(payload)],
                f"{name}: segment {k} is not what stands at {at}")
        at += len(payload)
        expected = one.flags & ~(CWR if k > 0 else 0) & ~(FIN | PSH if at < one.size else 0)
        require(part[flags_at] == expected, f"{name}: segment {k} has flags {part[flags_at]:02x}")


def trains(source, sink, whole=""):
    for v6 in False, True:
        for tcp in True, False:
            for tags in 0, 1, 2:
                for options in False, True:
                    for size, segment in (60000, 1300), (4000, 1400), (5000, 100):
                        one = packet(sink.mac, source.mac, v6, tcp, tags, options, size)
                        source.send(one.super_frame(segment))
                        got = sink.receive_all(lambda frame: of(one, frame),
                                               lambda g: sum(payload_of(one, f) for _, f in g) >= size)
                        name = f"{'TCP' if tcp else 'UDP'}{6 if v6 else 4} of {size} in {segment}, {tags} tags"
                        require(sum(payload_of(one, f) for _, f in got) == size, f"{name} does not arrive whole")
                        parts, sizes = flattened(one, got)
                        require(sizes or not (tcp and whole), f"{name} arrives in single frames")
                        # TCP may have been cut anew, for a narrow path; UDP never.
                        require(not sizes or max(sizes) <= segment, f"{name}: segments of {sizes}")
                        if parts == list(one.segments(segment)):
                            continue
                        require(tcp, f"{name} arrives cut otherwise")
                        require_stream(one, parts, name)


def singles(source, sink):
    for v6 in False, True:
        for tags in 0, 1:
            end = time.monotonic() + DEADLINE
            joined = False
            while not joined and time.monotonic() < end:
                one = packet(sink.mac, source.mac, v6, False, tags, False, 16 * 1200 + 700)
                expected = list(one.segments(1200))
                for k in range(len(expected)):
                    part = one.frame(one.payload[k * 1200:(k + 1) * 1200], 0, one.ident + k, 0, False)
                    start = payload_at(one) - 8
                    source.send(struct.pack("=BBHHHH", NEEDS_CSUM, 0, 0, 0, start, 6) + part)
                got = sink.receive_all(lambda frame: of(one, frame),
                                       lambda g: sum(payload_of(one, f) for _, f in g) >= one.size)
                parts, _ = flattened(one, got)
                require(parts == expected, f"UDP{6 if v6 else 4}, {tags} tags: packets sent one by one arrive altered")
                joined = any(gso == UDP for (_, gso, *_), _ in got)
            require(joined, f"UDP{6 if v6 else 4}, {tags} tags: none of the packets shares a write with another")


def dhcp(source, sink, address):
    for size in 300, 548, 1200:
        for ports in (67, 68), (68, 67):
            with enter(source.netns):
                sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sender.bind(("0.0.0.0", ports[0]))
            sender.sendto(pattern(size), (address, ports[1]))

            def mine(frame, length=size + 8, pair=ports):
                return frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[34:40] == struct.pack("!HHH", *pair, length)
            frame = sink.receive(mine)
            require(frame is not None, f"a DHCP message of {size} bytes does not arrive")
            udp = frame[34:34 + 8 + size]
            total = sum_of(frame[26:34] + struct.pack("!HH", 17, len(udp)) + udp)
            require(total == 0xFFFF, f"a DHCP message of {size} bytes has a checksum that a raw reader refuses")
            sender.close()


def stream(source, sink, address):
    content = random.Random(7).randbytes(4 << 20)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with enter(sink.netns):
        server = socket.create_server((address, 5999), family=family, reuse_port=True)
        datagrams = socket.socket(family, socket.SOCK_DGRAM)
        datagrams.bind((address, 5999))
        datagrams.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)
    with enter(source.netns):
        client = socket.socket(family)
        sender = socket.socket(family, socket.SOCK_DGRAM)
    server.settimeout(DEADLINE)
    digest = []

    def serve():
        connection, _ = server.accept()
        connection.settimeout(DEADLINE)
        whole = hashlib.sha256()
        while part := connection.recv(1 << 20):
            whole.update(part)
        digest.append(whole.digest())
        connection.close()

    reader = threading.Thread(target=serve)
    reader.start()
    client.settimeout(DEADLINE)
    client.connect((address, 5999))
    client.sendall(content)
    client.close()
    reader.join()
    require(digest == [hashlib.sha256(content).digest()], "4 MiB by TCP arrive altered, or not")

    datagrams.settimeout(DEADLINE)
    for size in 1, 100, 1200, 1472, 4000:
        for first in range(0, 60, 20):
            if first == 20:
                sender.connect((address, 5999))  # from here on the IPv4 ids count
            for number in range(first, first + 20):
                sender.sendto(struct.pack("!H", number) + pattern(size), (address, 5999))
            for number in range(first, first + 20):
                got = datagrams.recv(65536)
                require(got == struct.pack("!H", number) + pattern(size), f"a datagram of {size} bytes arrives altered")


def behind_tags(place, tag, number):
    """A TAP beside `place`, with addresses of its own; what its kernel sends leaves `place` with `tag` before its type,
    and what comes in with it goes to the TAP without."""
    with enter(place.netns):
        tap = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"tagged", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
        fcntl.ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)
        for words in (f"address add 10.99.0.{number}/24 dev tagged", f"address add fd99::{number}/64 dev tagged nodad",
                      f"link set tagged up mtu {1500 - len(tag)}"):
            subprocess.run(["ip", *words.split()], check=True)

    def moved(whole, by, frame):
        flags, gso, length, size, start, field = struct.unpack("=BBHHHH", whole[:10])
        return struct.pack("=BBHHHH", flags, gso, length + by if gso else 0, size, start + by if flags & NEEDS_CSUM else 0,
                           field) + frame

    def outward():
        while True:
            whole = os.read(tap, 70000)
            place.send(moved(whole, len(tag), whole[10:22] + tag + whole[22:]))

    def inward():
        while True:
            [(header, frame)] = place.receive_all(lambda f: f[12:12 + len(tag)] == tag, len, forever=True)
            os.write(tap, moved(struct.pack("=BBHHHH", *header), -len(tag), frame[:12] + frame[12 + len(tag):]))
    for one in outward, inward:
        threading.Thread(target=one, daemon=True).start()


def tagged(source, sink, tags):
    behind_tags(source, TAGS[int(tags)], 1)
    behind_tags(sink, TAGS[int(tags)], 2)
    stream(source, sink, "10.99.0.2")
    stream(source, sink, "fd99::2")


if __name__ == "__main__":
    case, *rest = sys.argv[1:]
    kind = super_port if case in ("trains", "singles", "tagged") else port
    places = [kind(word) if word.startswith("/") else word for word in rest]
    {"trains": trains, "singles": singles, "tagged": tagged, "dhcp": dhcp, "stream": stream}[case](*places)
