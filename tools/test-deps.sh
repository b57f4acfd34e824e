#!/usr/bin/env bash
# Installs the Debian packages that the tests need and that are not there yet.
set -euo pipefail
packages=()
need() { command -v "$1" >/dev/null 2>&1 || packages+=("$2"); }
need containerd containerd
need runc runc
need nft nftables
need ip iproute2
need busybox busybox-static
need docker-registry docker-registry
need zstd zstd
need dbus-daemon dbus
[ -e /lib/systemd/systemd-logind ] || packages+=(systemd)
[ -e /usr/lib/x86_64-linux-gnu/libnftables.so.1 ] || [ -e /usr/lib/aarch64-linux-gnu/libnftables.so.1 ] || packages+=(libnftables1)
file -L "$(command -v busybox 2>/dev/null || echo /nonexistent)" 2>/dev/null | grep -q 'statically linked' || packages+=(busybox-static)
# Images are built of packages that apt can download (tests/images.py): it needs their lists.
apt-cache show redis-server 2>/dev/null | grep -q . || [ "$(id -u)" -ne 0 ] || apt-get update -qq
[ ${#packages[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "the tests need: ${packages[*]} (apt-get install them as root)" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# The tests start what they need themselves: keep the packages from starting services.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d.minikube && chmod +x /usr/sbin/policy-rc.d.minikube
[ -e /usr/sbin/policy-rc.d ] || { mv /usr/sbin/policy-rc.d.minikube /usr/sbin/policy-rc.d; made=1; }
apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
[ -z "${made:-}" ] || rm -f /usr/sbin/policy-rc.d
rm -f /usr/sbin/policy-rc.d.minikube
