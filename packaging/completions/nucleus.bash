# Completion of nucleus(8) for bash.

# The options that take a value, by command; "global" are those before the command.
declare -gA _nucleus_options=(
  [global]="--root --log --log-format --debug --events --systemd-cgroup --cgroup-manager --rootless --help --version"
  [create]="--bundle --config --config-digest --console-socket --pidfd-socket --pid-file --no-pivot --no-new-keyring --preserve-fds
          --seccomp-trace"
  [run]="--bundle --config --config-digest --console-socket --pidfd-socket --pid-file --no-pivot --no-new-keyring --preserve-fds
         --seccomp-trace --detach --keep --no-subreaper"
  [exec]="--process --cwd --env --tty --user --additional-gids --cap --no-new-privs --detach --console-socket
          --pidfd-socket --pid-file --preserve-fds --cgroup --ignore-paused --process-label --apparmor"
  [kill]="--all --regex"
  [delete]="--force --regex"
  [list]="--format --quiet"
  [ps]="--format"
  [update]="--resources --blkio-weight --cpu-period --cpu-quota --cpu-burst --cpu-share --cpu-rt-period --cpu-rt-runtime
            --cpu-idle --cpuset-cpus --cpuset-mems --memory --memory-reservation --memory-swap --pids-limit
            --l3-cache-schema --mem-bw-schema"
  [events]="--interval --stats --json --head"
  [checkpoint]="--image-path --work-path --manage-cgroups-mode --empty-ns --tcp-established --ext-unix-sk --shell-job
                --file-locks --auto-dedup --lazy-pages --parent-path --page-server --status-fd --leave-running --pre-dump
                --tcp-skip-in-flight --link-remap"
  [restore]="--image-path --work-path --manage-cgroups-mode --empty-ns --tcp-established --ext-unix-sk --shell-job
             --file-locks --auto-dedup --lazy-pages --bundle --console-socket --pid-file --lsm-profile
             --lsm-mount-context --detach --no-subreaper --no-pivot"
  [spec]="--bundle --rootless"
  [start]="" [state]="" [pause]="" [resume]="" [features]="" [policy]=""
  [attest]="--output --closure --store"
  [seccomp]="--output"
  [learn]="--bundle --output"
  [explain]="--json --config --id" [doctor]="--json"
  [egress]="--json --follow --policy"
  [sandbox]="--rootfs --rootfs-overlay --workspace --workspace-exec --volume --mount-config --env --env-fd --secret
            --memory --cpus --pids --timeout --allow --dns --broker --publish --network --runtime --user --gpu
            --cdi-dir --seccomp --landlock --egress --hostname --cwd --name --no-terminal --learn --print-bundle
            --config --detach --terminal --interactive --restart --stop-signal --stop-timeout --log-size
            --log-files --health-cmd --health-start-period --health-interval --health-retries --health-timeout"
  [logs]="--follow --tail --timestamps --json"
  [stop]="--timeout --keep"
  [stats]="--json --follow --interval"
  [attach]="--no-stdin --detach-keys"
  [health]="--json"
  [compose]="--file --json --follow --tail --volumes"
)
_nucleus_with_value=" --closure --root --log --log-format --cgroup-manager --rootless --events --head --id --policy --bundle -b --config -f --config-digest --console-socket
  --pidfd-socket --pid-file --preserve-fds --process -p --cwd --env -e --user -u --additional-gids -g --cap -c --cgroup
  --process-label --apparmor --format --interval --resources -r --blkio-weight --cpu-period --cpu-quota --cpu-burst
  --cpu-share --cpu-rt-period --cpu-rt-runtime --cpu-idle --cpuset-cpus --cpuset-mems --memory --memory-reservation
  --memory-swap --pids-limit --l3-cache-schema --mem-bw-schema --output -o --image-path --work-path --manage-cgroups-mode
  --empty-ns --parent-path --page-server --status-fd --lsm-profile --lsm-mount-context --seccomp-trace --rootfs --workspace --volume --mount-config --env-fd --secret --cpus --pids --timeout --allow --dns
  --broker --publish --network --runtime --gpu --cdi-dir --seccomp --landlock --egress --hostname --name
  --learn --print-bundle --restart --stop-signal --stop-timeout --log-size --log-files --health-cmd --health-start-period --health-interval --health-retries --health-timeout
  --tail -n --detach-keys "

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
        "$command$word" != delete-[fr] && "$command$word" != kill-r && "$command$word" != logs-f && "$command$word" != stats-f ]]; then
        ((i++))
      fi
    elif [[ -z $command ]]; then
      command=$word
    else
      ((arguments++))
    fi
  done

  case "$command$previous" in
    spec--rootless | delete-[fr] | kill-r | logs-f | stats-f) ;;
    --log-format) _nucleus_reply -W "text json"; return ;;
    --cgroup-manager) _nucleus_reply -W "cgroupfs systemd disabled"; return ;;
    --rootless) _nucleus_reply -W "true false auto"; return ;;
    list--format | list-f | ps--format | ps-f) _nucleus_reply -W "table json"; return ;;
    *--manage-cgroups-mode) _nucleus_reply -W "soft full strict ignore"; return ;;
    *--empty-ns) _nucleus_reply -W "network"; return ;;
    sandbox--rootfs | sandbox--learn | sandbox--print-bundle | sandbox--cdi-dir | sandbox--workspace) compopt -o filenames; _nucleus_reply -d; return ;;
    sandbox--seccomp | sandbox--landlock | sandbox--egress) compopt -o filenames; _nucleus_reply -f; return ;;
    compose--file | compose-f) compopt -o filenames; _nucleus_reply -f; return ;;
    sandbox--restart) _nucleus_reply -W "no on-failure always"; return ;;
    sandbox--network) _nucleus_reply -W "none bridge userspace"; return ;;
    sandbox--runtime) _nucleus_reply -W "native gvisor"; return ;;
    *--bundle | *-b | --root | *--image-path | *--work-path | learn--output | learn-o) compopt -o filenames; _nucleus_reply -d; return ;;
    *--config | *-f | *-socket | *--pid-file | *--process | exec-p | --log | --events | *--resources | update-r | attest--output | attest-o | attest--closure | *--seccomp-trace | seccomp--output | seccomp-o)
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
      _nucleus_reply -W "create start state kill delete run exec list ps pause resume update events checkpoint restore spec features
        attest policy seccomp learn explain doctor egress sandbox logs stop stats attach health compose"
    fi
  elif [[ $current == -* ]]; then
    _nucleus_reply -W "${_nucleus_options[$command]} --help"
  elif ((arguments == 0)); then
    case $command in
      start | state | kill | delete | exec | ps | pause | resume | update | events | checkpoint | stats)
        _nucleus_reply -W "$(nucleus "${root[@]}" list --quiet 2>/dev/null)" ;;
      logs | stop | attach | health)
        _nucleus_reply -W "$(nucleus "${root[@]}" health 2>/dev/null | awk 'NR > 1 { print $1 }')" ;;
      attest) _nucleus_reply -W "create verify" ;;
      policy) _nucleus_reply -W "pin verify" ;;
      compose) _nucleus_reply -W "validate plan up ps logs down" ;;
      seccomp) _nucleus_reply -W "generate" ;;
      explain) compopt -o filenames; _nucleus_reply -d ;;
    esac
  elif [[ $command == policy || $command == events || $command == seccomp ]]; then
    compopt -o filenames
    _nucleus_reply -f
  elif [[ $command == attest ]]; then
    compopt -o filenames
    if ((arguments == 1)); then _nucleus_reply -d; else _nucleus_reply -f; fi
  elif ((arguments == 1)) && [[ $command == kill ]]; then
    _nucleus_reply -W "HUP INT QUIT KILL USR1 USR2 TERM CONT STOP"
  fi
}
complete -F _nucleus nucleus
