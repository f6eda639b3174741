"""A kernel whose modules cannot be loaded: what needs them is a clear error and leaves nothing; nothing else suffers."""

import os
import pathlib
import unittest

from harness import IS_NUCLEUS, Case, command, main

BLOCKED = pathlib.Path("/etc/modprobe.d/nucleus-test.conf")


def is_module(name):
    result = command(["sh", "-c", f"modinfo -F filename {name}"])
    return result.status == 0 and result.out.strip().endswith((".ko", ".ko.xz", ".ko.zst"))


@unittest.skipUnless(IS_NUCLEUS, "annotations of nucleus")
@unittest.skipUnless(is_module("nf_tables"), "nf_tables is no module of this kernel (vm/run.sh has it)")
class NfTables(Case):
    def setUp(self):
        super().setUp()
        self.process["args"] = ["/bin/true"]
        (self.bundle / "egress.toml").write_text('[[allow]]\ncidr = "192.0.2.0/24"\n')
        self.config["annotations"] = {"dev.nucleus.policy.egress": "egress.toml"}

    def block(self):
        self.addCleanup(BLOCKED.unlink)
        BLOCKED.write_text("install nf_tables /bin/false\n")
        result = command(["sh", "-c", "! grep -q '^nf_tables ' /proc/modules || modprobe -r nft_ct nft_limit nft_log nft_reject_inet "
                          "nft_fib_inet nft_fib_ipv4 nft_fib_ipv6 nft_masq nft_nat nft_chain_nat nft_compat nf_tables"])
        self.assertFalse(any(line.startswith("nf_tables ") for line in pathlib.Path("/proc/modules").read_text().splitlines()),
                         result)

    def test_a_policy_is_an_error(self):
        self.block()
        self.assertFails(self.run_container(), "this kernel has no nf_tables")
        self.assertNothingLeft()
        self.assertEqual(os.listdir(self.root), [])

    def test_a_bundle_without_one_runs(self):
        self.block()
        self.config["annotations"] = {}
        self.assertOk(self.run_container())

    def test_with_the_module(self):
        self.assertOk(self.run_container())


if __name__ == "__main__":
    main()
