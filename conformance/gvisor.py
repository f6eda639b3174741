"""Of the tests that are run with both backends (report.py gvisor:PATH): what gVisor has not, so that a test cannot be as it
is written. Such a test is not run, so that an entry which is out of date, or hides a defect of ours, is not noticed by itself;
not all of these are told by `explain` yet."""

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

# MODULE/CLASS or MODULE/CLASS.TEST: why.
DIFFERS = {name: reason for names, reason in (
    ("exec/Confined.test_as_the_simplest_init exec/Confined.test_in_a_user_namespace "
     "exec/Confined.test_without_any_namespace_of_its_own_but_mount",
     "its /proc has no namespaces to compare"),
    ("exec/Confined.test_preserved_descriptors process/Descriptors.test_preserved_ones_as_asked",
     "--preserve-fds: runsc passes no descriptors but the standard streams"),
    ("exec/Flags.test_cap_for_a_user_reaches_nothing "
     "process/Capabilities.test_ambient_outside_of_inheritable_is_left_out "
     "process/Capabilities.test_each_alone process/Capabilities.test_five_sets "
     "process/Capabilities.test_user_without_ambient_has_nothing",
     "it has no ambient capabilities, and not the newest ones"),
    ("exec/Flags.test_status exec/Flags.test_working_directory_that_is_missing "
     "process/WorkingDirectory.test_file_is_an_error",
     "runsc writes a line of its own to the standard error besides"),
    ("exec/Flags.test_user exec/Flags.test_user_alone_keeps_the_group "
     "exec/Flags.test_user_is_a_number_exactly exec/ProcessFile.test_all_of_it "
     "process/User.test_ids_and_groups process/NoNewPrivileges.test_setuid_has_no_effect_with_it",
     "its /proc/PID/status has no filesystem ids"),
    ("exec/Terminal.test_console_device",
     "it makes no /dev/console"),
    ("exec/Terminal.test_in_the_foreground exec/Terminal.test_of_exec exec/Terminal.test_of_init "
     "exec/Terminal.test_owner_is_the_user",
     "its terminal is the host's, passed in: it has no name inside and is not the controlling one"),
    ("lifecycle/Terminal.test_exec lifecycle/Terminal.test_without_a_terminal_of_the_caller",
     "its terminal has no name inside"),
    ("hooks/Order.test_poststart_comes_after_execve",
     "the pid that a hook gets is the sandbox's"),
    ("hooks/Place.test_mount_of_createruntime_by_nsenter_is_seen_inside",
     "a hook cannot enter its mounts"),
    ("process/CpuAffinity.test_cpu_that_is_not_there process/CpuAffinity.test_final",
     "it has no CPU affinity for a process of exec"),
    ("process/Descriptors.test_closed_standard_streams",
     "its /dev/null is its own"),
    ("process/Environment.test_exactly_what_was_given_in_order "
     "process/Environment.test_nothing_of_the_caller",
     "it puts HOME first"),
    ("process/Environment.test_program_that_is_a_directory "
     "process/Environment.test_program_that_is_missing "
     "process/Environment.test_program_that_is_missing_by_path "
     "process/Environment.test_program_that_may_not_be_executed",
     "it looks for the program at start, not at create"),
    ("process/Home.test_passwd_that_is_not_text",
     "it reads passwd itself"),
    ("process/Keyring.test_new_session_keyring process/Keyring.test_two_containers_do_not_share "
     "process/Keyring.test_user_may_use_it",
     "it has no keyrings"),
    ("process/NoNewPrivileges.test_absent_is_off process/NoNewPrivileges.test_off "
     "process/NoNewPrivileges.test_setuid_has_an_effect_without_it",
     "no_new_privs is always on, and set-user-id bits have no effect"),
    ("process/OomScore.test_set process/OomScore.test_unset_is_unchanged_from_a_caller_that_has_one "
     "process/OomScore.test_zero_is_set",
     "the score is that of its process on the host; its own /proc says 0"),
    ("process/Personality.test_linux process/State.test_dumpable_and_secure_bits",
     "it has no personalities and no secure bits to read"),
    ("process/Rlimits.test_unset_is_unchanged",
     "limits that are not set are its own, not the caller's"),
    ("process/IoPriority.test_other_processes_of_the_callers_group_are_untouched",
     "process.ioPriority: gVisor has no I/O priorities"),
    ("process/User.test_umask process/User.test_umask_of_zero "
     "process/User.test_umask_reaches_the_files_that_the_process_makes",
     "its umask is 0022 whatever process.user.umask says"),
) for name in names.split()}


def refusal(result):
    """What a command of nucleus refused because of gVisor, or None."""
    found = REFUSALS.search(result.err) if isinstance(result.err, str) and result.status != 0 else None
    return found and (found["key"] or found["other"]).strip()


def differs(case):
    """Why a test is not one for gVisor, or None."""
    file = sys.modules[type(case).__module__].__file__
    name = f"{file.rpartition('/')[2].removeprefix('test_').removesuffix('.py')}/{type(case).__name__}"
    return DIFFERS.get(name) or DIFFERS.get(f"{name}.{case._testMethodName}")
