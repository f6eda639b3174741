"""Of the tests that are run with both backends (report.py gvisor:PATH): those that cannot hold inside of gVisor as they are
written, and why. They are run nevertheless: one that does not fail, or that nucleus refuses with other words, is a failure."""

import re
import sys

# What nucleus itself says before anything runs.
REFUSALS = re.compile(r"nucleus: (?:exec failed: )?(?:dev\.nucleus\.runtime gvisor: (?P<key>.+)|(?P<other>"
                      r"(?:gVisor starts processes in a container that runs alone"
                      r"|--preserve-fds: runsc passes no descriptors"
                      r"|--cgroup: all of a sandbox is in one cgroup"
                      r"|seccomp: runsc \S+ starts processes of exec without"
                      r"|container paused: gVisor (?:takes no signal but KILL|tells nothing) meanwhile"
                      r"|checkpoint: not for a container that gVisor carries).*))")

# By test, MODULE/CLASS.TEST: what nucleus says.
REFUSED = {name: reason for names, reason in (
    ("devices/Listed.test_block devices/Listed.test_character devices/Listed.test_default_mode_and_owner "
     "devices/Listed.test_existing_file devices/Listed.test_existing_link_is_not_followed "
     "devices/Listed.test_existing_of_other_type devices/Listed.test_existing_that_matches "
     "devices/Listed.test_existing_with_other_numbers devices/Listed.test_fifo "
     "devices/Listed.test_in_place_of_a_default devices/Listed.test_large_numbers "
     "devices/Listed.test_outside_of_dev devices/Listed.test_unbuffered_character "
     "devices/Rules.test_allowed_by_number devices/Rules.test_allowed_to_read_only devices/Rules.test_any_minor "
     "devices/Rules.test_denied_device_stays_denied_under_another_name devices/Rules.test_everything "
     "devices/Rules.test_listed_device_is_not_allowed_by_being_listed devices/Rules.test_no_rules_at_all "
     "devices/Rules.test_nothing_but_the_defaults devices/Rules.test_order_counts "
     "devices/Rules.test_other_type_is_not_meant devices/Rules.test_same_for_an_exec",
     "linux.devices: gVisor has no devices of the host"),
    ("exec/Confined.test_as_an_init_with_everything exec/ProcessFile.test_all_of_it process/Scheduler.test_batch "
     "process/Scheduler.test_deadline process/Scheduler.test_fifo process/Scheduler.test_idle "
     "process/Scheduler.test_negative_nice process/Scheduler.test_other_with_nice "
     "process/Scheduler.test_reset_on_fork process/Scheduler.test_round_robin",
     "process.scheduler: gVisor schedules by itself"),
    ("exec/Confined.test_created_but_not_started",
     "gVisor starts processes in a container that runs alone, not in one that is created"),
    ("exec/ProcessFile.test_seccomp_holds_nevertheless "
     "seccomp/Privileges.test_exec_with_more_capabilities_is_still_filtered",
     "starts processes of exec without the container's filter"),
    ("hooks/Failure.test_path_of_startcontainer_that_only_the_host_has hooks/Failure.test_startcontainer "
     "hooks/Place.test_root_of_startcontainer_is_the_containers",
     "hooks.startContainer: runsc runs none inside of the sandbox"),
    ("hooks/Place.test_configured_mounts_are_there_for_createcontainer "
     "hooks/Place.test_mount_of_createcontainer_is_seen_inside",
     "hooks.createContainer: on the host there is no mount namespace of the container's to run them in"),
    ("lifecycle/Kill.test_signal_while_paused_comes_with_resume",
     "container paused: gVisor takes no signal but KILL meanwhile"),
    ("lifecycle/Pause.test_everything_of_it lifecycle/Pause.test_exec_that_waits_for_resume",
     "container paused: gVisor tells nothing meanwhile"),
    ("lifecycle/Start.test_without_a_process",
     "process: runsc makes no container without one"),
    ("mounts/Bind.test_each_flag mounts/Bind.test_the_host_stays_as_it_was mounts/Options.test_flags "
     "mounts/Recursive.test_access_times mounts/Recursive.test_clear mounts/Recursive.test_last_one_wins "
     "mounts/Recursive.test_on_a_filesystem_of_its_own mounts/Recursive.test_read_only_below_holds "
     "mounts/Recursive.test_set",
     "gVisor has neither nosymfollow nor the recursive options"),
    ("mounts/CopyUp.test_copied mounts/CopyUp.test_missing_directory mounts/CopyUp.test_read_only",
     "gVisor has no tmpcopyup"),
    ("mounts/IdMapped.test_new_files mounts/IdMapped.test_of_the_user_namespace mounts/IdMapped.test_owners "
     "mounts/IdMapped.test_what_lies_below mounts/IdMapped.test_with_other_options",
     "gVisor has no idmapped mounts"),
    ("mounts/Kinds.test_overlay",
     "gVisor has no filesystem overlay"),
    ("mounts/Masks.test_cannot_be_unmounted mounts/Masks.test_directory mounts/Masks.test_file "
     "mounts/Masks.test_hidden_below_a_mount mounts/Masks.test_many mounts/Masks.test_missing_is_ignored",
     "gVisor masks nothing of the root filesystem"),
    ("mounts/Masks.test_read_only_directory mounts/Masks.test_read_only_file "
     "mounts/Masks.test_read_only_keeps_the_other_flags mounts/Masks.test_read_only_missing_is_ignored "
     "mounts/Masks.test_read_only_with_mounts_below",
     "gVisor makes nothing of the root filesystem read-only"),
    ("mounts/Options.test_unknown_option_is_the_filesystems",
     "gVisor does not know the option nr_inodes"),
    ("mounts/Order.test_earlier_is_covered_by_later",
     "gVisor does not cover what was mounted on"),
    ("mounts/Propagation.test_last_one_wins mounts/Propagation.test_on_a_bind_mount "
     "mounts/Propagation.test_on_a_filesystem_of_its_own mounts/Propagation.test_shared_does_not_send_by_default "
     "mounts/Propagation.test_shared_sends_where_the_root_is_shared",
     "gVisor shares no mounts with the host"),
    ("mounts/Propagation.test_slave_does_not_send mounts/RootPropagation.test_mounts_inside_stay_inside "
     "mounts/RootPropagation.test_recursive_spellings mounts/RootPropagation.test_shared "
     "mounts/RootPropagation.test_unbindable",
     "linux.rootfsPropagation: gVisor shares no mounts with the host"),
    ("mounts/Remount.test_bind_remount_changes_what_is_there mounts/Remount.test_flags "
     "mounts/Remount.test_other_mounts_are_untouched mounts/Remount.test_parameters",
     "gVisor does not change what is mounted"),
    ("namespaces/Joined.test_all_of_a_pod namespaces/Joined.test_joined_pid_namespace_is_not_left_at_delete "
     "namespaces/Joined.test_user_namespace",
     "namespaces and joins none"),
    ("namespaces/Sysctl.test_in_a_user_namespace namespaces/Sysctl.test_ipc namespaces/Sysctl.test_network "
     "namespaces/Sysctl.test_slashes namespaces/Sysctl.test_the_hosts_own_namespace_by_its_path_is_refused "
     "namespaces/Sysctl.test_uts",
     "gVisor does not set it"),
    ("namespaces/Time.test_exec_has_them_too namespaces/Time.test_negative namespaces/Time.test_offsets",
     "linux.timeOffsets: gVisor has no time namespaces"),
    ("process/CpuAffinity.test_final process/CpuAffinity.test_initial_alone_does_not_outlast_the_cgroup "
     "process/CpuAffinity.test_not_of_init process/CpuAffinity.test_of_the_bundle "
     "process/CpuAffinity.test_whole_range",
     "process.execCPUAffinity: gVisor has none for a process"),
    ("process/IoPriority.test_classes",
     "process.ioPriority: gVisor has no I/O priorities"),
    ("process/MemoryPolicy.test_exec_has_it_too process/MemoryPolicy.test_flags process/MemoryPolicy.test_modes",
     "linux.memoryPolicy: gVisor does not set it"),
    ("process/Personality.test_exec_has_it_too process/Personality.test_linux32",
     "linux.personality: gVisor has one only"),
    ("seccomp/Actions.test_default_kill seccomp/Actions.test_default_log seccomp/Actions.test_kill_process "
     "seccomp/Actions.test_log_lets_it_pass "
     "seccomp/Actions.test_the_runtime_needs_nothing_from_the_filter_but_execve "
     "seccomp/Newer.test_also_where_the_default_kills seccomp/Notify.test_arguments seccomp/Notify.test_continue "
     "seccomp/Notify.test_error seccomp/Notify.test_exec_has_a_connection_of_its_own "
     "seccomp/Notify.test_kill_while_waiting seccomp/Notify.test_nobody_listens "
     "seccomp/Notify.test_refusing_execve seccomp/Notify.test_state "
     "seccomp/Notify.test_syscalls_that_the_runtime_itself_uses seccomp/Notify.test_value",
     "linux.seccomp: gVisor has no SCMP_ACT_KILL_PROCESS, SCMP_ACT_LOG and SCMP_ACT_NOTIFY"),
) for name in names.split()}

