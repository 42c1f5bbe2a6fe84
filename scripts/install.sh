#!/bin/bash
# Installs Lookout as a service, or removes it. Run it again after an update: it replaces the program and keeps your
# configuration and data.
set -euo pipefail
umask 022

usage() {
  cat <<'TEXT'
Usage: sudo scripts/install.sh [--prefix DIR] [--no-start]
       sudo scripts/install.sh --uninstall [--prefix DIR] [--purge]

  --prefix DIR   folder of the program (default: /opt/lookout)
  --no-start     set everything up but do not start the service
  --uninstall    stop the service and remove the program; keep configuration and data
  --purge        with --uninstall: also remove configuration, data and user

With DESTDIR set, all files are written below that folder, and users and services stay unchanged (for packages and tests).
TEXT
}

say() { printf '%s\n' "$*"; }
fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

prefix=/opt/lookout
start=yes
action=install
purge=no
while [ $# -gt 0 ]; do
  case $1 in
    --prefix)
      [ $# -gt 1 ] || fail '--prefix needs a folder.'
      prefix=$2
      shift
      ;;
    --no-start) start=no ;;
    --uninstall) action=uninstall ;;
    --purge) purge=yes ;;
    -h | --help)
      usage
      exit
      ;;
    *)
      usage >&2
      fail "unknown option $1"
      ;;
  esac
  shift
done
[ "$action" = uninstall ] || [ "$purge" = no ] || fail '--purge requires --uninstall.'
[[ $prefix =~ ^(/[A-Za-z0-9._+-]+)+$ ]] ||
  fail "--prefix: expected an absolute folder of letters, digits and . _ + -, found \"$prefix\"."

dest=${DESTDIR:+$(realpath -m "$DESTDIR")}
[ -n "$dest" ] || [ "$(id -u)" = 0 ] || fail 'this needs root. Try: sudo scripts/install.sh'

source=$(dirname "$(dirname "$(readlink -f "$0")")")
app=$dest$prefix
unit=$dest/etc/systemd/system/lookout.service
sysusers=$dest/etc/sysusers.d/lookout.conf
tmpfiles=$dest/etc/tmpfiles.d/lookout.conf
config=$dest/etc/lookout
data=$dest/var/lib/lookout
command=$dest/usr/local/bin/lookout

# Whether systemd runs on this machine and this is a real installation.
live() { [ -z "$dest" ] && [ -d /run/systemd/system ]; }

# Refuses a folder that something else uses.
check_folder() {
  if [ -e "$app" ] && ! grep -qs '"name": "lookout"' "$app/package.json"; then
    fail "$app exists and does not belong to Lookout, so it stays unchanged. Choose another --prefix."
  fi
}

