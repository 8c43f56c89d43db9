#!/usr/bin/env bash
# Bundles the console's editor into web/static/editor.js. The bundle is committed: whoever runs or changes Pullpass
# needs no Node, unless it is the editor that changes.
set -euo pipefail
cd "$(dirname "$0")"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
node_modules/.bin/esbuild editor.js --bundle --minify --format=iife --target=es2022 \
  --legal-comments=none --outfile=../../web/static/editor.js