# And what is otherwise inside.
DIFFERS = {name: reason for names, reason in (
    ("exec/Confined.test_preserved_descriptors process/Descriptors.test_preserved_ones_as_asked",
     "runsc passes no descriptors but the standard streams"),
    ("exec/Terminal.test_console_device",
     "it makes no /dev/console"),
    ("exec/Terminal.test_in_the_foreground exec/Terminal.test_owner_is_the_user lifecycle/Terminal.test_exec "
     "lifecycle/Terminal.test_without_a_terminal_of_the_caller",
     "its terminal is the host's, passed in: it has no name inside"),
    ("hooks/Order.test_poststart_comes_after_execve "
     "hooks/Place.test_mount_of_createruntime_by_nsenter_is_seen_inside",
     "the pid that a hook gets is the sandbox's, and a hook cannot enter its mounts"),
    ("lifecycle/Parent.test_nothing_else_is_left_to_reap",
     "runsc's gofer and what its platform starts are children of the caller's subreaper too"),
    ("lifecycle/Start.test_e2big",
     "one argument may be longer than with Linux"),
    ("process/Descriptors.test_closed_standard_streams",
     "its /dev/null is one of the host's, passed in"),
    ("process/Home.test_passwd_that_is_not_text",
     "runsc reads passwd by itself"),
    ("process/IoPriority.test_other_processes_of_the_callers_group_are_untouched",
     "process.ioPriority: gVisor has no I/O priorities"),
    ("process/Keyring.test_new_session_keyring process/Keyring.test_two_containers_do_not_share "
     "process/Keyring.test_user_may_use_it",
     "it has no keyrings"),
    ("process/NoNewPrivileges.test_absent_is_off process/NoNewPrivileges.test_off "
     "process/NoNewPrivileges.test_setuid_has_an_effect_without_it "
     "seccomp/Privileges.test_loaded_without_no_new_privileges",
     "no_new_privs is always on, and set-user-id bits have no effect"),
    ("process/OomScore.test_set process/OomScore.test_unset_is_unchanged_from_a_caller_that_has_one "
     "process/OomScore.test_zero_is_set",
     "the score is that of its process on the host; its own /proc says 0"),
    ("process/Personality.test_linux process/State.test_dumpable_and_secure_bits",
     "it has no personalities and no secure bits to read"),
    ("process/User.test_umask process/User.test_umask_of_zero "
     "process/User.test_umask_reaches_the_files_that_the_process_makes",
     "its umask is 0022 whatever process.user.umask says"),
    ("process/WorkingDirectory.test_file_is_an_error",
     "runsc does not say that it is the working directory"),
    ("cgroups/Enforced.test_memory_of_an_exec cgroups/Told.test_out_of_memory_is_told",
     "a stub of its platform is killed, whereupon it ends by itself"),
    ("cgroups/Enforced.test_pids cgroups/Enforced.test_pids_count_an_exec cgroups/Told.test_statistics "
     "cgroups/Values.test_pids_of_zero_is_a_limit",
     "its own threads count"),
    ("cgroups/Mounted.test_with_the_namespace cgroups/Mounted.test_without_the_namespace "
     "cgroups/Mounted.test_writable cgroups/Place.test_namespace_root_is_the_own_cgroup "
     "cgroups/Place.test_without_the_namespace_the_path_is_in_sight "
     "cgroups/Removal.test_nested_ones_of_the_workload mounts/Cgroup.test_own_limits_are_in_sight_and_no_one_elses "
     "mounts/Cgroup.test_read_only_holds mounts/Cgroup.test_with_a_namespace "
     "mounts/Cgroup.test_without_a_namespace mounts/Cgroup.test_writable_where_asked",
     "the cgroups that it shows are its own"),
    ("cgroups/Place.test_exec_is_in_them",
     "all of its processes are in the cgroup, not those inside of it"),
    ("cgroups/Removal.test_gone_after_an_error",
     "it looks for the program at start, where the test awaits an error of create"),
    ("devices/Defaults.test_bound_dev_is_left_alone devices/Defaults.test_image_with_another_device_in_place "
     "devices/Defaults.test_image_with_something_else_in_place devices/Defaults.test_no_links_without_proc "
     "devices/Defaults.test_on_the_images_own_directory",
     "its /dev is its own, whatever the image or the bundle has there"),
    ("mounts/Bind.test_directory_on_a_file_is_an_error mounts/Bind.test_file_on_a_directory_is_an_error",
     "runsc does not tell why it cannot mount"),
    ("mounts/Bind.test_fifo_and_device",
     "it opens no fifo and no device of the host"),
    ("mounts/Bind.test_each_access_time mounts/Bind.test_flags_of_the_source_stay "
     "mounts/Bind.test_read_only_stops_at_the_top mounts/Bind.test_what_is_not_said_stays "
     "mounts/Kinds.test_nothing_of_the_host mounts/Kinds.test_proc_options "
     "mounts/Locked.test_what_cannot_be_cleared_is_an_error mounts/Locked.test_what_is_not_said_stays "
     "mounts/Masks.test_read_only_in_proc mounts/Options.test_access_times "
     "mounts/Order.test_link_is_followed_inside mounts/RootPropagation.test_private",
     "its mountinfo shows no access times, no nosuid and nodev, and nothing of what is below a bind mount or masked"),
    ("mounts/Kinds.test_mqueue_is_of_the_own_namespace mounts/Kinds.test_the_usual_ones",
     "it has no mqueue filesystem to mount"),
    ("mounts/Options.test_superblock",
     "it has no sync"),
    ("mounts/Propagation.test_slave_receives",
     "it sees nothing that is mounted on the host later"),
    ("mounts/RootPropagation.test_the_hosts_mounts_stay_where_all_are_shared",
     "linux.rootfsPropagation: gVisor shares no mounts with the host"),
    ("namespaces/Joined.test_each namespaces/Joined.test_own_namespace_by_path "
     "namespaces/New.test_absent_is_shared namespaces/New.test_each namespaces/New.test_uts_absent_is_shared "
     "namespaces/User.test_exec_joins_it",
     "its namespaces are its own, with other numbers or without a name in /proc"),
    ("namespaces/Names.test_both",
     "it does not set the domain name"),
    ("namespaces/User.test_ids_inside_and_outside namespaces/User.test_many_mappings "
     "namespaces/User.test_maps_are_written_as_given",
     "its user namespace has no mappings to see, and no filesystem ids"),
    ("namespaces/User.test_network_belongs_to_it",
     "it has no /sys/class/net"),
    ("seccomp/Actions.test_errno_of_zero seccomp/Actions.test_several_rules_and_names "
     "seccomp/Arguments.test_rules_of_one_syscall seccomp/Newer.test_newer_than_the_newest_named",
     "it answers EPERM where the filter names another errno"),
    ("seccomp/Actions.test_mode",
     "its /proc/PID/status has no number of filters"),
    ("seccomp/Architectures.test_listed_one_is_filtered seccomp/Architectures.test_none_listed_is_the_native_one "
     "seccomp/Architectures.test_unlisted_one_is_closed",
     "it takes the calls of 32 bits as those of 64, under the same filter"),
    ("seccomp/Privileges.test_filter_is_of_exec_too",
     "this runsc starts processes of exec without the container's filter"),
) for name in names.split()}


def refusal(result):
    """What a command of nucleus refused because of gVisor, or None."""
    found = REFUSALS.search(result.err) if isinstance(result.err, str) and result.status != 0 else None
    return found and (found["key"] or found["other"]).strip()


class Expected:
    """What is known of a test beforehand. `refused`: nucleus says so before anything runs, with these words."""

    def __init__(self, reason, refused):
        self.reason, self.refused = reason, refused


def expected(case):
    """The entry of a test in one of the lists, or None."""
    file = sys.modules[type(case).__module__].__file__
    name = f"{file.rpartition('/')[2].removeprefix('test_').removesuffix('.py')}/{type(case).__name__}"
    for table, refused in ((REFUSED, True), (DIFFERS, False)):
        if reason := table.get(f"{name}.{case._testMethodName}"):
            return Expected(reason, refused)
    return None
