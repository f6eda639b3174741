#include "base/sha256.h"

#include <boost/test/unit_test.hpp>

namespace nucleus {

BOOST_AUTO_TEST_SUITE(sha256)

// The examples of FIPS 180-2, appendix B.
BOOST_AUTO_TEST_CASE(examples_of_the_standard) {
  BOOST_TEST(Sha256Hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  BOOST_TEST(Sha256Hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
             "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  BOOST_TEST(Sha256Hex(std::string(1000000, 'a')) ==
             "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  BOOST_TEST(Sha256Hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

BOOST_AUTO_TEST_CASE(in_pieces) {
  Sha256 hash;
  hash.Update("a", 1);
  hash.Update("", 0);
  hash.Update("bc", 2);
  BOOST_TEST(Hex(hash.Finish()) == Sha256Hex("abc"));
}

BOOST_AUTO_TEST_CASE(what_a_digest_looks_like) {
  BOOST_TEST(IsSha256Hex(Sha256Hex("")));
  BOOST_TEST(!IsSha256Hex(Sha256Hex("").substr(1)));
  BOOST_TEST(!IsSha256Hex(Sha256Hex("") + "0"));
  BOOST_TEST(!IsSha256Hex("E" + Sha256Hex("").substr(1)));
  BOOST_TEST(!IsSha256Hex("g" + Sha256Hex("").substr(1)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus
