#!/bin/sh
# Counts the words of a text. The input is JSON on standard input, the output JSON on file descriptor 3; what is printed is log.
set -eu
text=$(python3 -IS -c 'import json, sys; sys.stdout.write(json.load(sys.stdin)["text"])')
words=$(printf '%s' "$text" | wc -w)
echo "counted $words"
printf '{"words": %d}' "$words" >&3
