# Sourced: what talks to a mirror or a registry is tried until it works, five times.

again() { # command…
  local try
  for try in 1 2 3 4 5; do
    if "$@"; then return 0; fi
    echo "attempt $try of 5 failed: $*" >&2
    sleep $((try * 5))
  done
  return 1
}
