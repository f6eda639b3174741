#include "runtime/container/bundle_plan.h"

#include "runtime/confine/landlock.h"
#include "runtime/container/host.h"
#include "runtime/container/tracing.h"
#include "runtime/net/request.h"
#include "runtime/systemd/client.h"

namespace nucleus::container {
namespace {

std::string NotifyDirectory(const Settings& settings, const CreateOptions& options) {
  return settings.notify_socket.empty() ? "" : settings.root + "/" + options.id + "/" + kNotifyDirectory;
}

}  // namespace

Result<BundlePlan> PlanBundle(const Settings& settings, const CreateOptions& options, const Bundle& bundle) {
  BundlePlan result;
  plan::Plan& plan = result.plan;
  const bool traced = !TRY(TraceFileOf(options, bundle.annotations)).empty();
  const bool cgroups = settings.cgroup_manager != CgroupManager::kDisabled;
  result.host = TRY(
      ReadHost(cgroups, AsksForLabels(bundle.spec->linux_, bundle.spec->process ? &*bundle.spec->process : nullptr)));
  if (bundle.policies.landlock || bundle.policies.mode) {
    result.host.landlock_abi = confine::LandlockAbi();
  }
  if (bundle.annotations.require_lockdown) {
    result.host.lockdown = ReadLockdown();
  }
  plan =
      TRY_IN("config.json", plan::MakePlan(*bundle.spec,
                                           {.id = options.id,
                                            .bundle = bundle.path,
                                            .no_pivot = options.no_pivot,
                                            .no_new_keyring = options.no_new_keyring,
                                            .use_cgroups = cgroups,
                                            .systemd = settings.cgroup_manager == CgroupManager::kSystemd,
                                            .traced = traced,
                                            .notify_directory = NotifyDirectory(settings, options),
                                            .credentials_directory = settings.credentials_directory,
                                            .annotations = bundle.annotations,
                                            .resolv_conf = settings.root + "/" + options.id + "/" + net::kResolvConf},
                                           result.host, bundle.policies));
  if (plan.scope) {
    TRY(systemd::CheckRunning(plan.scope->user));
  }
  if (plan.process) {
    plan.process->env.insert(plan.process->env.end(), options.env.begin(), options.env.end());
  }
  plan.rootfs.path = TRY(RootDirectory(plan.rootfs.path));
  return result;
}

}  // namespace nucleus::container
