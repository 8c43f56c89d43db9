#!/usr/bin/env bash
# Writes what the console loads and did not write itself into web/static: htmx as it comes, the editor as one bundle, and
# the licences of both. The results are committed: whoever runs or changes Pullpass needs no Node, unless it is these
# that change. The bundle's first line names what it was made from, and a test compares.
set -euo pipefail
cd "$(dirname "$0")"
static=../../web/static
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
made_from() { sha256sum "$1" | cut -c1-64; }
node_modules/.bin/esbuild editor.js --bundle --minify --format=iife --target=es2022 --charset=utf8 \
  --legal-comments=none --outfile="$static/editor.js" \
  --banner:js="/* tools/console: package-lock.json sha256:$(made_from package-lock.json) editor.js sha256:$(made_from editor.js); licences: LICENSES.txt */"
cp node_modules/htmx.org/dist/htmx.min.js "$static/htmx.min.js"
{
  echo "What the console sends to browsers and others wrote: htmx.min.js is htmx.org; editor.js holds the rest."
  for licence in node_modules/{htmx.org,@*/*,crelt,style-mod,w3c-keyname}/LICENSE; do
    folder=$(dirname "$licence")
    printf '\n\n%s\n%s %s\n\n' "----------------------------------------" "${folder#node_modules/}" \
      "$(node -p "require('./$folder/package.json').version")"
    cat "$licence"
  done
} > "$static/LICENSES.txt"
