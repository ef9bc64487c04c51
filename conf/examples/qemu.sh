#!/bin/sh
# qemu.sh DISK - a machine on the bridge of own-bridge.toml, with an address it sets itself, say 10.5.1.220/16 and gateway
# 10.5.0.1. Needs the line "allow br-lan" in /etc/qemu/bridge.conf. Every machine needs a MAC address of its own.
# Not run by a test.
exec qemu-system-x86_64 -m 1024 -drive "file=$1,if=virtio" \
  -netdev bridge,id=lan,br=br-lan -device virtio-net-pci,netdev=lan,mac=52:54:00:05:01:dc
