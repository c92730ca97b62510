# shellcheck shell=bash
# Shared by the scripts of this folder; sourced, never run.
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
repo=$(realpath "$here/../..")

# Where tools are kept between runs, and where one set of running systems lives.
TRIPLINE_TOOLS=${TRIPLINE_TOOLS:-$repo/run/tools}
TRIPLINE_RUN=${TRIPLINE_RUN:-/tmp/tripline-systems-$(id -u)}

say() { echo "systems: $*" >&2; }
die() {
  say "$*"
  exit 1
}
root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# free_ports N: N different ports that nobody listens on now, below those that the kernel gives to connections: until a
# system listens, hundreds of them come and go.
free_ports() {
  python3 - "$1" <<'P'
import random, socket, sys
held = []
while len(held) < int(sys.argv[1]):
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", random.randint(20000, 32000)))
        held.append(s)
    except OSError:
        s.close()
print(*(s.getsockname()[1] for s in held))
P
}

# When process PID began, in ticks since boot: with it a number that was given to another process is told apart.
began() { cut -d ' ' -f 22 "/proc/$1/stat" 2>/dev/null || true; }

# start NAME COMMAND…: runs the command in a process group of its own, with its output in a log.
start() {
  local name=$1
  shift
  mkdir -p "$TRIPLINE_RUN/log" "$TRIPLINE_RUN/pid"
  setsid "$@" </dev/null >"$TRIPLINE_RUN/log/$name" 2>&1 &
  echo "$! $(began $!)" >"$TRIPLINE_RUN/pid/$name"
}

alive() {
  local pid since
  read -r pid since <"$TRIPLINE_RUN/pid/$1" && [ -n "$since" ] && [ "$(began "$pid")" = "$since" ]
}

# stop NAME: ends the whole process group, by force after ten seconds.
stop() {
  local pid
  alive "$1" || { rm -f "$TRIPLINE_RUN/pid/$1"; return 0; }
  read -r pid _ <"$TRIPLINE_RUN/pid/$1"
  kill -TERM -- "-$pid" 2>/dev/null || true
  for _ in $(seq 100); do
    kill -0 -- "-$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL -- "-$pid" 2>/dev/null || true
  rm -f "$TRIPLINE_RUN/pid/$1"
}

# await NAME SECONDS COMMAND…: until the command succeeds; fails when the time is over or the system has died.
await() {
  local name=$1 limit=$2 begin=$SECONDS
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ! alive "$name" || [ $((SECONDS - begin)) -ge "$limit" ]; then
      tail -n 20 "$TRIPLINE_RUN/log/$name" >&2 || true
      die "$name is not ready after $((SECONDS - begin)) s; its log is above"
    fi
    sleep 0.2
  done
  say "$name is ready after $((SECONDS - begin)) s"
}

answers() { curl --silent --fail --max-time 5 --output /dev/null "$@"; }
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }
