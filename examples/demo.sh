# shellcheck shell=bash
# What the demonstrations in drift/, takeover/ and rotation/ share. Sourced by them. They take the `keyform` of the PATH, or the one
# that `cargo build` left here.
#
# Each has a folder of its own that is thrown away, a sandbox in the place of the account, stopped at the end by its process id, and
# secrets in sealed files (the sink `age`), which an SSH key of the moment can open. Nothing of it reaches a real account or keyring.
set -euo pipefail

if ! command -v keyform >/dev/null; then
  root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
  export PATH="$root/target/release:$root/target/debug:$PATH"
fi
for tool in keyform curl ssh-keygen; do
  command -v "$tool" >/dev/null || {
    printf '%s: %s is missing\n' "$0" "$tool" >&2
    exit 1
  }
done

work=$(mktemp -d)
account=
finish() {
  if [ -n "$account" ]; then
    kill "$account" 2>/dev/null || true
    # It writes its data down before it ends.
    wait "$account" 2>/dev/null || true
  fi
  rm -rf -- "$work"
}
trap finish EXIT

ssh-keygen -q -t ed25519 -N '' -C demo -f "$work/key"
keyform sandbox --quiet --seed 1 --data "$work/account.json" >"$work/sandbox" &
account=$!
for _ in $(seq 100); do
  grep -q '^listening on ' "$work/sandbox" && break
  sleep 0.1
done

unset PUBNUB_API_KEY_FILE
export PUBNUB_API_KEY=sandbox NO_COLOR=1
KEYFORM_ENDPOINT=$(sed -n 's/^listening on //p' "$work/sandbox")
export KEYFORM_ENDPOINT KEYFORM_AGE_IDENTITY_FILE="$work/key"
recipient=$(cut -d' ' -f1,2 "$work/key.pub")

mkdir "$work/project"
cd "$work/project"

# The head of keyform.toml; what follows is read from stdin.
project() { # NAME
  printf '[project]\nname = "%s"\n\n[secrets]\nsinks = ["age"]\n\n[secrets.age]\nrecipients = ["%s"]\n\n' "$1" "$recipient" >keyform.toml
  cat >>keyform.toml
}

say() { printf '\n# %s\n' "$*"; }

# A command, as it is typed, and what it answers with. Its exit code is told where it is not 0.
run() {
  printf '\n$ %s\n' "$*"
  local code=0
  "$@" 2>&1 || code=$?
  [ "$code" = 0 ] || printf '[exit %s]\n' "$code"
}

# The same for a command that must end with this code.
expect() { # CODE COMMAND...
  local wanted=$1 code=0
  shift
  printf '\n$ %s\n' "$*"
  "$@" 2>&1 || code=$?
  [ "$code" = 0 ] || printf '[exit %s]\n' "$code"
  [ "$code" = "$wanted" ] || exit 1
}

# What somebody does in the portal, past keyform.
portal() { # METHOD PATH BODY
  curl -sS --fail -o /dev/null -X "$1" -H "Authorization: $PUBNUB_API_KEY" -H "PubNub-Version: 2026-03-23" \
    -H "Content-Type: application/json" -d "$3" "$KEYFORM_ENDPOINT$2"
}

# The id of a managed keyset.
id_of() { keyform state show "$1" | sed -n 's/^ *"id": "\(.*\)",*$/\1/p'; }