# Puts the whole program into the folder $1: compiled code, the packages it needs at run time, its own Node.js.
stage() {
  local target=$1 arch other node
  case $(uname -m) in
    x86_64) arch=x64 other=arm64 ;;
    aarch64) arch=arm64 other=x64 ;;
    *) fail "Lookout runs on 64-bit ARM and x86, not on $(uname -m)." ;;
  esac
  node=$source/node_modules/node-linux-$arch/bin/node
  [ -x "$node" ] || node=$source/bin/node # when an installed Lookout installs itself again
  [ -x "$node" ] || fail "the npm packages are missing. First run, as your own user: (cd $source && npm ci)"

  rm -rf "$target"
  mkdir -p "$target/bin"
  cp "$node" "$target/bin/node"
  cp "$source/systemd/lookout.sh" "$target/bin/lookout"
  cp "$source/scripts/daemon" "$target/bin/daemon"
  (cd "$source" && cp -r config docs models systemd ./*.md LICENSE package.json package-lock.json "$target/")
  mkdir "$target/scripts"
  cp "$source/scripts/install.sh" "$source/scripts/daemon" "$target/scripts/"
  if [ -d "$source/node_modules/typescript" ]; then
    "$node" "$source/node_modules/typescript/bin/tsc" --project "$source/tsconfig.build.json" --noCheck \
      --outDir "$target/dist"
  else
    cp -r "$source/dist" "$target/"
  fi

  # The lock file marks packages that only developers need. Binaries for other machines are left out, too.
  (cd "$source" && "$node" --eval '
    const { packages } = require("./package-lock.json");
    for (const [path, { dev }] of Object.entries(packages)) {
      const wanted = /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && !path.startsWith("node_modules/node-linux-");
      if (wanted && !dev && require("node:fs").existsSync(path)) console.log(path);
    }' |
    tar --create --exclude='node_modules/better-sqlite3/deps' --exclude='prebuilds/*darwin-*' \
      --exclude='prebuilds/*win32-*' --exclude='prebuilds/*musl*' --exclude="prebuilds/*linux-$other*" \
      --exclude='prebuilds/*linux-arm' \
      --exclude='napi-v*/darwin' --exclude='napi-v*/win32' --exclude="napi-v*/linux/$other" --files-from=-) |
    tar --extract --no-same-owner --directory="$target"
  chmod -R u=rwX,go=rX "$target"
  chmod 755 "$target"/bin/* "$target"/scripts/*
}

install_lookout() {
  check_folder
  if { [ -e "$command" ] || [ -L "$command" ]; } && [ "$(readlink "$command")" != "$prefix/bin/lookout" ]; then
    fail "$command exists and does not belong to Lookout; remove it first."
  fi
  trap 'rm -rf "$app.new"' EXIT
  stage "$app.new"

  # From here on only short steps: the old program is replaced as a whole.
  if live && systemctl --quiet is-active lookout.service; then systemctl stop lookout.service; fi
  rm -rf "$app"
  mv "$app.new" "$app"
  mkdir -p "$(dirname "$unit")" "$(dirname "$sysusers")" "$(dirname "$tmpfiles")" "$(dirname "$command")" "$config"
  ln -sfn "$prefix/bin/lookout" "$command"
  sed "s|/opt/lookout/|$prefix/|" "$source/systemd/lookout.service" >"$unit"
  cp "$source/systemd/lookout.sysusers" "$sysusers"
  cp "$source/systemd/lookout.tmpfiles" "$tmpfiles"

  local kept='kept unchanged'
  if [ ! -e "$config/lookout.yaml" ]; then
    cp "$source/config/lookout.yaml" "$config/lookout.yaml"
    kept='new; edit it'
  fi
  if [ -z "$dest" ]; then
    systemd-sysusers "$sysusers"
    systemd-tmpfiles --create "$tmpfiles"
  fi

  say "Lookout $(sed -n 's/^  "version": "\(.*\)",$/\1/p' "$app/package.json") is installed in $app."
  say "  configuration  $config/lookout.yaml ($kept)"
  say "  cameras        lookout cameras"
  if [ -z "$dest" ] && ! command -v ffmpeg >/dev/null; then
    say '  note           ffmpeg is not installed; USB and network cameras need it: sudo apt install ffmpeg'
  fi
  say "  undo           sudo $prefix/scripts/install.sh --uninstall"
  start_lookout
}

start_lookout() {
  live || return 0
  systemctl daemon-reload
  if [ "$start" = no ]; then
    say '  start          sudo systemctl enable --now lookout'
    return
  fi
  systemctl enable --quiet lookout.service
  if systemctl restart lookout.service 2>/dev/null; then
    say '  log            journalctl -u lookout -f'
  else
    journalctl "_SYSTEMD_INVOCATION_ID=$(systemctl show --property=InvocationID --value lookout.service)" \
      --lines 15 --no-pager --output cat >&2 || true
    fail 'Lookout is installed but does not start; the log lines above show the reason. When it is fixed: sudo systemctl restart lookout'
  fi
}

uninstall_lookout() {
  check_folder
  if live && [ -e "$unit" ]; then systemctl disable --quiet --now lookout.service; fi
  if [ "$(readlink "$command")" = "$prefix/bin/lookout" ]; then rm "$command"; fi
  rm -rf "$app" "$unit" "$sysusers" "$tmpfiles"
  if live; then
    systemctl daemon-reload
    systemctl reset-failed lookout.service 2>/dev/null || true
  fi
  if [ "$purge" = yes ]; then
    rm -rf "$config" "$data" "$unit.d"
    if [ -z "$dest" ] && id lookout >/dev/null 2>&1; then userdel lookout; fi
    say 'Removed Lookout, its configuration, its data and its user.'
  else
    say "Removed Lookout. Its configuration in $config and its data in $data are still there;"
    say "to remove them, too: sudo rm -r $config $data"
  fi
}

"${action}_lookout"
