# shellcheck shell=bash
# What the scripts plan, apply and drift share: how to talk to GitHub or GitLab. Sourced by them; bash, git, curl and jq.
#
# Titles, names and comments of others are data here: they get into files and into jq, never into a command.
# shellcheck disable=SC2034 # what the scripts use
set -euo pipefail

# Files of the project may look like a repository, with a configuration of somebody's choice.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.bareRepository GIT_CONFIG_VALUE_0=explicit
keyform=$(command -v -- "${KEYFORM:-keyform}") || {
  echo "error: there is no ${KEYFORM:-keyform} on the PATH" >&2
  exit 1
}
keyform=$(realpath -- "$keyform")
project=${KEYFORM_DIR:-.}
work=$(mktemp -d)

# fail CODE MESSAGE HELP...: nothing more is done.
fail() {
  local code=$1
  printf 'error: %s\n' "$2" >&2
  shift 2
  [ $# -eq 0 ] || printf '  help: %s\n' "$@" >&2
  exit "$code"
}

for tool in curl jq git; do
  command -v "$tool" >/dev/null || fail 1 "$tool is missing on this runner"
done
case $project in
  *[!A-Za-z0-9._/-]* | /* | *..*) fail 1 "KEYFORM_DIR is not a folder of this repository: $project" ;;
esac
root=$(pwd -P)
cd -- "$project" || fail 1 "there is no folder $project"
case "$(pwd -P)/" in
  "$root"/*) ;;
  *) fail 1 "$project leads out of this repository" ;;
esac

if [ -n "${GITHUB_ACTIONS:-}" ]; then
  forge=github
  api=${GITHUB_API_URL:-https://api.github.com}
  token=${KEYFORM_FORGE_TOKEN:-}
  bot=${KEYFORM_BOT:-github-actions[bot]}
  commit=${GITHUB_SHA:?}
elif [ -n "${GITLAB_CI:-}" ]; then
  forge=gitlab
  api=${CI_API_V4_URL:?}
  token=${KEYFORM_GITLAB_TOKEN:-}
  bot=${KEYFORM_BOT:-}
  commit=${CI_COMMIT_SHA:?}
else
  fail 1 "this is neither a GitHub nor a GitLab pipeline" "keyform plan, apply and drift need no script"
fi
# Nothing that is started from here on gets it, unless it is told.
unset KEYFORM_FORGE_TOKEN KEYFORM_GITLAB_TOKEN
case $api in
  https://* | http://127.0.0.1:* | http://localhost:*) ;;
  *) fail 1 "the token for $forge goes to https only, and this is $api" ;;
esac
case $token in
  *[!A-Za-z0-9._=-]*) fail 1 "the token for $forge has characters that no token has" ;;
esac

have_key() { [ -n "${PUBNUB_API_KEY:-}${PUBNUB_API_KEY_FILE:-}" ]; }

# ask METHOD PATH [FILE]: the answer's body is in $work/answer, its status in $status; 000 where none came. The token goes to curl
# through a pipe: arguments are for everybody to see.
ask() {
  local header='Authorization: Bearer' again=() body=()
  [ "$forge" = github ] || header='PRIVATE-TOKEN:'
  # What makes something is sent once.
  [ "$1" = POST ] || again=(--retry 3 --retry-max-time 60)
  [ -z "${3:-}" ] || body=(--header 'Content-Type: application/json' --data-binary "@$3")
  status=$(printf 'header = "%s %s"\n' "$header" "$token" |
    curl --disable --config - --silent --show-error --max-time 30 "${again[@]}" "${body[@]}" --header 'Accept: application/json' \
      --request "$1" --output "$work/answer" --write-out '%{http_code}' "$api$2") || status=000
}

# asked WHAT: the last answer was a good one, or this ends.
asked() {
  case $status in
    2??) return 0 ;;
    401 | 403) fail 1 "$forge does not let this job $1 (status $status)" "$(permission)" ;;
    404 | 410) fail 1 "$forge has nothing to $1: it is gone, or this job may not see it (status $status)" "$(permission)" ;;
    *) fail 1 "$forge did not $1 (status $status)" "run the job again; what was planned or applied is in its log" ;;
  esac
}

permission() {
  if [ "$forge" = github ]; then
    echo "the job needs 'permissions: pull-requests: write' (plan, apply) or 'issues: write' (drift), and the action its token"
  else
    echo "KEYFORM_GITLAB_TOKEN has to be a project access token with the scope api: CI_JOB_TOKEN cannot write notes or issues"
  fi
}

# On GitLab the author of what this pipeline writes is whoever the token belongs to.
know_bot() {
  [ -z "$bot" ] || return 0
  ask GET /user
  asked "tell who the token belongs to"
  bot=$(jq -r .username "$work/answer")
}

marker() { printf '<!-- keyform %s: %s -->' "$1" "$project"; }

github_repo() { printf '/repos/%s' "${GITHUB_REPOSITORY:?}"; }
gitlab_project() { printf '/projects/%s' "${CI_PROJECT_ID:?}"; }

# find_comment NUMBER KIND: its id is in $comment, its text in $work/comment; empty if there is none. Only what this bot wrote counts:
# anybody can write a comment that begins like one.
find_comment() {
  local page path
  know_bot
  comment=
  for page in $(seq 50); do
    if [ "$forge" = github ]; then path="$(github_repo)/issues/$1/comments"; else path="$(gitlab_project)/merge_requests/$1/notes"; fi
    ask GET "$path?per_page=100&page=$page"
    asked "read the comments"
    jq --arg bot "$bot" --arg marker "$(marker "$2")" \
      'map(select((.user.login // .author.username) == $bot and (.body | startswith($marker)))) | first // empty' "$work/answer" >"$work/found"
    if [ -s "$work/found" ]; then
      comment=$(jq -r .id "$work/found")
      jq -r .body "$work/found" >"$work/comment"
      return 0
    fi
    [ "$(jq length "$work/answer")" -eq 100 ] || return 0
  done
}

# put_comment NUMBER KIND FILE: in the place of the one that is there.
put_comment() {
  local base edit
  if [ "$forge" = github ]; then
    base="$(github_repo)/issues/$1/comments" edit="$(github_repo)/issues/comments" change=PATCH
  else
    base="$(gitlab_project)/merge_requests/$1/notes" edit=$base change=PUT
  fi
  find_comment "$1" "$2"
  jq -n --rawfile body "$3" '{body: $body}' >"$work/body.json"
  if [ -n "$comment" ]; then
    ask "$change" "$edit/$comment" "$work/body.json"
    # Somebody deleted it meanwhile.
    if [ "$status" != 404 ]; then
      asked "change the comment"
      return 0
    fi
  fi
  ask POST "$base" "$work/body.json"
  asked "write a comment"
}

# tell ARGS...: runs keyform with --format github. Annotations and errors are in the job's log, Markdown is in $work/summary, and what it
# gives to the next steps in $work/outputs; on GitHub they get it too. Its exit code is in $code. A signal goes on to keyform, which ends
# in order: what was begun is recorded.
tell() {
  local child stopped ended
  : >"$work/summary"
  : >"$work/outputs"
  GITHUB_STEP_SUMMARY=$work/summary GITHUB_OUTPUT=$work/outputs "$keyform" "$@" --format github >"$work/annotations" &
  child=$!
  stopped=
  trap 'stopped=true; kill -TERM "$child" 2>/dev/null || true' INT TERM
  wait "$child" && code=0 || code=$?
  while [ -n "$stopped" ]; do
    stopped=
    # 127: it had ended before the signal came.
    wait "$child" && ended=0 || ended=$?
    [ "$ended" -eq 127 ] || code=$ended
  done
  trap - INT TERM
  if [ "$forge" = github ]; then
    cat "$work/annotations"
    [ -z "${GITHUB_STEP_SUMMARY:-}" ] || cat "$work/summary" >>"$GITHUB_STEP_SUMMARY"
    [ -z "${GITHUB_OUTPUT:-}" ] || cat "$work/outputs" >>"$GITHUB_OUTPUT"
  else
    cat "$work/summary"
  fi
}

# An output of the last `tell`, of one line.
output() { sed -n "/^$1<</{n;p;q}" "$work/outputs"; }

# The pipeline's own page.
run_page() {
  if [ "$forge" = github ]; then
    printf '%s/%s/actions/runs/%s' "${GITHUB_SERVER_URL:-https://github.com}" "${GITHUB_REPOSITORY:?}" "${GITHUB_RUN_ID:-0}"
  else
    printf '%s' "${CI_JOB_URL:-}"
  fi
}
