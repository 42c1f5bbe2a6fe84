#!/bin/sh
# Starts Lookout with the Node.js that came with it and, unless told otherwise, the service's configuration.
here=$(dirname "$(readlink -f "$0")")
if [ -z "${LOOKOUT_CONFIG-}" ] && [ -r /etc/lookout/lookout.yaml ]; then
  export LOOKOUT_CONFIG=/etc/lookout/lookout.yaml
fi
# A small nursery in V8 and few heaps in glibc save tens of megabytes.
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX-2}"
exec "$here/node" --max-semi-space-size=2 "$here/../dist/cli.js" "$@"
