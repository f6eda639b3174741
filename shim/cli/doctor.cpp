// doctor: what this host offers, and what each mode lacks here.

#include <unistd.h>

#include "base/fd.h"
#include "runtime/doctor/facts.h"
#include "shim/cli/commands.h"
#include "shim/cli/report.h"

namespace nucleus::shim {
namespace {

std::string YesNo(bool value) {
  return value ? "yes" : "no";
}

std::string Outcome(const doctor::Try& made) {
  return made.works() ? "yes" : "no: " + ErrnoText(made.error);
}

void AddFacts(Report& report, const doctor::Facts& facts) {
  report.Section("kernel").Row("release", facts.release).Row("root", YesNo(facts.root));
  for (const doctor::Try& call : facts.calls) {
    report.Row(call.name, Outcome(call));
  }
  report.Row("overlay", Outcome(facts.overlay))
      .Row("idmapped-mounts", Outcome(facts.idmapped_mounts))
      .Row("fs-verity", Outcome(facts.verity))
      .Row("nf_tables", Outcome(facts.nf_tables))
      .Row("/dev/net/tun", Outcome(facts.tun))
      .Row("/dev/kvm", Outcome(facts.kvm));
  report.Section("security")
      .Row("lsm", facts.lsm.empty() ? "not known: securityfs is not mounted" : facts.lsm)
      .Row("landlock-abi", std::to_string(facts.landlock_abi))
      .Row("apparmor", YesNo(facts.apparmor))
      .Row("selinux", YesNo(facts.selinux))
      .Row("lockdown", facts.lockdown)
      .Row("seccomp-actions", facts.seccomp_actions)
      .Row("seccomp-notify", YesNo(facts.seccomp_notify));
  report.Section("namespaces");
  for (const doctor::Try& made : facts.namespaces) {
    report.Row(made.name, Outcome(made));
  }
  report.Row("max-user", facts.max_user_namespaces)
      .Row("restrictions", facts.restrictions)
      .Row("subuid", facts.subuid)
      .Row("subgid", facts.subgid);
  report.Section("cgroups").List("hierarchies", facts.cgroups).List("controllers", facts.controllers);
  report.Section("programs");
  for (const doctor::Program& program : facts.programs) {
    report.Row(program.name, program.path.empty() ? "no" : program.path);
  }
  report.Row("nucleus-systemd", YesNo(facts.systemd_helper))
      .Row("nucleus-net", YesNo(facts.net_helper))
      .Row("nucleus-otel", YesNo(facts.otel_helper));
}

}  // namespace

Result<int> Doctor(const DoctorCommand& command, Backend& gvisor) {
  // First: where there is a program for it, that one does the whole of this command.
  const auto backend = gvisor.Describe(true);
  const doctor::Facts facts = doctor::Examine();
  Report report;
  AddFacts(report, facts);
  report.Section("gvisor");
  if (!backend) {
    report.Row("available", "no: " + backend.error().message);
  } else {
    for (const auto& [name, value] : *backend) {
      report.Row(name, value);
    }
  }
  report.Section("lacks");
  bool all = true;
  using doctor::For;
  for (const auto& [name, mode] : {std::pair{"plain", For::kPlain},
                                   {"agent", For::kAgent},
                                   {"strict-agent", For::kStrictAgent},
                                   {"production", For::kProduction}}) {
    std::vector<std::string> lacks = doctor::Lacks(facts, mode);
    all = all && lacks.empty();
    if (lacks.empty() && !command.json) {
      lacks.emplace_back("nothing");
    }
    report.List(name, std::move(lacks));
  }
  report.List("agent-degrades", doctor::Degrades(facts));
  TRY(WriteAll(STDOUT_FILENO, command.json ? report.Json() : report.Text(), "stdout"));
  return all ? 0 : 1;
}

}  // namespace nucleus::shim
