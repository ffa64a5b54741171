#!/usr/bin/env bash
# A base image from this machine's own files, for where no image can be pulled: a shell, the usual small programs, Python with its
# standard library, Node, and the libraries that these need. Linux with glibc.
#   docker/base-from-host.sh TAG              for skill-runtime
#   docker/base-from-host.sh TAG --packages   also the packages of this checkout, for the gateway
# NODE and PYTHON name other programs. DEBOOTSTRAP=bookworm takes a fresh minimal Debian instead of copies (needs a mirror, a minute).
set -euo pipefail
tag=${1:?"usage: docker/base-from-host.sh TAG [--packages]"}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$([ -x /usr/bin/python3 ] && echo /usr/bin/python3 || command -v python3)}
node=${NODE:-$(readlink -f "$here/node_modules/.bin/node" || command -v node)}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# Below $root as it lies here; links become what they point to.
take() {
  local path
  for path in "$@"; do
    [ -e "$root$path" ] || { mkdir -p "$root${path%/*}" && cp -L --preserve=mode,timestamps "$path" "$root$path"; }
  done
}
libraries() {
  ldd "$@" 2>/dev/null | grep -oE '/[^ ]+\.so[^ ]*' | grep -v ':$' | sort -u
}

if [ -n "${DEBOOTSTRAP:-}" ]; then
  debootstrap --variant=minbase --include=python3-minimal,python3,ca-certificates "$DEBOOTSTRAP" "$root" >&2
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
else
  mkdir -p "$root"/{usr/{bin,sbin,lib,lib64,local/bin},etc/ssl/certs,dev,proc,sys,run,tmp,var/tmp,root,home,opt,mnt}
  for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
  chmod 1777 "$root/tmp" "$root/var/tmp"
  chmod 700 "$root/root"
  programs=(sh bash env ls cat cp mv rm mkdir rmdir ln chmod chown mknod touch stat readlink realpath basename dirname pwd echo printf
    test true false head tail wc sort uniq cut tr tee seq date sleep timeout id whoami uname df du dd od sha256sum md5sum base64 split
    mktemp expr nproc sync yes comm join paste fold nl tac shuf factor find xargs grep sed awk mawk gawk diff tar gzip ps kill mount umount
    unshare setsid nohup hostname getent ldd)
  for program in "${programs[@]}"; do
    path=$(type -P "$program" || true)
    [ -z "$path" ] || take "/usr/bin/$program" 2>/dev/null || { cp -L "$path" "$root/usr/bin/$program"; }
  done
  # Python: its program where its prefix says it lives, and the standard library without what only developers of Python need.
  real=$(readlink -f "$("$python" -I -c 'import sys; print(sys.executable)')")
  take "$real"
  [ -e "$root/usr/bin/python3" ] || ln -s "$real" "$root/usr/bin/python3"
  stdlib=$("$python" -I -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
  mkdir -p "$root$stdlib"
  tar -C "$stdlib" --exclude=./test --exclude=./idlelib --exclude=./tkinter --exclude=./turtledemo --exclude=./lib2to3 --exclude=./ensurepip \
    --exclude=./site-packages --exclude=./dist-packages --exclude='./config-*' -ch . | tar -C "$root$stdlib" -x
  mapfile -t linked < <(find "$root/usr/bin" "$root$stdlib" -type f \( -perm /111 -o -name '*.so' \); echo "$node"; echo "$real")
  mapfile -t needed < <(libraries "${linked[@]}")
  # Name look-ups load these by name.
  mapfile -t -O "${#needed[@]}" needed < <(ls /lib/*/libnss_{files,dns}.so.2 /lib/*/libresolv.so.2 2>/dev/null || true)
  take "${needed[@]}"
  for path in /etc/ssl/certs/ca-certificates.crt /usr/share/zoneinfo /usr/lib/locale/C.utf8; do
    [ -e "$path" ] && mkdir -p "$root${path%/*}" && cp -rL "$path" "$root${path%/*}/" || true
  done
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
  printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$root/etc/nsswitch.conf"
fi
mkdir -p "$root/usr/local/bin"
cp -L "$node" "$root/usr/local/bin/node"
if [ "${2:-}" = --packages ]; then
  mkdir -p "$root/usr/local/share/openclaw"
  # Those that the lock file does not call development's.
  (cd "$here" && "$node" -e '
    const { existsSync, readFileSync } = require("node:fs")
    const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"))
    for (const [path, { dev }] of Object.entries(packages)) if (path !== "" && !dev && existsSync(path)) console.log(path)
  ') >"$root/.list"
  tar -C "$here" -ch -T "$root/.list" | tar -C "$root/usr/local/share/openclaw" -x
  rm "$root/.list"
fi
find "$root" -xdev -perm /6000 -type f -exec chmod a-s {} +
tar -C "$root" --owner=0 --group=0 --numeric-owner -c . |
  docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8' - "$tag"
