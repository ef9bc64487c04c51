# SPDX-License-Identifier: Apache-2.0
"""tunnel.py TAP OWN_ADDRESS PEER_ADDRESS PORT - the tunnel one writes in an afternoon: Ethernet over UDP, in the clear.

One frame per system call, no key, no peer but one, nothing checked but the sender's address. bench/compare.sh measures
it as the point from which everybody starts. Needs root; the TAP is made here and goes with the process.
"""
import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000


def main(name: str, own: str, peer: str, port: int) -> None:
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((own, port))
    udp.setblocking(False)
    other = (peer, port)
    while True:
        readable, _, _ = select.select((tap, udp), (), ())
        try:
            if tap in readable:
                udp.sendto(os.read(tap, 65536), other)
            if udp in readable:
                frame, sender = udp.recvfrom(65536)
                if sender == other:
                    os.write(tap, frame)
        except OSError:
            pass  # a full buffer, or the interface is down: the frame is lost, as on any wire


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
