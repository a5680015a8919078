#!/bin/sh
# Installs what the tests of the page need and a bare Debian has not: Chromium. Does nothing the second time.
set -eu
[ -z "${CHROMIUM:-}" ] || exit 0
stamp="${XDG_CACHE_HOME:-$HOME/.cache}/sessiond-ci/chromium"
if [ -e "$stamp" ] && command -v chromium >/dev/null; then exit 0; fi
if ! command -v chromium >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
fi
mkdir -p "$(dirname "$stamp")"
chromium --version >"$stamp" 2>/dev/null
