#!/usr/bin/env bash
# Installs the servers that the live tests start for themselves. One line a service; nothing is left running.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ $(id -u) != 0 ]]; then exec sudo -E bash .ci/services.sh; fi
source .ci/again.sh
export DEBIAN_FRONTEND=noninteractive
# Debian keeps servers out of a user's PATH.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

apt() { # A machine that has just booted may hold the lock for updates of its own.
  timeout 600 apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Acquire::http::Timeout=30 "$@" </dev/null
}

packages() { # An installation that was cut off is ended first; a stale list names packages that the mirror has no more.
  dpkg --configure -a </dev/null || true
  apt update && apt install --no-install-recommends "$@"
}

missing() { # program…
  local program
  for program in "$@"; do command -v "$program" >/dev/null || return 0; done
  return 1
}

# Packages must not start the services they bring.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
if missing mariadbd mariadb-install-db pgbouncer; then again packages mariadb-server pgbouncer; fi
# OpenStack Swift speaks S3 and checks what it is sent.
swift="swift-proxy-server swift-account-server swift-container-server swift-object-server swift-ring-builder"
# shellcheck disable=SC2086
if missing $swift memcached; then again packages swift-proxy swift-account swift-container swift-object memcached; fi
# npm packages with locks of their own: downloaded here, so that no test waits for them.
for place in azurite servers; do
  (cd "tests/support/$place" && again npx -y deno@2.9.6 install --quiet </dev/null)
done
