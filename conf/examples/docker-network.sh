#!/bin/sh
# docker-network.sh HOST - a Docker network on the bridge of own-bridge.toml; HOST is 1 on the first host, 2 on the second.
# Once per host, while lanloom runs: Docker remembers the network. Then: docker run --network lan ...
# Run by tests/netns/docker_test.sh.
#
# The gateway is the bridge's own address: Docker would replace any other. The range keeps two hosts from giving out the
# same address. Docker never removes this bridge, as it did not make it; after a boot lanloom must come first.
set -e
docker network create --driver bridge \
  --subnet 10.5.0.0/16 --gateway "10.5.0.$1" --ip-range "10.5.$1.0/24" \
  --opt com.docker.network.bridge.name=br-lan lan
