#!/bin/sh
# Starts Lookout with, unless told otherwise, the service's configuration.
here=$(dirname "$(readlink -f "$0")")
if [ -z "${LOOKOUT_CONFIG-}" ] && [ -r /etc/lookout/lookout.yaml ]; then
  export LOOKOUT_CONFIG=/etc/lookout/lookout.yaml
fi
exec "$here/daemon" "$@"
