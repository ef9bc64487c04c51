# SPDX-License-Identifier: Apache-2.0
"""answer.py PORT - answers every TCP caller with the address it calls from, over IPv4 and IPv6."""
import socket
import sys

server = socket.create_server(("", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    caller, address = server.accept()
    with caller:
        caller.sendall(address[0].removeprefix("::ffff:").encode() + b"\n")
