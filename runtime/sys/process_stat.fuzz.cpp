// /proc/PID/stat.

#include "runtime/sys/process_stat.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto stat = nucleus::sys::ParseProcessStat({reinterpret_cast<const char*>(data), size});
  return stat && stat->dead() ? 0 : 0;
}
