#!/usr/bin/env bash
# Installs the servers that the live tests start for themselves. One line a service; nothing is left running.
set -euo pipefail
if [[ $(id -u) != 0 ]]; then exec sudo -E bash "$0"; fi
# Packages must not start the services they bring.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
apt-get update -qq
apt-get install -qq -y --no-install-recommends mariadb-server pgbouncer
# OpenStack Swift speaks S3 and checks what it is sent.
apt-get install -qq -y --no-install-recommends swift-proxy swift-account swift-container swift-object memcached
# Azurite is an npm package with a lock of its own: downloaded here, so that no test waits for it.
npx -y deno@2.9.6 install --config tests/support/azurite/deno.json >/dev/null
