# Completion of nucleus(8) for bash.

# The options that take a value, by command; "global" are those before the command.
declare -gA _nucleus_options=(
  [global]="--root --log --log-format --debug --systemd-cgroup --cgroup-manager --rootless --help --version"
  [create]="--bundle --config --console-socket --pidfd-socket --pid-file --no-pivot --no-new-keyring --preserve-fds"
  [run]="--bundle --config --console-socket --pidfd-socket --pid-file --no-pivot --no-new-keyring --preserve-fds
         --detach --keep --no-subreaper"
  [exec]="--process --cwd --env --tty --user --additional-gids --cap --no-new-privs --detach --console-socket
          --pidfd-socket --pid-file --preserve-fds --cgroup --ignore-paused --process-label --apparmor"
  [kill]="--all --regex"
  [delete]="--force --regex"
  [list]="--format --quiet"
  [ps]="--format"
  [update]="--resources --blkio-weight --cpu-period --cpu-quota --cpu-burst --cpu-share --cpu-rt-period --cpu-rt-runtime
            --cpu-idle --cpuset-cpus --cpuset-mems --memory --memory-reservation --memory-swap --pids-limit
            --l3-cache-schema --mem-bw-schema"
  [events]="--interval --stats"
  [spec]="--bundle --rootless"
  [start]="" [state]="" [pause]="" [resume]="" [features]=""
)
_nucleus_with_value=" --root --log --log-format --cgroup-manager --rootless --bundle -b --config -f --console-socket
  --pidfd-socket --pid-file --preserve-fds --process -p --cwd --env -e --user -u --additional-gids -g --cap -c --cgroup
  --process-label --apparmor --format --interval --resources -r --blkio-weight --cpu-period --cpu-quota --cpu-burst
  --cpu-share --cpu-rt-period --cpu-rt-runtime --cpu-idle --cpuset-cpus --cpuset-mems --memory --memory-reservation
  --memory-swap --pids-limit --l3-cache-schema --mem-bw-schema "

_nucleus_reply() {  # compgen's options
  mapfile -t COMPREPLY < <(compgen "$@" -- "${COMP_WORDS[COMP_CWORD]}")
}

_nucleus() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local command="" root=() arguments=0 word i
  COMPREPLY=()

  # Which command, how many arguments after it, and which state root.
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ $word == -* ]]; then
      if [[ $word == --root ]]; then
        root=(--root "${COMP_WORDS[i + 1]}")
      fi
      # Some are switches of other commands: spec --rootless, delete -f, kill -r.
      if [[ $_nucleus_with_value == *[[:space:]]"$word"[[:space:]]* && "$command$word" != spec--rootless &&
        "$command$word" != delete-[fr] && "$command$word" != kill-r ]]; then
        ((i++))
      fi
    elif [[ -z $command ]]; then
      command=$word
    else
      ((arguments++))
    fi
  done

  case "$command$previous" in
    spec--rootless | delete-[fr] | kill-r) ;;
    --log-format) _nucleus_reply -W "text json"; return ;;
    --cgroup-manager) _nucleus_reply -W "cgroupfs systemd disabled"; return ;;
    --rootless) _nucleus_reply -W "true false auto"; return ;;
    list--format | list-f | ps--format | ps-f) _nucleus_reply -W "table json"; return ;;
    *--bundle | *-b | --root) compopt -o filenames; _nucleus_reply -d; return ;;
    *--config | *-f | *-socket | *--pid-file | *--process | exec-p | --log | *--resources | update-r)
      compopt -o filenames; _nucleus_reply -f; return ;;
    *)
      if [[ $_nucleus_with_value == *[[:space:]]"$previous"[[:space:]]* ]]; then
        return
      fi
      ;;
  esac

  if [[ -z $command ]]; then
    if [[ $current == -* ]]; then
      _nucleus_reply -W "${_nucleus_options[global]}"
    else
      _nucleus_reply -W "create start state kill delete run exec list ps pause resume update events spec features"
    fi
  elif [[ $current == -* ]]; then
    _nucleus_reply -W "${_nucleus_options[$command]} --help"
  elif ((arguments == 0)); then
    case $command in
      start | state | kill | delete | exec | ps | pause | resume | update | events)
        _nucleus_reply -W "$(nucleus "${root[@]}" list --quiet 2>/dev/null)" ;;
    esac
  elif ((arguments == 1)) && [[ $command == kill ]]; then
    _nucleus_reply -W "HUP INT QUIT KILL USR1 USR2 TERM CONT STOP"
  fi
}
complete -F _nucleus nucleus
