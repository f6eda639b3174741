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
  [spec]="--bundle --rootless"
  [start]="" [state]="" [pause]="" [resume]="" [features]=""
)
_nucleus_with_value=" --root --log --log-format --cgroup-manager --rootless --bundle -b --config -f --console-socket
  --pidfd-socket --pid-file --preserve-fds --process -p --cwd --env -e --user -u --additional-gids -g --cap -c --cgroup
  --process-label --apparmor --format "

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
      # spec's --rootless is a switch, list's and delete's -f are not create's.
      if [[ $_nucleus_with_value == *[[:space:]]"$word"[[:space:]]* && "$command$word" != spec--rootless &&
        "$command$word" != delete-f ]]; then
        ((i++))
      fi
    elif [[ -z $command ]]; then
      command=$word
    else
      ((arguments++))
    fi
  done

  case "$command$previous" in
    spec--rootless | delete-f) ;;
    --log-format) _nucleus_reply -W "text json"; return ;;
    --cgroup-manager) _nucleus_reply -W "cgroupfs systemd disabled"; return ;;
    --rootless) _nucleus_reply -W "true false auto"; return ;;
    list--format | list-f | ps--format | ps-f) _nucleus_reply -W "table json"; return ;;
    *--bundle | *-b | --root) compopt -o filenames; _nucleus_reply -d; return ;;
    *--config | *-f | *-socket | *--pid-file | *--process | exec-p | --log)
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
      _nucleus_reply -W "create start state kill delete run exec list ps pause resume spec features"
    fi
  elif [[ $current == -* ]]; then
    _nucleus_reply -W "${_nucleus_options[$command]} --help"
  elif ((arguments == 0)); then
    case $command in
      start | state | kill | delete | exec | ps | pause | resume)
        _nucleus_reply -W "$(nucleus "${root[@]}" list --quiet 2>/dev/null)" ;;
    esac
  elif ((arguments == 1)) && [[ $command == kill ]]; then
    _nucleus_reply -W "HUP INT QUIT KILL USR1 USR2 TERM CONT STOP"
  fi
}
complete -F _nucleus nucleus
