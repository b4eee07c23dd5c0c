#!/usr/bin/env bash
# Runs the README's two commands on a machine that has nothing of ours: a minimal Debian root with Node.js and a clone of
# the last commit, once as root and once as another user. Needs root and mmdebstrap; takes about half an hour.
#
#   test/fresh-machine.sh [demo|test]... [root|user]...     default: all four
#
# Only the network's settings are taken over from this machine: package sources, proxies, certificates, npm's configuration.
set -euo pipefail
cd "$(dirname "$0")/.."
project=$PWD
logs=$project/.cache/fresh-machine
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")

[ "$(id -u)" -eq 0 ] || { echo "Cannot make a Debian root: run this as root." >&2; exit 1; }
command -v mmdebstrap >/dev/null || { echo "Cannot find mmdebstrap: install Debian's package of that name." >&2; exit 1; }
mkdir -p "$logs"

commands=() users=()
for word; do
  case $word in
    demo | test) commands+=("$word") ;;
    root | user) users+=("$word") ;;
    *) echo "Unknown word \"$word\": use demo, test, root, user." >&2; exit 1 ;;
  esac
done
[ ${#commands[@]} -gt 0 ] || commands=(demo test)
[ ${#users[@]} -gt 0 ] || users=(root user)

# The files that say how this machine reaches its package sources.
take_over_network() {
  local root=$1 file
  cp /etc/resolv.conf /etc/hosts "$root/etc/"
  rm -rf "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d
  for file in /etc/apt/{sources.list,sources.list.d,auth.conf,auth.conf.d,trusted.gpg.d,keyrings}; do
    [ -e "$file" ] && cp -a "$file" "$root/etc/apt/"
  done
  for file in /etc/apt/apt.conf.d/*; do
    if grep -q '^ *Acquire::' "$file"; then cp "$file" "$root/etc/apt/apt.conf.d/"; fi
  done
  mkdir -p "$root/etc/ssl/certs" "$root/home/user"
  [ -e /etc/ssl/certs/ca-certificates.crt ] && cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  [ -e ~/.npmrc ] && cp ~/.npmrc "$root/root/" && cp ~/.npmrc "$root/home/user/"
  file=$(npm config get globalconfig)
  if [ -e "$file" ]; then mkdir -p "$root/usr/local/etc" && cp "$file" "$root/usr/local/etc/npmrc"; fi
}

add_node() {
  local root=$1 npm
  npm=$(dirname "$(dirname "$(realpath "$(command -v npm)")")")
  mkdir -p "$root/usr/local/lib/node_modules"
  cp "$(command -v node)" "$root/usr/local/bin/node"
  cp -r "$npm" "$root/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
  ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
}

make_root() {
  local root=$1
  if [ ! -e "$logs/$suite.tar" ]; then
    mmdebstrap --quiet --variant=minbase --include=ca-certificates "$suite" "$logs/unfinished.tar" \
      $(find /etc/apt/sources.list /etc/apt/sources.list.d -name '*.sources' -o -name '*.list' 2>/dev/null)
    mv "$logs/unfinished.tar" "$logs/$suite.tar"
  fi
  tar -C "$root" -xf "$logs/$suite.tar"
  take_over_network "$root"
  add_node "$root"
  echo 'user:x:1000:1000::/home/user:/bin/bash' >>"$root/etc/passwd"
  git clone --quiet "$project" "$root/home/user/clone"
}

# Not a chroot: in one, the kernel refuses user namespaces. Everything mounted is gone with the last process.
inside() {
  local root=$1 user=$2 command=$3 home=/root who=() variables=()
  if [ "$user" = user ]; then
    home=/home/user
    who=(setpriv --reuid=1000 --regid=1000 --clear-groups)
    chown -R 1000:1000 "$root/home/user"
  else
    chown -R 0:0 "$root/home/user"
  fi
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY NODE_EXTRA_CA_CERTS SSL_CERT_FILE; do
    [ -z "${!name:-}" ] || variables+=("$name=${!name}")
  done
  unshare --mount --pid --fork --kill-child sh -ec '
    root=$1; shift
    mount --bind "$root" "$root"
    for folder in dev sys; do mount --rbind "/$folder" "$root/$folder"; done
    mount -t proc proc "$root/proc"
    mkdir "$root/old"
    cd "$root"
    pivot_root . old
    umount -l /old
    cd /home/user/clone
    exec "$@"' sh "$root" "${who[@]}" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME="$home" TERM=dumb "${variables[@]}" bash -c "$command" </dev/null
}

run() {
  local user=$1 command=$2 root log code=0 started=$SECONDS
  log=$logs/$command-$user.log
  root=$(mktemp -d)
  chmod 755 "$root"
  make_root "$root"
  printf '== as %s: npm ci && npm %s; installed before: %s Debian packages, Node.js %s\n' "$user" \
    "${command/demo/run demo}" "$(grep -c '^Package:' "$root/var/lib/dpkg/status")" "$(node --version)"
  inside "$root" "$user" "npm ci && npm ${command/demo/run demo}" >"$log" 2>&1 || code=$?
  grep -E '^(Missing on this machine|Cannot |  [^ ].*: .* \([0-9.]+ s\)$|[0-9]+ passed, |This run was not whole)' "$log" || true
  printf 'exit code %s, %s minutes; all of it is in %s\n' "$code" "$(((SECONDS - started + 30) / 60))" "$log"
  rm -rf --one-file-system "$root"
  [ "$code" -eq 0 ] || failed=1
}

failed=0
for user in "${users[@]}"; do
  for command in "${commands[@]}"; do run "$user" "$command"; done
done
exit "$failed"
