#!/bin/sh
# Starts Lookout; without LOOKOUT_CONFIG, with the configuration of the service.
here=$(dirname "$(readlink -f "$0")")
if [ -z "${LOOKOUT_CONFIG-}" ] && [ -r /etc/lookout/lookout.yaml ]; then
  export LOOKOUT_CONFIG=/etc/lookout/lookout.yaml
fi
exec "$here/daemon" "$@"
