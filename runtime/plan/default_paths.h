// The paths below /proc and /sys that a bundle masks and makes read-only by default: `spec` writes them, modes add
// them. Source: what the runtimes' own templates have; kernel Documentation/filesystems/proc.rst for what each shows.
#pragma once

#include <array>

namespace nucleus::plan {

inline constexpr auto kDefaultMaskedPaths = std::to_array<const char*>(
    {"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
     "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"});

inline constexpr auto kDefaultReadonlyPaths =
    std::to_array<const char*>({"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"});

}  // namespace nucleus::plan
