# conformance.vm: a part of the black-box tests once more, in a machine of its own with cgroup v2 alone and AppArmor.
# The processor there is emulated: some minutes. It needs the packages of `./setup.sh vm`, and fails without them.
add_test(NAME conformance.vm COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/vm/run.sh)
set_tests_properties(
  conformance.vm
  PROPERTIES ENVIRONMENT "RUNTIME=$<TARGET_FILE:nucleus>;PROBE=$<$<TARGET_EXISTS:probe>:$<TARGET_FILE:probe>>"
             LABELS "conformance;vm" TIMEOUT 3000)
